//! Rows are made anew from the logs, and nobody is told anything twice.

use aggregate::{CustomerId, StreamId};
use contracts::segmentation::v1 as pb;
use event_log::{
    Projection as _, Stream,
    control::{self, Target},
    rebuild::Rebuild,
};
use service::{ServiceName, clock};
use testing::{
    eventually,
    refusal::reason,
    stack::{SOON, tenant},
};
use time::Duration;

use crate::{
    feed::{
        self, absorbed, merged, moved, purchased, registered, returned, separated, touched,
        unmerged,
    },
    requests::{define, members, moves},
    stack::Stack,
};

const FACTS: [&str; 3] = ["customer_fact", "purchase_fact", "touchpoint_fact"];
const STANDINGS: [&str; 3] = ["member", "score", "valuation"];

/// A few customers with facts of every kind, and segments that hold some of them.
async fn some_history(stack: &Stack) -> Vec<pb::Segment> {
    let mut client = stack.client();
    let mut segments = vec![
        define(
            &mut client,
            "buyers",
            "purchases.within(\"30d\").count() > 0",
        )
        .await,
        define(
            &mut client,
            "idle",
            "touchpoints.count() == 0 && customer.country == \"TR\"",
        )
        .await,
    ];
    let customers: Vec<_> = (0..12).map(|_| feed::customer()).collect();
    let at = clock::now() - Duration::days(1);
    for (n, customer) in customers.iter().enumerate() {
        stack.feed(&stack.customers, &[registered(*customer)]).await;
        if n % 2 == 0 {
            stack.record(purchased(*customer, at, 500)).await;
            stack
                .feed(&stack.customers, &[moved(*customer, "", 1)])
                .await;
        }
        if n % 3 == 0 {
            stack.record(returned(*customer, at, 100)).await;
            stack.record(touched(*customer, at)).await;
        }
    }
    merge_some(stack, &customers).await;
    segments.push(define(&mut client, "everyone", "true").await);
    for (segment, expected) in segments.iter().zip([6, 3, 11]) {
        assert_eq!(
            members(stack, &mut client, segment).await.len(),
            expected,
            "{}",
            segment.name
        );
    }
    segments
}

/// One who was idle is merged into one who bought; another is too, and that is undone.
async fn merge_some(stack: &Stack, customers: &[CustomerId]) {
    let (one, other, buyer) = (customers[1], customers[5], customers[2]);
    let facts = [
        absorbed(buyer, &[one], 2),
        merged(one, buyer, 1),
        absorbed(buyer, &[other], 3),
        merged(other, buyer, 1),
        separated(buyer, &[other], 4),
        unmerged(other, buyer, 2),
    ];
    for fact in facts {
        stack.feed(&stack.customers, &[fact]).await;
    }
}

const FACT_PROJECTIONS: &[&str] = &[
    "segmentation.customer_facts",
    "segmentation.interaction_facts",
];

#[tokio::test]
async fn facts_from_zero_are_the_same_and_move_nobody() {
    let stack = Stack::start().await;
    let segments = some_history(&stack).await;
    let (facts, standings) = (stack.dump(&FACTS).await, stack.dump(&STANDINGS).await);
    let written = stack.written().await;

    let stack = stack.rebuilt(FACT_PROJECTIONS, &FACTS).await;
    assert_eq!(stack.dump(&FACTS).await, facts);
    // Applied twice, over rows that are there.
    let stack = stack.rebuilt(FACT_PROJECTIONS, &[]).await;
    assert_eq!(stack.dump(&FACTS).await, facts);
    assert_eq!(stack.dump(&STANDINGS).await, standings);
    assert_eq!(
        stack.written().await,
        written,
        "a rebuild appended something"
    );

    // What happens from now on is evaluated again.
    let customer = stack.register().await;
    stack.record(purchased(customer, clock::now(), 1)).await;
    let mut client = stack.client();
    assert!(
        members(&stack, &mut client, &segments[0])
            .await
            .contains(&customer)
    );
    stack.stop().await;
}

/// Half of the facts are there and somebody is due: they must not be thrown out of their segments because of it.
#[tokio::test]
async fn nobody_is_evaluated_on_half_of_the_facts() {
    let stack = Stack::start().await;
    let segments = some_history(&stack).await;
    let before = moves(&stack, &segments[0]).await;
    let stack = stack
        .restart(async |stack| {
            // The purchases are gone and everyone is due, and the follower of interactions finds no log to read from.
            for statement in [
                "truncate purchase_fact",
                "update customer_due set next_due = now()",
                "delete from checkpoint where projection = 'segmentation.interaction_facts'",
                // Held by somebody else: the follower cannot take it and stands still.
                "insert into checkpoint (partition, projection, version, owner, lease_until)
                 select n, 'segmentation.interaction_facts', 1, gen_random_uuid(), now() + interval '4 seconds'
                 from generate_series(0, 63) as n",
            ] {
                sqlx::query(statement).execute(&stack.pool).await.unwrap();
            }
        })
        .await;
    // A customer who is new is evaluated only when all facts are there.
    let late = stack.register().await;
    stack.record(purchased(late, clock::now(), 1)).await;
    let mut refused = tonic::Request::new(pb::FitModelsRequest {
        calibration_end_time: crate::requests::moment(clock::now() - Duration::days(2)),
        ..pb::FitModelsRequest::default()
    });
    refused.set_timeout(SOON);
    let status = stack.client().fit_models(refused).await.unwrap_err();
    assert_eq!(reason(&status), "FACTS_BEHIND");
    assert_eq!(moves(&stack, &segments[0]).await, before, "somebody moved");
    // The lease runs out, the facts catch up, and whoever was due is evaluated.
    let mut client = stack.client();
    assert_eq!(members(&stack, &mut client, &segments[0]).await.len(), 7);
    eventually(SOON, "nobody to be due any more", || async {
        let due: i64 =
            sqlx::query_scalar("select count(*) from customer_due where next_due <= now()")
                .fetch_one(&stack.pool)
                .await
                .unwrap();
        (due == 0).then_some(())
    })
    .await;
    let after = moves(&stack, &segments[0]).await;
    assert_eq!(after.len(), before.len() + 1, "only the new customer moved");
    stack.stop().await;
}

