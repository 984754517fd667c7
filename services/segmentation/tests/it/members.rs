//! Who enters and leaves, when, and why.

use contracts::segmentation::v1::{self as pb, MembershipCause};
use event_log::{Append, NewEvent, Stream};
use prost::Message as _;
use service::clock;
use testing::{
    eventually,
    refusal::refused,
    stack::{SOON, tenant},
};
use time::{Duration, macros::datetime};
use tonic::Code;
use uuid::Uuid;

use crate::{
    feed::{self, purchase_message, purchased, recorded, registered, returned, touched},
    requests::{Moved, define, members, moment, moved, moves},
    stack::Stack,
};

#[tokio::test]
async fn an_event_moves_whom_it_touches_and_is_named_as_the_cause() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (customer, bystander) = (stack.register().await, stack.register().await);
    let buyers = define(&mut client, "buyers", "purchases.count() > 0").await;
    let keepers = define(&mut client, "keepers", "measures.returns == 0").await;
    let silent = define(
        &mut client,
        "silent",
        "touchpoints.direction(\"outbound\").channel(\"email\").count() == 0",
    )
    .await;
    let turks = define(&mut client, "turks", "customer.country == \"TR\"").await;
    let at = clock::now() - Duration::hours(1);

    let bought = stack.record(purchased(customer, at, 500)).await;
    let entered = Moved::new(customer, true, 1, MembershipCause::Event).by(bought);
    assert_eq!(moved(&stack, &buyers, 1).await, [entered]);

    let gave_back = stack.record(returned(customer, at, 500)).await;
    let left = Moved::new(customer, false, 1, MembershipCause::Event).by(gave_back);
    assert!(moved(&stack, &keepers, 3).await.contains(&left));

    let spoken = stack.record(touched(customer, at)).await;
    let left = Moved::new(customer, false, 1, MembershipCause::Event).by(spoken);
    assert!(moved(&stack, &silent, 3).await.contains(&left));

    let gone = feed::moved(customer, "DE", 1);
    let away = gone.event_id;
    stack.feed(&stack.customers, &[gone]).await;
    let left = Moved::new(customer, false, 1, MembershipCause::Event).by(away);
    assert!(moved(&stack, &turks, 3).await.contains(&left));

    for (segment, expected) in [
        (&buyers, customer),
        (&keepers, bystander),
        (&silent, bystander),
        (&turks, bystander),
    ] {
        assert_eq!(
            members(&stack, &mut client, segment).await,
            [expected].into(),
            "{}",
            segment.name
        );
    }
    stack.stop().await;
}

#[tokio::test]
async fn whoever_is_erased_leaves_every_segment_and_enters_none() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (customer, bystander) = (stack.register().await, stack.register().await);
    let everybody = define(&mut client, "everybody", "true").await;
    let silent = define(&mut client, "silent", "purchases.count() == 0").await;
    for segment in [&everybody, &silent] {
        let both = [customer, bystander].into();
        assert_eq!(members(&stack, &mut client, segment).await, both);
    }
    let erasure = feed::erased(customer, 1);
    let event = erasure.event_id;
    stack.feed(&stack.customers, &[erasure]).await;
    let left = Moved::new(customer, false, 1, MembershipCause::Event).by(event);
    for segment in [&everybody, &silent] {
        assert!(moved(&stack, segment, 3).await.contains(&left));
        assert_eq!(
            members(&stack, &mut client, segment).await,
            [bystander].into()
        );
    }
    // What is bought later is counted, and moves nobody.
    let at = clock::now() - Duration::hours(1);
    let buyers = define(&mut client, "buyers", "purchases.count() > 0").await;
    stack.record(purchased(customer, at, 500)).await;
    let bought = stack.record(purchased(bystander, at, 500)).await;
    let entered = Moved::new(bystander, true, 1, MembershipCause::Event).by(bought);
    assert_eq!(moved(&stack, &buyers, 1).await, [entered]);
    let wiped: Vec<(String, i64)> =
        sqlx::query_as("select what, rows from wiped where subject = $1 order by what")
            .bind(customer.0)
            .fetch_all(&stack.pool)
            .await
            .unwrap();
    let expected = [("customer_fact", 1), ("data_key", 0), ("snapshot", 0)];
    assert_eq!(wiped, expected.map(|(what, rows)| (what.to_owned(), rows)));
    stack.stop().await;
}

