//! Customers who are merged into others, and mergers that are undone, as the log of customers tells it.

use std::collections::BTreeSet;

use aggregate::CustomerId;
use contracts::segmentation::v1::{self as pb, MembershipCause};
use service::clock;
use time::Duration;

use crate::{
    cdnow::{feed_sample, fit_request},
    feed::{Fact, absorbed, merged, purchased, separated, unmerged},
    requests::{Moved, define, members, moved, moves},
    stack::{Client, Stack},
};

/// Everyone, and those with exactly so many purchases.
async fn segments(client: &mut Client) -> Vec<pb::Segment> {
    let mut segments = vec![define(client, "everyone", "true").await];
    for count in 0..4 {
        let rule = format!("purchases.count() == {count}");
        segments.push(define(client, &format!("bought-{count}"), &rule).await);
    }
    segments
}

/// Who is in everyone, and who has how many purchases.
async fn assert_members(stack: &Stack, segments: &[pb::Segment], expected: [&[CustomerId]; 5]) {
    for (segment, expected) in segments.iter().zip(expected) {
        let expected: BTreeSet<CustomerId> = expected.iter().copied().collect();
        let recorded = members(stack, &mut stack.client(), segment).await;
        assert_eq!(recorded, expected, "{}", segment.name);
        // What is asked of all at once says the same.
        let preview = pb::PreviewSegmentRequest {
            rule: segment.rule.clone(),
            sample_size: 100,
            ..pb::PreviewSegmentRequest::default()
        };
        let preview = stack
            .client()
            .preview_segment(preview)
            .await
            .unwrap()
            .into_inner();
        let sample = preview
            .sample_customer_ids
            .iter()
            .map(|id| id.parse().unwrap());
        assert_eq!(sample.collect::<BTreeSet<CustomerId>>(), expected);
    }
}

/// Facts one after the other: the next is told when what the one led to is seen.
async fn tell(stack: &Stack, segments: &[pb::Segment], facts: impl IntoIterator<Item = Fact>) {
    for fact in facts {
        stack.feed(&stack.customers, &[fact]).await;
        members(stack, &mut stack.client(), &segments[0]).await;
    }
}

fn in_order(mut facts: [Fact; 2], turned: bool) -> [Fact; 2] {
    if turned {
        facts.reverse();
    }
    facts
}

/// Whichever of the two logs is heard first, of the merger and of its end.
#[tokio::test]
async fn facts_of_whoever_was_merged_count_for_who_goes_on_until_it_is_undone() {
    let stack = Stack::start().await;
    let segments = segments(&mut stack.client()).await;
    let mut kept: Vec<CustomerId> = Vec::new();
    let mut apart: Vec<CustomerId> = Vec::new();
    for turned in 0..4 {
        let (old, new) = (stack.register().await, stack.register().await);
        stack.record(purchased(old, clock::now(), 500)).await;
        stack.record(purchased(new, clock::now(), 700)).await;
        let merging = [merged(old, new, 1), absorbed(new, &[old], 1)];
        tell(&stack, &segments, in_order(merging, turned & 1 > 0)).await;
        let all = [&kept[..], &apart, &[new]].concat();
        assert_members(
            &stack,
            &segments,
            [&all, &[], &apart, &[&kept[..], &[new]].concat(), &[]],
        )
        .await;

        let cause = stack.record(purchased(old, clock::now(), 900)).await;
        assert_members(&stack, &segments, [&all, &[], &apart, &kept, &[new]]).await;
        let entered = Moved::new(new, true, 1, MembershipCause::Event).by(cause);
        assert!(moves(&stack, &segments[4]).await.contains(&entered));

        let undoing = [unmerged(old, new, 2), separated(new, &[old], 2)];
        tell(&stack, &segments, in_order(undoing, turned & 2 > 0)).await;
        kept.push(old);
        apart.push(new);
        let all = [&kept[..], &apart].concat();
        assert_members(&stack, &segments, [&all, &[], &apart, &kept, &[]]).await;
    }
    stack.stop().await;
}

