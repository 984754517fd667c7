//! One evaluator: what events have led to, step by step and from both logs at once, is what the preview says and what an evaluation of
//! everyone says.

use std::collections::BTreeSet;

use aggregate::CustomerId;
use contracts::segmentation::v1 as pb;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngSeed, TestRunner},
};
use service::clock;
use time::Duration;

use crate::{
    feed::{self, Fact, moved, purchased, registered, returned, touched},
    requests::{define, ids, members, moment, moves},
    stack::{Client, Stack},
};

const RULES: [&str; 7] = [
    "purchases.within(\"30d\").count() >= 2",
    "purchases.count() == 0",
    "measures.monetary_minor > 5000 && customer.country == \"TR\"",
    "returns.count() > 0 || touchpoints.within(\"10d\").count() > 1",
    "measures.recency_days > 20.0",
    "!(customer.country == \"TR\")",
    "customer.kind == \"person\" && purchases.between(\"60d\", \"20d\").sum_minor() > 1000",
];
const CUSTOMERS: usize = 40;

/// What happens to one customer: purchases, returns, contacts (days ago, amount), and whether they move away.
type Life = (Vec<(i64, i64)>, Vec<(i64, i64)>, Vec<i64>, bool);

fn lives() -> Vec<Life> {
    let amounts = |most| prop::collection::vec((0..80_i64, 1..4_000_i64), 0..most);
    let life = (
        amounts(5),
        amounts(2),
        prop::collection::vec(0..20_i64, 0..3),
        any::<bool>(),
    );
    let config = Config {
        rng_seed: RngSeed::Fixed(7),
        ..Config::default()
    };
    let lives = prop::collection::vec(life, CUSTOMERS);
    lives
        .new_tree(&mut TestRunner::new(config))
        .unwrap()
        .current()
}

/// The facts of each log, so shuffled that both logs tell of the same customers at the same time.
fn facts() -> (Vec<CustomerId>, Vec<Fact>, Vec<Fact>, Vec<Fact>) {
    let now = clock::now();
    // Not on the minute of a window's end.
    let at = |days: i64| now - Duration::days(days) - Duration::hours(1);
    let (mut customers, mut registrations) = (Vec::new(), Vec::new());
    let (mut moves, mut interactions) = (Vec::new(), Vec::new());
    for (purchases, returns, touchpoints, moves_away) in lives() {
        let customer = feed::customer();
        customers.push(customer);
        registrations.push(registered(customer));
        if moves_away {
            moves.push(moved(customer, "DE", 1));
        }
        interactions.extend(
            purchases
                .into_iter()
                .map(|(days, amount)| purchased(customer, at(days), amount)),
        );
        interactions.extend(
            returns
                .into_iter()
                .map(|(days, amount)| returned(customer, at(days), amount)),
        );
        interactions.extend(
            touchpoints
                .into_iter()
                .map(|days| touched(customer, at(days))),
        );
    }
    interactions.sort_by_key(|fact| fact.event_id.as_u128() & 0xffff);
    (customers, registrations, moves, interactions)
}

async fn assert_agree(stack: &Stack, client: &mut Client, segments: &[pb::Segment]) {
    for segment in segments {
        let recorded = members(stack, client, segment).await;
        let request = pb::PreviewSegmentRequest {
            rule: segment.rule.clone(),
            sample_size: 100,
            ..pb::PreviewSegmentRequest::default()
        };
        let preview = client.preview_segment(request).await.unwrap().into_inner();
        let previewed: BTreeSet<CustomerId> = preview
            .sample_customer_ids
            .iter()
            .map(|id| id.parse().unwrap())
            .collect();
        assert_eq!(recorded, previewed, "{}", segment.rule);
        assert_eq!(preview.members as usize, recorded.len());
        let request = pb::ListSegmentMembersRequest {
            segment_id: segment.segment_id.clone(),
            as_of: moment(clock::now()),
            page_size: 1000,
            ..pb::ListSegmentMembersRequest::default()
        };
        let as_of = client
            .list_segment_members(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(recorded, ids(&as_of), "{}", segment.rule);
        // Folding the events of each customer gives the same members.
        let mut folded = BTreeSet::new();
        for change in moves(stack, segment).await {
            let changed = if change.entered {
                folded.insert(change.customer)
            } else {
                folded.remove(&change.customer)
            };
            assert!(changed, "{change:?} changes nothing");
        }
        assert_eq!(recorded, folded, "{}", segment.rule);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preview_evaluation_and_increment_agree() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut segments = Vec::new();
    for (n, rule) in RULES.iter().enumerate() {
        segments.push(define(&mut client, &format!("before-{n}"), rule).await);
    }
    let (customers, registrations, moves, interactions) = facts();
    let feed_customers = async {
        for registration in &registrations {
            stack
                .feed(&stack.customers, std::slice::from_ref(registration))
                .await;
        }
        for change in &moves {
            stack
                .feed(&stack.customers, std::slice::from_ref(change))
                .await;
        }
    };
    let feed_interactions = async {
        for facts in interactions.chunks(3) {
            stack.feed(&stack.interactions, facts).await;
        }
    };
    // While both logs arrive, rules are defined that everyone has to be evaluated for.
    let mut other_client = stack.client();
    let define_more = async {
        let mut segments = Vec::new();
        for (n, rule) in RULES.iter().enumerate() {
            segments.push(define(&mut other_client, &format!("during-{n}"), rule).await);
        }
        segments
    };
    let ((), (), during) = tokio::join!(feed_customers, feed_interactions, define_more);
    segments.extend(during);
    assert_agree(&stack, &mut client, &segments).await;
    for (n, rule) in RULES.iter().enumerate() {
        segments.push(define(&mut client, &format!("after-{n}"), rule).await);
    }
    assert_agree(&stack, &mut client, &segments).await;
    // The rules tell customers apart: no segment is empty, none holds everyone.
    for segment in &segments {
        let count = members(&stack, &mut client, segment).await.len();
        assert!(
            (1..customers.len()).contains(&count),
            "{}: {count}",
            segment.rule
        );
    }
    stack.stop().await;
}
