//! Purchases and returns: recorded once, shown as they were sent.

use contracts::{common::v1::Money, interactions::v1 as pb};
use event_log::timestamp;
use futures::future::join_all;
use prost::Message as _;
use testing::{
    refusal::{malformed, refused},
    stack::TENANT,
};
use time::{Duration, OffsetDateTime};
use tonic::{Code, Request};

use crate::{
    requests::{FIRST, moment, purchase, record, touch, touchpoint},
    stack::Stack,
};

#[tokio::test]
async fn a_purchase_is_shown_as_it_was_sent() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let sent = purchase(customer, "1");
    let before = service::clock::now();
    let recorded = record(&mut client, sent.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(!recorded.repeated_request);
    assert!(recorded.consistency_token.starts_with("interactions.1."));

    let shown = get(&mut client, &recorded.purchase_id, &customer.to_string())
        .await
        .unwrap();
    assert_eq!(shown.purchase, Some(sent));
    let received = timestamp::from_proto(&shown.received_time.unwrap()).unwrap();
    assert!(received >= before && received <= service::clock::now());
    let total = Money {
        currency_code: "TRY".to_owned(),
        amount_minor: 2400,
    };
    assert_eq!(shown.total, Some(total));
    stack.stop().await;
}

#[tokio::test]
async fn the_event_tells_when_it_happened_and_that_it_is_history() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let mut sent = purchase(customer, "1");
    for line in &mut sent.lines {
        line.margin_minor = Some(-100);
    }
    record(&mut client, sent).await.unwrap();

    let (type_, occurred_at, payload): (String, OffsetDateTime, Vec<u8>) =
        sqlx::query_as("select type, occurred_at, payload from event")
            .fetch_one(&stack.pool)
            .await
            .unwrap();
    assert_eq!(
        (type_.as_str(), occurred_at),
        ("vefa.interactions.v1.PurchaseRecorded", FIRST)
    );
    let event = pb::PurchaseRecorded::decode(payload.as_slice()).unwrap();
    assert_eq!(
        (event.total_minor, event.margin_minor, event.backfill),
        (2400, Some(-200), true)
    );
    stack.stop().await;
}

#[tokio::test]
async fn a_return_counts_as_negative() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let mut sent = purchase(customer, "1");
    sent.kind = pb::PurchaseKind::Return.into();
    let recorded = record(&mut client, sent.clone())
        .await
        .unwrap()
        .into_inner();

    let shown = get(&mut client, &recorded.purchase_id, &customer.to_string())
        .await
        .unwrap();
    assert_eq!(shown.purchase, Some(sent));
    assert_eq!(shown.total.unwrap().amount_minor, -2400);
    stack.stop().await;
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_time() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let sent = purchase(customer, "1");
    let first = record(&mut client, sent.clone())
        .await
        .unwrap()
        .into_inner();
    let repeated = record(&mut client, sent.clone())
        .await
        .unwrap()
        .into_inner();
    let expected = pb::RecordPurchaseResponse {
        repeated_request: true,
        ..first
    };
    assert_eq!(repeated, expected);

    // The same thing in another spelling.
    let mut respelt = sent;
    respelt.customer_id = respelt.customer_id.to_uppercase();
    respelt.occurred_time.as_mut().unwrap().nanos += 999;
    let repeated = record(&mut client, respelt).await.unwrap().into_inner();
    assert_eq!(repeated, expected);
    assert_eq!(stack.written().await, (1, 1));
    stack.stop().await;
}

#[tokio::test]
async fn thirty_two_at_once_are_one_event_and_one_answer() {
    let stack = Stack::start().await;
    let customer = stack.customer();
    let answers = join_all((0..32).map(|_| {
        let mut client = stack.client();
        async move {
            record(&mut client, purchase(customer, "1"))
                .await
                .unwrap()
                .into_inner()
        }
    }))
    .await;
    let firsts = answers
        .iter()
        .filter(|answer| !answer.repeated_request)
        .count();
    assert_eq!(firsts, 1);
    for answer in &answers {
        assert_eq!(answer.purchase_id, answers[0].purchase_id);
        assert_eq!(answer.consistency_token, answers[0].consistency_token);
    }
    assert_eq!(stack.written().await, (1, 1));
    stack.stop().await;
}

#[tokio::test]
async fn the_same_key_with_other_content_is_refused() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let sent = purchase(customer, "1");
    record(&mut client, sent.clone()).await.unwrap();
    let changes: [fn(&mut pb::Purchase); 4] = [
        |other| other.lines[1].amount_minor += 1,
        |other| other.kind = pb::PurchaseKind::Return.into(),
        |other| other.occurred_time = moment(FIRST + Duration::SECOND),
        |other| other.backfill = false,
    ];
    for change in changes {
        let mut other = sent.clone();
        change(&mut other);
        let status = refused(
            &stack,
            Code::AlreadyExists,
            "SOURCE_ID_TAKEN",
            record(&mut client, other),
        )
        .await;
        assert!(status.message().contains("pos/1"), "{status:?}");
    }
    stack.stop().await;
}