#[tokio::test]
async fn whoever_was_merged_through_another_counts_at_the_end_of_the_chain() {
    let stack = Stack::start().await;
    let segments = segments(&mut stack.client()).await;
    let (first, middle, last) = (
        stack.register().await,
        stack.register().await,
        stack.register().await,
    );
    stack.record(purchased(first, clock::now(), 1)).await;
    let merging = [
        merged(first, middle, 1),
        absorbed(middle, &[first], 1),
        merged(middle, last, 2),
        absorbed(last, &[middle, first], 1),
    ];
    tell(&stack, &segments, merging).await;
    assert_members(&stack, &segments, [&[last], &[], &[last], &[], &[]]).await;
    stack.record(purchased(first, clock::now(), 1)).await;
    stack.record(purchased(middle, clock::now(), 1)).await;
    assert_members(&stack, &segments, [&[last], &[], &[], &[], &[last]]).await;

    let undoing = [
        unmerged(middle, last, 3),
        separated(last, &[middle, first], 2),
    ];
    tell(&stack, &segments, undoing).await;
    let both = [middle, last];
    assert_members(&stack, &segments, [&both, &[last], &[], &[], &[middle]]).await;
    let undoing = [unmerged(first, middle, 2), separated(middle, &[first], 4)];
    tell(&stack, &segments, undoing).await;
    let all = [first, middle, last];
    assert_members(&stack, &segments, [&all, &[last], &[middle], &[first], &[]]).await;
    stack.stop().await;
}

/// A window of somebody merged runs out for who goes on.
#[tokio::test]
async fn time_moves_who_goes_on_by_what_the_merged_one_did() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let recent = define(
        &mut client,
        "recent",
        "purchases.within(\"30d\").count() > 0",
    )
    .await;
    let (old, new) = (stack.register().await, stack.register().await);
    let merging = [merged(old, new, 1), absorbed(new, &[old], 1)];
    tell(&stack, std::slice::from_ref(&recent), merging).await;
    let nearly = clock::now() - Duration::days(30) + Duration::seconds(5);
    let cause = stack.record(purchased(old, nearly, 1)).await;
    let expected = [
        Moved::new(new, true, 1, MembershipCause::Event).by(cause),
        Moved::new(new, false, 1, MembershipCause::Time),
    ];
    assert_eq!(moved(&stack, &recent, 2).await, expected);
    stack.stop().await;
}

#[tokio::test]
async fn the_old_id_is_answered_for_by_who_goes_on() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let pairs = define(&mut client, "pairs", "purchases.count() == 2").await;
    let (old, new) = (stack.register().await, stack.register().await);
    stack.record(purchased(old, clock::now(), 500)).await;
    stack.record(purchased(new, clock::now(), 700)).await;
    let merging = [merged(old, new, 1), absorbed(new, &[old], 1)];
    tell(&stack, std::slice::from_ref(&pairs), merging).await;
    for id in [old, new] {
        let request = pb::GetCustomerValueRequest {
            customer_id: id.to_string(),
            ..pb::GetCustomerValueRequest::default()
        };
        let value = client
            .get_customer_value(request)
            .await
            .unwrap()
            .into_inner();
        let value = value.value.unwrap();
        assert_eq!(value.customer_id, new.to_string());
        assert_eq!((value.purchases, value.monetary_minor), (2, 1_200));
        let request = pb::ExplainMembershipRequest {
            segment_id: pairs.segment_id.clone(),
            customer_id: id.to_string(),
            ..pb::ExplainMembershipRequest::default()
        };
        let explained = client
            .explain_membership(request)
            .await
            .unwrap()
            .into_inner();
        assert!(explained.member, "{explained:?}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fit_counts_a_group_once() {
    const CUSTOMERS: usize = 250;
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = define(&mut client, "everyone", "true").await;
    let customers = feed_sample(&stack, CUSTOMERS).await;
    let mut purchases = Vec::new();
    for customer in &customers[..2] {
        purchases.push(scored(&stack, &mut client, *customer).await);
    }
    let (old, new) = (customers[0], customers[1]);
    let merging = [merged(old, new, 1), absorbed(new, &[old], 1)];
    tell(&stack, std::slice::from_ref(&segment), merging).await;
    let together = scored(&stack, &mut client, new).await;
    assert_eq!(
        together.purchases,
        purchases[0].purchases + purchases[1].purchases
    );
    assert_eq!(
        together.monetary_minor,
        purchases[0].monetary_minor + purchases[1].monetary_minor
    );
    let tiers = client.list_tiers(pb::ListTiersRequest::default()).await;
    let counted: u32 = tiers
        .unwrap()
        .into_inner()
        .tiers
        .iter()
        .map(|tier| tier.customers)
        .sum();
    assert_eq!(counted as usize, CUSTOMERS - 1);
    assert!(together.p_alive.is_some() && together.p_alive != purchases[1].p_alive);
    stack.stop().await;
}

/// What a new fit says of a customer.
async fn scored(stack: &Stack, client: &mut Client, customer: CustomerId) -> pb::CustomerValue {
    client.fit_models(fit_request(stack).await).await.unwrap();
    let request = pb::GetCustomerValueRequest {
        customer_id: customer.to_string(),
        ..pb::GetCustomerValueRequest::default()
    };
    let value = client
        .get_customer_value(request)
        .await
        .unwrap()
        .into_inner();
    value.value.unwrap()
}
