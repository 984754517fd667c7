//! A campaign that looks back decides as of a past moment, contacts nobody, and takes no notice of real contacts.

use contracts::campaigns::v1 as pb;
use prost::Message as _;
use testing::stack::tenant;
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    peers::{consents, withdraws},
    requests::{campaign, create, decisions, moment, run, running, start_as_of, strangers},
    stack::Stack,
};

const THEN: OffsetDateTime = datetime!(1997-09-30 23:59:59.999999 UTC);

#[tokio::test]
async fn consent_is_seen_as_it_was_then() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let log = &stack.customers;
    let people = strangers(5);
    let before = THEN - Duration::DAY;
    let later = THEN + Duration::microseconds(1);
    let given = consents(log, people[0], THEN).await;
    consents(log, people[1], later).await;
    let withdrawn_later = consents(log, people[2], before).await;
    withdraws(log, people[2], later).await;
    consents(log, people[3], before).await;
    let withdrawn = withdraws(log, people[3], THEN).await;
    // Told late, and out of the order in which it happened.
    consents(log, people[4], later).await;
    let told_late = withdraws(log, people[4], before).await;
    let segment = stack.segmentation.define(&tenant(), &people);
    let id = create(&mut client, campaign(segment)).await;
    client.start_campaign(start_as_of(&id, THEN)).await.unwrap();
    let campaign = running(&mut client, &id).await;
    assert!(campaign.retrospective);
    assert_eq!(campaign.effective_time, moment(THEN));
    assert_eq!(stack.segmentation.asked(), [moment(THEN)]);

    use pb::{RefusalReason as No, Verdict};
    let decided: Vec<_> = decisions(&mut client, &id, 100)
        .await
        .iter()
        .map(|decision| {
            (
                decision.verdict(),
                decision.refusal_reason(),
                decision.consent_event_id.clone(),
            )
        })
        .collect();
    let expected = [
        (
            Verdict::Contact,
            No::Unspecified,
            given.event_id.to_string(),
        ),
        (Verdict::Refused, No::NoConsent, String::new()),
        (
            Verdict::Contact,
            No::Unspecified,
            withdrawn_later.event_id.to_string(),
        ),
        (
            Verdict::Refused,
            No::ConsentWithdrawn,
            withdrawn.event_id.to_string(),
        ),
        (
            Verdict::Refused,
            No::ConsentWithdrawn,
            told_late.event_id.to_string(),
        ),
    ];
    assert_eq!(decided, expected);
    stack.stop().await;
}

#[tokio::test]
async fn real_contacts_and_those_of_the_past_do_not_meet() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let people = strangers(10);
    for customer in &people {
        consents(&stack.customers, *customer, THEN).await;
    }
    let segment = stack.segmentation.define(&tenant(), &people);
    for _ in 0..2 {
        let id = create(&mut client, campaign(segment)).await;
        client.start_campaign(start_as_of(&id, THEN)).await.unwrap();
        assert_eq!(running(&mut client, &id).await.contacted, 10);
    }
    // The past ones are no contacts.
    let real = run(&mut client, campaign(segment)).await;
    assert_eq!((real.contacted, real.retrospective), (10, false));
    // The real ones do not block one that looks back, though it looks back to a moment ago.
    let id = create(&mut client, campaign(segment)).await;
    let now = service::clock::now();
    client.start_campaign(start_as_of(&id, now)).await.unwrap();
    assert_eq!(running(&mut client, &id).await.contacted, 10);

    let payloads: Vec<Vec<u8>> = sqlx::query_scalar(
        "select payload from event where type = 'vefa.campaigns.v1.ContactRequested' and stream_id = $1 order by version",
    )
    .bind(people[0].0)
    .fetch_all(&stack.pool)
    .await
    .unwrap();
    let retrospective: Vec<bool> = payloads
        .iter()
        .map(|payload| {
            pb::ContactRequested::decode(payload.as_slice())
                .unwrap()
                .retrospective
        })
        .collect();
    assert_eq!(retrospective, [true, true, false, true]);
    stack.stop().await;
}