#[tokio::test]
async fn the_same_key_for_another_customer_is_refused_also_at_the_same_time() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    record(&mut client, purchase(stack.customer(), "1"))
        .await
        .unwrap();
    let other = purchase(stack.customer(), "1");
    refused(
        &stack,
        Code::AlreadyExists,
        "SOURCE_ID_TAKEN",
        record(&mut client, other),
    )
    .await;

    let outcomes = join_all((0..32).map(|_| {
        let (mut client, customer) = (stack.client(), stack.customer());
        async move { record(&mut client, purchase(customer, "2")).await }
    }))
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for status in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
    }
    assert_eq!(stack.written().await, (2, 2));
    stack.stop().await;
}

#[tokio::test]
async fn a_purchase_whose_claim_was_lost_is_still_not_recorded_twice() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    record(&mut client, purchase(customer, "1")).await.unwrap();
    // Nothing in the system does this; the stream itself is what refuses then.
    sqlx::query("delete from command_log")
        .execute(&stack.pool)
        .await
        .unwrap();
    let call = record(&mut client, purchase(customer, "1"));
    refused(&stack, Code::AlreadyExists, "SOURCE_ID_TAKEN", call).await;
    stack.stop().await;
}

#[tokio::test]
async fn a_purchase_and_a_contact_of_one_system_may_share_an_id() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let bought = record(&mut client, purchase(customer, "1"))
        .await
        .unwrap()
        .into_inner();
    let mut contact = touchpoint(customer, "1");
    contact.source = "pos".to_owned();
    let contact = touch(&mut client, contact).await.unwrap().into_inner();
    assert_ne!(bought.purchase_id, contact.touchpoint_id);
    assert_eq!(stack.written().await, (2, 2));
    stack.stop().await;
}

#[tokio::test]
async fn tenants_share_neither_keys_nor_ids() {
    let stack = Stack::start().await;
    let customer = stack.customer();
    stack.customers.add_this("other", customer);
    let mut other = stack.client_of("other", &["*"]);
    let ours = record(&mut stack.client(), purchase(customer, "1"))
        .await
        .unwrap()
        .into_inner();
    let theirs = record(&mut other, purchase(customer, "1"))
        .await
        .unwrap()
        .into_inner();
    assert!(!theirs.repeated_request);
    assert_ne!(ours.purchase_id, theirs.purchase_id);
    let customer_id = customer.to_string();
    let foreign = get(&mut other, &ours.purchase_id, &customer_id);
    refused(&stack, Code::NotFound, "NOT_FOUND", foreign).await;
    stack.stop().await;
}

#[tokio::test]
async fn get_purchase_refuses_what_is_not_a_purchase_of_this_customer() {
    let stack = Stack::start().await;
    let (mut client, customer) = (stack.client(), stack.customer());
    let bought = record(&mut client, purchase(customer, "1"))
        .await
        .unwrap()
        .into_inner()
        .purchase_id;
    let contact = touch(&mut client, touchpoint(customer, "1"))
        .await
        .unwrap()
        .into_inner()
        .touchpoint_id;
    let customer_id = customer.to_string();

    // A neighbour lives in the same partition, where the stream is found.
    let tenant = aggregate::TenantId::parse(TENANT).unwrap();
    let partition = |customer| aggregate::Partition::of_customer(&tenant, customer);
    let neighbour = std::iter::repeat_with(|| aggregate::CustomerId(uuid::Uuid::new_v4()))
        .find(|other| partition(*other) == partition(customer))
        .unwrap()
        .to_string();
    let nobody = uuid::Uuid::new_v4().to_string();
    for (id, of) in [
        (&bought, &neighbour),
        (&bought, &nobody),
        (&contact, &customer_id),
        (&nobody, &customer_id),
    ] {
        refused(
            &stack,
            Code::NotFound,
            "NOT_FOUND",
            get(&mut client, id, of),
        )
        .await;
    }
    malformed(
        &stack,
        &["customer_id", "purchase_id"],
        get(&mut client, "1", "x"),
    )
    .await;

    let mut writer = stack.client_of(TENANT, &["interactions.write"]);
    refused(
        &stack,
        Code::PermissionDenied,
        "SCOPE_MISSING",
        get(&mut writer, &bought, &customer_id),
    )
    .await;
    let mut nobody = stack.client_without_token();
    refused(
        &stack,
        Code::Unauthenticated,
        "TOKEN_MISSING",
        get(&mut nobody, &bought, &customer_id),
    )
    .await;
    stack.stop().await;
}

async fn get(
    client: &mut crate::stack::Client,
    purchase_id: &str,
    customer_id: &str,
) -> Result<pb::GetPurchaseResponse, tonic::Status> {
    let request = pb::GetPurchaseRequest {
        purchase_id: purchase_id.to_owned(),
        customer_id: customer_id.to_owned(),
    };
    client
        .get_purchase(Request::new(request))
        .await
        .map(tonic::Response::into_inner)
}