#[tokio::test]
async fn a_purchase_that_arrives_before_its_customer_counts_when_the_customer_arrives() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let buyers = define(&mut client, "buyers", "purchases.count() > 0").await;
    let nobodies = define(&mut client, "nobodies", "purchases.count() == 0").await;
    let customer = feed::customer();
    stack
        .record(purchased(customer, datetime!(2026-01-05 9:00 UTC), 500))
        .await;
    assert_eq!(members(&stack, &mut client, &buyers).await, [].into());
    let registered = registered(customer);
    let event = registered.event_id;
    stack.feed(&stack.customers, &[registered]).await;
    let entered = Moved::new(customer, true, 1, MembershipCause::Event).by(event);
    assert_eq!(moved(&stack, &buyers, 1).await, [entered]);
    assert_eq!(members(&stack, &mut client, &nobodies).await, [].into());
    stack.stop().await;
}

#[tokio::test]
async fn history_is_marked_as_the_cause_so_that_nobody_reacts_to_it() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let buyers = define(&mut client, "buyers", "purchases.count() > 0").await;
    let customer = stack.register().await;
    members(&stack, &mut client, &buyers).await;
    let mut old = purchase_message(customer, datetime!(2020-01-05 9:00 UTC), 500);
    old.backfill = true;
    let event = stack.record(recorded(&old)).await;
    let entered = Moved::new(customer, true, 1, MembershipCause::Backfill).by(event);
    assert_eq!(moved(&stack, &buyers, 1).await, [entered]);
    stack.stop().await;
}

#[tokio::test]
async fn a_window_runs_out_within_a_second() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let fresh = define(&mut client, "fresh", "purchases.within(\"4s\").count() > 0").await;
    let settled = define(
        &mut client,
        "settled",
        "purchases.between(\"100d\", \"4s\").count() > 0",
    )
    .await;
    let turks = define(&mut client, "turks", "customer.country == \"TR\"").await;
    let customer = stack.register().await;
    members(&stack, &mut client, &fresh).await;
    let bought_at = clock::now();
    let event = stack.record(purchased(customer, bought_at, 500)).await;
    let entered = Moved::new(customer, true, 1, MembershipCause::Event).by(event);
    assert_eq!(
        moved(&stack, &fresh, 1).await,
        std::slice::from_ref(&entered)
    );
    // Something else happens meanwhile, for which only another segment is evaluated.
    let change = feed::moved(customer, "DE", 1);
    stack.feed(&stack.customers, &[change]).await;
    assert!(members(&stack, &mut client, &turks).await.is_empty());
    let left = Moved::new(customer, false, 1, MembershipCause::Time);
    assert_eq!(moved(&stack, &fresh, 2).await, [entered, left]);
    let entered = Moved::new(customer, true, 1, MembershipCause::Time);
    assert_eq!(moved(&stack, &settled, 1).await, [entered]);
    let late: f64 = sqlx::query_scalar(
        "select extract(epoch from max(recorded_at) - ($1 + interval '4 seconds'))::float8 from event
         where type like '%.SegmentLeft'",
    )
    .bind(bought_at)
    .fetch_one(&stack.pool)
    .await
    .unwrap();
    assert!(
        (0.0..1.0).contains(&late),
        "{late} s after the window ran out"
    );
    stack.stop().await;
}

#[tokio::test]
async fn a_window_that_runs_out_while_the_service_is_away_is_not_forgotten() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let fresh = define(&mut client, "fresh", "purchases.within(\"3s\").count() > 0").await;
    let customer = stack.register().await;
    members(&stack, &mut client, &fresh).await;
    let bought_at = clock::now();
    stack.record(purchased(customer, bought_at, 500)).await;
    moved(&stack, &fresh, 1).await;
    let stack = stack
        .restart(async |_| {
            eventually(SOON, "the window to run out", || async {
                (clock::now() > bought_at + Duration::seconds(3)).then_some(())
            })
            .await;
        })
        .await;
    let moves = moved(&stack, &fresh, 2).await;
    assert_eq!(
        moves[1],
        Moved::new(customer, false, 1, MembershipCause::Time)
    );
    stack.stop().await;
}

/// The definition is committed and the service dies: whoever starts next finishes the evaluation.
#[tokio::test]
async fn an_evaluation_that_was_never_begun_is_made_up_for() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let customer = stack.register().await;
    let nobody = define(&mut client, "nobody", "false").await;
    members(&stack, &mut client, &nobody).await;
    let id = Uuid::new_v4();
    let stack = stack
        .restart(async |stack| append_definition(stack, id).await)
        .await;
    let segment = pb::Segment {
        segment_id: id.to_string(),
        ..pb::Segment::default()
    };
    let expected = [Moved::new(customer, true, 1, MembershipCause::Rule)];
    assert_eq!(moved(&stack, &segment, 1).await, expected);
    stack.stop().await;
}

