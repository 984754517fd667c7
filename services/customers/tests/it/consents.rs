//! Consents, present and past.

use contracts::customers::v1 as pb;
use service::clock;
use testing::refusal::refused;
use time::Duration;
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{consent, get, moment, register, registration, withdrawal},
    stack::Stack,
};

fn long_ago(days: i64) -> time::OffsetDateTime {
    clock::now() - Duration::days(days)
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_tells_how_and_when_it_was_given_and_by_which_event() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let given = long_ago(300);
    let answer = client
        .record_consent(consent(&id, given))
        .await
        .unwrap()
        .into_inner();
    let customer = get(&mut client, &id).await;
    assert_eq!(customer.etag, answer.etag);
    let event_id: Uuid = sqlx::query_scalar("select event_id from event where type = $1")
        .bind("vefa.customers.v1.ConsentRecorded")
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    let expected = pb::Consent {
        channel: pb::Channel::Email.into(),
        purpose: pb::Purpose::Marketing.into(),
        granted: true,
        legal_basis: pb::LegalBasis::Consent.into(),
        wording_version: "2026-01".to_owned(),
        source: "web-form".to_owned(),
        effective_time: moment(given),
        event_id: event_id.to_string(),
        expire_time: None,
    };
    assert_eq!(customer.consents, [expected]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consents_stand_for_one_channel_and_purpose_each() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let now_by_post = pb::RecordConsentRequest {
        channel: pb::Channel::Post.into(),
        purpose: pb::Purpose::Research.into(),
        given_time: None,
        ..consent(&id, clock::now())
    };
    client.record_consent(now_by_post).await.unwrap();
    client
        .record_consent(consent(&id, long_ago(1)))
        .await
        .unwrap();
    client
        .withdraw_consent(withdrawal(&id, clock::now()))
        .await
        .unwrap();
    let consents = get(&mut client, &id).await.consents;
    let states: Vec<_> = consents
        .iter()
        .map(|one| (one.channel(), one.purpose(), one.granted))
        .collect();
    assert_eq!(
        states,
        [
            (pb::Channel::Email, pb::Purpose::Marketing, false),
            (pb::Channel::Post, pb::Purpose::Research, true),
        ]
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_at_any_past_moment_is_kept() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let request = pb::RegisterCustomerRequest {
        registered_time: moment(long_ago(400)),
        ..registration()
    };
    let id = register(&mut client, request).await;
    // Told in another order than it happened.
    client
        .record_consent(consent(&id, long_ago(100)))
        .await
        .unwrap();
    client
        .record_consent(consent(&id, long_ago(300)))
        .await
        .unwrap();
    client
        .withdraw_consent(withdrawal(&id, long_ago(200)))
        .await
        .unwrap();

    let mut granted = Vec::new();
    for days in [350, 250, 150, 50] {
        let request = pb::GetCustomerRequest {
            customer_id: id.clone(),
            as_of: moment(long_ago(days)),
        };
        let customer = client
            .get_customer(request)
            .await
            .unwrap()
            .into_inner()
            .customer
            .unwrap();
        granted.push(customer.consents.first().map(|consent| consent.granted));
    }
    assert_eq!(granted, [None, Some(true), Some(false), Some(true)]);
    assert!(get(&mut client, &id).await.consents[0].granted);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_to_withdraw_where_no_consent_stood() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    client
        .record_consent(consent(&id, long_ago(10)))
        .await
        .unwrap();
    let by_phone = pb::WithdrawConsentRequest {
        channel: pb::Channel::Phone.into(),
        ..withdrawal(&id, clock::now())
    };
    for request in [by_phone, withdrawal(&id, long_ago(11))] {
        refused(
            &stack,
            Code::FailedPrecondition,
            "NO_CONSENT",
            client.withdraw_consent(request),
        )
        .await;
    }
    client
        .withdraw_consent(withdrawal(&id, long_ago(9)))
        .await
        .unwrap();
    let again = client.withdraw_consent(withdrawal(&id, clock::now()));
    refused(&stack, Code::FailedPrecondition, "NO_CONSENT", again).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_of_a_consent_happened_when_it_was_given() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let (given, withdrawn) = (long_ago(30), long_ago(20));
    client.record_consent(consent(&id, given)).await.unwrap();
    client
        .withdraw_consent(withdrawal(&id, withdrawn))
        .await
        .unwrap();
    let times: Vec<time::OffsetDateTime> = sqlx::query_scalar(
        "select occurred_at from event where type like '%.Consent%' order by version",
    )
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    assert_eq!(times, [given, withdrawn]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_that_expires_ends_by_itself_and_can_be_given_again() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let request = pb::RegisterCustomerRequest {
        registered_time: moment(long_ago(300)),
        ..registration()
    };
    let id = register(&mut client, request).await;
    let until = |given, expires| pb::RecordConsentRequest {
        expire_time: moment(expires),
        ..consent(&id, given)
    };
    let expired = long_ago(100);
    let first = until(long_ago(200), expired);
    client.record_consent(first).await.unwrap();
    let state = |customer: pb::Customer| {
        let consent = &customer.consents[0];
        (consent.granted, consent.expire_time)
    };
    assert_eq!(state(get(&mut client, &id).await), (false, moment(expired)));
    for (at, granted) in [
        (long_ago(200), true),
        (expired - Duration::MICROSECOND, true),
        (expired, false),
    ] {
        let then = pb::GetCustomerRequest {
            customer_id: id.clone(),
            as_of: moment(at),
        };
        let then = client.get_customer(then).await.unwrap().into_inner();
        assert_eq!(state(then.customer.unwrap()).0, granted, "{at}");
    }
    // There is nothing left to withdraw.
    let late = client.withdraw_consent(withdrawal(&id, long_ago(99)));
    refused(&stack, Code::FailedPrecondition, "NO_CONSENT", late).await;
    let again = until(long_ago(50), clock::now() + Duration::days(1));
    client.record_consent(again).await.unwrap();
    assert!(state(get(&mut client, &id).await).0);
    stack.stop().await;
}
