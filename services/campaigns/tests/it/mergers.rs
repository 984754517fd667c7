//! Customers who are merged into others, and mergers that are undone, as the log of customers tells it.

use aggregate::CustomerId;
use contracts::campaigns::v1::{self as pb, RefusalReason as No, Verdict};
use testing::stack::tenant;
use time::{Duration, OffsetDateTime, macros::datetime};

use crate::{
    peers::{
        absorbs, buys, consents, consents_come, is_merged, is_restricted, is_separated, is_unmerged,
    },
    requests::{campaign, create, decisions, run, running, start_as_of, strangers},
    stack::{Client, Stack},
};

const THEN: OffsetDateTime = datetime!(2026-03-01 0:00 UTC);

/// What a new campaign decides for these customers, as of a moment or now; in their order, which is that of their ids.
async fn decided(
    stack: &Stack,
    people: &[CustomerId],
    as_of: Option<OffsetDateTime>,
) -> Vec<(Verdict, No)> {
    let mut client = stack.client();
    let request = campaign(stack.segmentation.define(&tenant(), people));
    let id = match as_of {
        None => run(&mut client, request).await.campaign_id,
        Some(as_of) => {
            let id = create(&mut client, request).await;
            client
                .start_campaign(start_as_of(&id, as_of))
                .await
                .unwrap();
            running(&mut client, &id).await.campaign_id
        }
    };
    let decisions = decisions(&mut client, &id, 100).await;
    decisions
        .iter()
        .map(|decision| (decision.verdict(), decision.refusal_reason()))
        .collect()
}

#[tokio::test]
async fn nobody_is_contacted_under_an_old_id() {
    let stack = Stack::start().await;
    let log = &stack.customers;
    let people = strangers(5);
    let [going_on, old, came_back, restricted, later] = people[..] else {
        unreachable!("five of them");
    };
    for customer in &people {
        consents(log, *customer, THEN).await;
    }
    let merged_at = THEN + Duration::DAY;
    is_merged(log, old, going_on, merged_at).await;
    is_merged(log, came_back, going_on, merged_at).await;
    is_unmerged(log, came_back, going_on, merged_at).await;
    is_restricted(log, restricted, THEN).await;
    is_merged(log, restricted, going_on, merged_at).await;
    is_merged(log, later, going_on, merged_at + Duration::DAY).await;

    let (contact, merged) = (
        (Verdict::Contact, No::Unspecified),
        (Verdict::Refused, No::CustomerMerged),
    );
    let bound = (Verdict::Refused, No::ProcessingRestricted);
    let before = decided(&stack, &people, Some(THEN)).await;
    assert_eq!(before, [contact, contact, contact, bound, contact]);
    let meanwhile = decided(&stack, &people, Some(merged_at)).await;
    assert_eq!(meanwhile, [contact, merged, contact, merged, contact]);
    let now = decided(&stack, &people, None).await;
    assert_eq!(now, [contact, merged, contact, merged, merged]);
    stack.stop().await;
}

#[tokio::test]
async fn a_consent_that_came_with_somebody_never_counted_once_they_are_separated() {
    let stack = Stack::start().await;
    let log = &stack.customers;
    let people = strangers(2);
    let [survivor, own] = people[..] else {
        unreachable!("two of them");
    };
    let old = strangers(2);
    let after = THEN + Duration::DAY;
    for customer in [survivor, own] {
        absorbs(log, customer, &old, after).await;
    }
    consents_come(log, survivor, old[0], THEN).await;
    consents(log, own, THEN).await;
    consents_come(log, own, old[1], after).await;
    let contact = (Verdict::Contact, No::Unspecified);
    let ask = || decided(&stack, &people, Some(THEN));
    assert_eq!(ask().await, [contact, contact]);

    for customer in [survivor, own] {
        is_separated(log, customer, &old, after).await;
    }
    let nothing = (Verdict::Refused, No::NoConsent);
    assert_eq!(ask().await, [nothing, contact]);
    assert_eq!(stack.rows("consent").await.len(), 1);

    // What comes with another merger of the two counts again.
    absorbs(log, survivor, &old[..1], after).await;
    consents_come(log, survivor, old[0], THEN).await;
    assert_eq!(ask().await, [contact, contact]);
    stack.stop().await;
}

