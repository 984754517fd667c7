//! Things that happen at the same time, brought to the worst moment by locks that the test holds.

use aggregate::CustomerId;
use contracts::segmentation::v1::{DefineSegmentRequest, MembershipCause};
use service::clock;
use sqlx::{Postgres, Transaction};
use testing::{
    eventually,
    stack::{SOON, TENANT},
};
use uuid::Uuid;

use crate::{
    feed::{absorbed, merged, moved, purchased, registered, registered_in},
    requests::{Moved, define, define_request, members, moved as changes},
    stack::Stack,
};

/// Nobody else uses the table as `mode` forbids until the transaction ends.
async fn hold(stack: &Stack, statement: &'static str) -> Transaction<'static, Postgres> {
    let mut transaction = stack.pool.begin().await.unwrap();
    sqlx::query(statement)
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction
}

/// Waits until this many statements of these beginnings wait for a lock.
async fn waiting(stack: &Stack, statements: &[&str], expected: i64) {
    let patterns: Vec<String> = statements
        .iter()
        .map(|beginning| format!("{beginning}%"))
        .collect();
    eventually(SOON, &format!("{expected} of {statements:?} to wait for a lock"), || async {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
             where datname = current_database() and wait_event_type = 'Lock' and query like any($1)",
        )
        .bind(&patterns)
        .fetch_one(&stack.pool)
        .await
        .unwrap();
        (waiting >= expected).then_some(())
    })
    .await;
}

/// Each of two batches brings half of what the rule asks for, and neither sees the other's half: the customer must enter all the same.
#[tokio::test]
async fn two_logs_that_tell_of_a_customer_at_once_miss_nothing() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let customer = crate::feed::customer();
    let registered = registered_in(TENANT, customer, "DE");
    stack.feed(&stack.customers, &[registered]).await;
    let rule = "customer.country == \"TR\" && purchases.count() > 0";
    let segment = define(&mut client, "turkish-buyers", rule).await;
    assert!(members(&stack, &mut client, &segment).await.is_empty());

    let held = hold(&stack, "lock table segment in access exclusive mode").await;
    stack
        .feed(&stack.customers, &[moved(customer, "TR", 1)])
        .await;
    stack.record(purchased(customer, clock::now(), 1)).await;
    let evaluating = [
        "select segment_id, name, rule, rule_version from segment where tenant",
        "select from customer_due",
    ];
    waiting(&stack, &evaluating, 2).await;
    held.rollback().await.unwrap();

    let changes = changes(&stack, &segment, 1).await;
    assert_eq!((changes[0].customer, changes[0].entered), (customer, true));
    stack.stop().await;
}

/// A purchase under the id of somebody who was merged, while the other's log tells of that: whichever comes second sees the first.
#[tokio::test]
async fn a_purchase_and_the_absorption_of_who_made_it_miss_nothing() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let (old, new) = (stack.register().await, stack.register().await);
    let segment = define(&mut client, "buyers", "purchases.count() > 0").await;
    stack.feed(&stack.customers, &[merged(old, new, 1)]).await;
    assert!(members(&stack, &mut client, &segment).await.is_empty());

    let held = hold(&stack, "lock table segment in access exclusive mode").await;
    stack.record(purchased(old, clock::now(), 1)).await;
    stack
        .feed(&stack.customers, &[absorbed(new, &[old], 1)])
        .await;
    let evaluating = [
        "select segment_id, name, rule, rule_version from segment where tenant",
        "select from customer_due",
    ];
    waiting(&stack, &evaluating, 2).await;
    held.rollback().await.unwrap();

    let changes = changes(&stack, &segment, 1).await;
    assert_eq!((changes[0].customer, changes[0].entered), (new, true));
    stack.stop().await;
}

/// A customer is being registered, by a batch that saw no such segment, while the segment is evaluated for everyone.
#[tokio::test]
async fn whoever_is_registered_while_a_segment_is_defined_is_not_forgotten() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let old = define(&mut client, "old", "true").await;

    let held = hold(&stack, "lock table member in share mode").await;
    // A registration under way holds the head of its partition. Were the new segment's events to stand in the same one, defining
    // it would wait for the registration too, and there would be no race to see; so the ids are fixed, and lie apart.
    let customer = CustomerId(Uuid::from_u128(1));
    stack.feed(&stack.customers, &[registered(customer)]).await;
    waiting(&stack, &["with change as"], 1).await;
    let mut other_client = stack.client();
    let defining = async {
        let answer = other_client
            .define_segment(DefineSegmentRequest {
                request_id: "define-new".to_owned(),
                ..define_request("new", "true")
            })
            .await
            .unwrap();
        answer.into_inner().segment.unwrap()
    };
    let releasing = async {
        // It waits for the registration; if it passed it by, it would be done.
        tokio::select! {
            () = waiting(&stack, &["select from evaluated where source = $1 order by"], 1) => {}
            () = evaluated(&stack, "new") => {}
        }
        held.rollback().await.unwrap();
    };
    let (new, ()) = tokio::join!(defining, releasing);
    for segment in [&old, &new] {
        assert_eq!(
            members(&stack, &mut stack.client(), segment).await,
            [customer].into(),
            "{}",
            segment.name
        );
    }
    let expected = [Moved::new(customer, true, 1, MembershipCause::Rule)];
    assert_eq!(changes(&stack, &new, 1).await, expected);
    stack.stop().await;
}

async fn evaluated(stack: &Stack, name: &str) {
    eventually(SOON, "the segment to be evaluated", || async {
        let evaluated: Option<i32> =
            sqlx::query_scalar("select evaluated_version from segment where name = $1")
                .bind(name)
                .fetch_optional(&stack.pool)
                .await
                .unwrap();
        (evaluated == Some(1)).then_some(())
    })
    .await;
}