#[tokio::test]
async fn segments_from_zero_are_the_same_and_move_nobody() {
    let stack = Stack::start().await;
    let segments = some_history(&stack).await;
    let mut client = stack.client();
    let update = pb::UpdateSegmentRequest {
        request_id: String::new(),
        segment_id: segments[0].segment_id.clone(),
        rule: "purchases.count() > 0".to_owned(),
    };
    client.update_segment(update).await.unwrap();
    let rows = stack.rows("segment").await;
    let (standings, written) = (stack.dump(&STANDINGS).await, stack.written().await);
    let mut stack = stack;
    for tables in [&["segment", "fit"][..], &[]] {
        stack = stack.rebuilt(&["segmentation.catalogue"], tables).await;
        eventually(SOON, "everyone to be evaluated again", || async {
            (stack.rows("segment").await == rows).then_some(())
        })
        .await;
        assert_eq!(stack.dump(&STANDINGS).await, standings);
        assert_eq!(stack.written().await, written);
    }
    stack.stop().await;
}

#[tokio::test]
async fn rows_made_anew_beside_the_live_ones_move_nobody() {
    let stack = Stack::start().await;
    let segments = some_history(&stack).await;
    let tables = [
        "customer_fact",
        "purchase_fact",
        "touchpoint_fact",
        "segment",
        "member",
        "customer_due",
        "evaluated",
    ];
    let (rows, written) = (stack.dump(&tables).await, stack.written().await);
    let others = [&stack.customers, &stack.interactions];
    stack.remade(segmentation::projections, &others).await;
    assert_eq!(stack.dump(&tables).await, rows);
    assert_eq!(
        stack.written().await,
        written,
        "a rebuild appended something"
    );
    // What happens from now on is evaluated.
    let customer = stack.register().await;
    stack.record(purchased(customer, clock::now(), 1)).await;
    let mut client = stack.client();
    assert!(
        members(&stack, &mut client, &segments[0])
            .await
            .contains(&customer)
    );
    stack.stop().await;
}

const FACTS_OF_INTERACTIONS: Target = Target {
    projection: "segmentation.interaction_facts",
    version: 1,
};

/// Records a purchase whose stream was parked before, and something of the same customer behind it.
async fn a_purchase_that_waits(stack: &Stack) -> CustomerId {
    let customer = stack.register().await;
    let message = feed::purchase_message(customer, clock::now(), 1);
    let stream = StreamId(message.purchase_id.parse().unwrap());
    let stream = Stream::about_customer(&tenant(), customer, stream);
    let place = (stream.partition, &stream.tenant, stream.id);
    control::park(&stack.pool, FACTS_OF_INTERACTIONS, place, "to be tested")
        .await
        .unwrap();
    stack.record(feed::recorded(&message)).await;
    stack.record(touched(customer, clock::now())).await;
    customer
}

/// Evaluation has come further than what was parked; nevertheless nobody is left out.
#[tokio::test]
async fn whoever_was_parked_is_evaluated_when_it_is_applied_and_when_it_is_made_anew() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let buyers = define(&mut client, "buyers", "purchases.count() > 0").await;
    let replayed = a_purchase_that_waits(&stack).await;
    assert!(
        !members(&stack, &mut client, &buyers)
            .await
            .contains(&replayed)
    );
    let asked = control::replay(&stack.pool, FACTS_OF_INTERACTIONS, None).await;
    assert_eq!(asked.unwrap(), 1);
    eventually(SOON, "the parked purchase counts", || async {
        let now = members(&stack, &mut stack.client(), &buyers).await;
        now.contains(&replayed).then_some(())
    })
    .await;

    let remade = a_purchase_that_waits(&stack).await;
    assert!(
        !members(&stack, &mut client, &buyers)
            .await
            .contains(&remade)
    );
    let own = stack.open_log().await;
    let kept = segmentation::projections(&own)
        .into_iter()
        .find(|kept| kept.source == ServiceName::Interactions)
        .unwrap();
    assert_eq!(kept.projection.name(), FACTS_OF_INTERACTIONS.projection);
    let rebuild = Rebuild::begin(&stack.pool, &stack.interactions, kept.projection, 10).await;
    rebuild.unwrap().take_over().await.unwrap();
    own.close().await;
    assert!(
        members(&stack, &mut client, &buyers)
            .await
            .contains(&remade)
    );
    let parked = control::parked(&stack.pool, FACTS_OF_INTERACTIONS).await;
    assert_eq!(parked.unwrap(), []);
    let entered = moves(&stack, &buyers).await;
    assert_eq!(entered.len(), 2, "each of them once");
    stack.stop().await;
}