/// Purchases and revenue of the contacted and of the held out, once these events are seen.
async fn bought(client: &mut Client, id: &str, token: &str) -> [(u32, i64); 2] {
    let request = pb::GetOutcomeRequest {
        campaign_id: id.to_owned(),
        consistency_token: token.to_owned(),
        ..pb::GetOutcomeRequest::default()
    };
    let outcome = client.get_outcome(request).await.unwrap().into_inner();
    [outcome.contacted, outcome.held_out].map(|arm| {
        let arm = arm.unwrap();
        (arm.purchases, arm.revenue_minor)
    })
}

#[tokio::test]
async fn purchases_of_whoever_was_merged_are_the_recipients_and_count_once() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (log, sales) = (&stack.customers, &stack.interactions);
    let people = strangers(30);
    for customer in &people {
        consents(log, *customer, THEN).await;
    }
    let mut request = campaign(stack.segmentation.define(&tenant(), &people));
    request.holdout_share = 0.5;
    let id = create(&mut client, request).await;
    client.start_campaign(start_as_of(&id, THEN)).await.unwrap();
    running(&mut client, &id).await;
    let decisions = decisions(&mut client, &id, 100).await;
    let of_arm = |verdict| {
        let of_arm = decisions.iter().filter(move |it| it.verdict() == verdict);
        of_arm.map(|it| it.customer_id.parse::<CustomerId>().unwrap())
    };
    let contacted: Vec<_> = of_arm(Verdict::Contact).take(2).collect();
    let held_out = of_arm(Verdict::Holdout).next().unwrap();
    let later = THEN + Duration::DAY;
    let [first, second] = strangers(2)[..] else {
        unreachable!("two of them");
    };
    let mut token = String::new();
    for (customer, amount) in [
        (first, 1),
        (second, 20),
        (contacted[1], 300),
        (held_out, 4_000),
    ] {
        let bought = buys(sales, customer, later, amount, "TRY").await;
        token = format!("{token} {}", bought.token);
    }
    assert_eq!(
        bought(&mut client, &id, &token).await,
        [(1, 300), (1, 4_000)]
    );

    // Nobody had decided about the first: theirs are the recipient's. The held out stays what the draw made of them.
    let told = absorbs(log, contacted[0], &[first], later).await.token;
    assert_eq!(
        bought(&mut client, &id, &told).await,
        [(2, 301), (1, 4_000)]
    );
    is_merged(log, held_out, contacted[0], later).await;
    let told = absorbs(log, contacted[0], &[held_out], later).await.token;
    assert_eq!(
        bought(&mut client, &id, &told).await,
        [(2, 301), (1, 4_000)]
    );

    // A chain of two recipients: the second stranger's count at its end.
    absorbs(log, contacted[1], &[second], later).await;
    let told = is_merged(log, contacted[1], contacted[0], later)
        .await
        .token;
    assert_eq!(
        bought(&mut client, &id, &told).await,
        [(2, 301), (1, 4_000)]
    );
    let told = absorbs(log, contacted[0], &[contacted[1], second], later)
        .await
        .token;
    assert_eq!(
        bought(&mut client, &id, &told).await,
        [(3, 321), (1, 4_000)]
    );

    is_separated(log, contacted[0], &[contacted[1], second], later).await;
    let went = is_separated(log, contacted[0], &[first], later).await.token;
    let undone = is_unmerged(log, contacted[1], contacted[0], later + Duration::DAY);
    let told = format!("{went} {}", undone.await.token);
    assert_eq!(
        bought(&mut client, &id, &told).await,
        [(2, 320), (1, 4_000)]
    );
    stack.stop().await;
}