/// Appends to the stopped service's log what defining a segment appends first.
async fn append_definition(stack: &Stack, id: Uuid) {
    let log = stack.open_log().await;
    let defined = pb::SegmentDefined {
        segment_id: id.to_string(),
        name: "everyone".to_owned(),
        rule: "true".to_owned(),
    };
    let append = Append {
        stream: Stream::of_own(&tenant(), aggregate::StreamId(id)),
        expected_version: 0,
        events: vec![NewEvent {
            event_id: Uuid::now_v7(),
            type_: "vefa.segmentation.v1.SegmentDefined",
            schema_version: 1,
            payload: defined.encode_to_vec().into(),
            metadata: bytes::Bytes::new(),
            occurred_at: clock::now(),
        }],
        new_key: None,
        erases: false,
    };
    testing::log::append(&log, clock::now(), vec![append]).await;
    log.close().await;
}

#[tokio::test]
async fn a_membership_is_explained_with_the_values_that_the_rule_saw() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let customer = stack.register().await;
    stack
        .record(purchased(customer, datetime!(2026-01-05 9:00 UTC), 1_500))
        .await;
    let rule =
        "customer.country == \"TR\" && purchases.sum_minor() > 1000 && measures.p_alive < 0.5";
    let segment = define(&mut client, "explained", rule).await;
    members(&stack, &mut client, &segment).await;
    let request = pb::ExplainMembershipRequest {
        segment_id: segment.segment_id.clone(),
        customer_id: customer.to_string(),
        as_of: None,
    };
    let explained = client
        .explain_membership(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(!explained.member);
    assert_eq!(explained.rule_version, 1);
    let value_of = |expression: &str| {
        let node = explained
            .nodes
            .iter()
            .find(|node| node.expression == expression);
        node.unwrap_or_else(|| panic!("no {expression} in {explained:?}"))
            .value
            .clone()
    };
    assert_eq!(explained.nodes[0].expression, rule);
    assert_eq!(explained.nodes[0].depth, 0);
    assert_eq!(value_of("customer.country"), "TR");
    assert_eq!(value_of("purchases.sum_minor()"), "1500");
    assert_eq!(value_of("purchases.sum_minor() > 1000"), "true");
    assert_eq!(value_of("measures.p_alive"), "null");
    // Before the purchase there was nothing to sum.
    let before = pb::ExplainMembershipRequest {
        as_of: moment(datetime!(2026-01-05 8:59 UTC)),
        ..request.clone()
    };
    let before = client
        .explain_membership(before)
        .await
        .unwrap()
        .into_inner();
    let sum = before
        .nodes
        .iter()
        .find(|node| node.expression == "purchases.sum_minor()")
        .unwrap();
    assert_eq!(sum.value, "0");
    let stranger = pb::ExplainMembershipRequest {
        customer_id: Uuid::new_v4().to_string(),
        ..request.clone()
    };
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        client.explain_membership(stranger),
    )
    .await;
    let mut other = stack.client_of("other", &["segmentation.read"]);
    refused(
        &stack,
        Code::NotFound,
        "NOT_FOUND",
        other.explain_membership(request),
    )
    .await;
    assert_eq!(moves(&stack, &segment).await, []);
    stack.stop().await;
}

/// An event of a type that this version does not know stops the follower: nothing behind it is applied, and nothing is lost.
#[tokio::test]
async fn an_unknown_event_is_never_skipped() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let customer = stack.register().await;
    let buyers = define(&mut client, "buyers", "purchases.count() > 0").await;
    members(&stack, &mut client, &buyers).await;
    stack.record(feed::unheard_of(customer)).await;
    stack
        .record(purchased(customer, datetime!(2026-01-05 9:00 UTC), 1))
        .await;
    let mut request = tonic::Request::new(pb::ListSegmentMembersRequest {
        segment_id: buyers.segment_id.clone(),
        consistency_token: stack.fed().await,
        ..pb::ListSegmentMembersRequest::default()
    });
    request.set_timeout(std::time::Duration::from_secs(2));
    // The client's own clock may be the first to tell.
    let status = client.list_segment_members(request).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    let applied: i64 = sqlx::query_scalar(
        "select coalesce(sum(position), 0)::bigint from checkpoint where projection = 'segmentation.interaction_facts'",
    )
    .fetch_one(&stack.pool)
    .await
    .unwrap();
    assert_eq!(applied, 0);
    assert_eq!(moves(&stack, &buyers).await, []);
    stack.stop().await;
}
