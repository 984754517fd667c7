//! What `verify` says of a whole log, and of one in which something was broken on purpose.

use std::time::Duration;

use event_log::{EventLog, verify};
use sqlx::{Connection as _, PgConnection};
use testing::TestDatabase;

use crate::account::{Account, Command, open, plain, request_id};

const LONG: Duration = Duration::from_secs(3600);

async fn filled(label: &str) -> (TestDatabase, EventLog) {
    let database = TestDatabase::create(label).await.unwrap();
    let log = open(&database).await;
    for n in 0..40_u128 {
        let request = request_id(&n.to_string(), 1);
        log.execute::<Account, ()>(&request, &plain(n % 10), &Command::Add(1), |_| ())
            .await
            .unwrap();
    }
    (database, log)
}

/// The claims that do not hold, with their first findings.
async fn broken(log: &EventLog, idle_max: Duration) -> Vec<(&'static str, String)> {
    let mut connection = log.pool().acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let checks = verify(&mut transaction, idle_max).await.unwrap();
    // At once, and not when the pool comes to it: the next look would find this one standing idle.
    transaction.rollback().await.unwrap();
    assert_eq!(checks.len(), 10);
    checks
        .into_iter()
        .filter(|check| !check.holds())
        .map(|check| (check.claim, check.findings[0].clone()))
        .collect()
}

async fn after(label: &str, statement: &'static str) -> Vec<(&'static str, String)> {
    let (database, log) = filled(label).await;
    let mut transaction = log.pool().begin().await.unwrap();
    let changed = sqlx::query(statement)
        .execute(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), 1, "{statement}");
    transaction.commit().await.unwrap();
    let found = broken(&log, LONG).await;
    log.close().await;
    database.drop().await.unwrap();
    found
}

fn claims(found: &[(&'static str, String)]) -> Vec<&'static str> {
    found.iter().map(|(claim, _)| *claim).collect()
}

#[tokio::test]
async fn a_whole_log_has_no_findings() {
    let (database, log) = filled("verify-whole").await;
    assert_eq!(broken(&log, LONG).await, []);
    log.close().await;
    database.drop().await.unwrap();
}

/// Timers fire more often than events are appended: how often is no position.
#[tokio::test]
async fn timers_are_not_taken_for_a_projection() {
    let fired = "insert into checkpoint (partition, projection, version, position)
        select partition, 'timers', 1, position + 1 from log_head order by partition limit 1";
    assert_eq!(after("verify-timers", fired).await, []);
}

#[tokio::test]
async fn a_lost_event_is_found() {
    let found = after(
        "verify-lost",
        "delete from event where (partition, position) in (
            select partition, min(position) from event group by partition order by partition limit 1)",
    )
    .await;
    assert_eq!(
        claims(&found),
        [
            "positions are gapless up to the head",
            "versions are gapless in every stream",
            "every recorded command has its event"
        ]
    );
}

#[tokio::test]
async fn a_changed_version_is_found() {
    let found = after(
        "verify-version",
        "update event set version = version + 7 where (partition, tenant, stream_id, version) in (
            select partition, tenant, stream_id, max(version) from event group by 1, 2, 3 order by 1, 3 limit 1)",
    )
    .await;
    assert_eq!(
        claims(&found),
        [
            "versions are gapless in every stream",
            "every recorded command has its event"
        ]
    );
}

#[tokio::test]
async fn a_changed_head_is_found_with_its_place() {
    let found = after(
        "verify-head",
        "update log_head set position = 1000 where partition = 63",
    )
    .await;
    assert_eq!(claims(&found), ["positions are gapless up to the head"]);
    assert!(found[0].1.starts_with("partition 63: head 1000, but "));
}

#[tokio::test]
async fn a_projection_ahead_of_the_log_is_found() {
    let found = after(
        "verify-ahead",
        "insert into checkpoint (partition, projection, version, position) values (3, 'balances', 1, 1000000)",
    )
    .await;
    assert_eq!(claims(&found), ["no projection is ahead of its log"]);
}

#[tokio::test]
async fn what_is_paused_parked_or_has_diverged_is_found() {
    let found = after(
        "verify-parked",
        "insert into parked values (3, 'balances', 1, 'acme', gen_random_uuid(), 7, 'malformed', now())",
    )
    .await;
    assert_eq!(claims(&found), ["no stream is parked"]);
    let found = after(
        "verify-paused",
        "insert into paused values (3, 'balances', 1, 'operator', 'maintenance')",
    )
    .await;
    assert_eq!(claims(&found), ["no projection is paused"]);
    let found = after(
        "verify-diverged",
        "insert into divergence values (3, 'facts', 1, 'customers', 1, 2, 9, 7)",
    )
    .await;
    assert_eq!(
        claims(&found),
        ["no follower has applied what its source no longer has"]
    );
}

#[tokio::test]
async fn a_transaction_that_stands_idle_is_found() {
    let (database, log) = filled("verify-idle").await;
    let options = log.pool().connect_options();
    let mut idle = PgConnection::connect_with(&options).await.unwrap();
    let mut transaction = idle.begin().await.unwrap();
    sqlx::query("select 1")
        .execute(&mut *transaction)
        .await
        .unwrap();
    assert_eq!(broken(&log, LONG).await, []);
    let found = broken(&log, Duration::ZERO).await;
    assert_eq!(claims(&found), ["no transaction stands idle"]);
    transaction.rollback().await.unwrap();
    assert_eq!(broken(&log, Duration::ZERO).await, []);
    log.close().await;
    database.drop().await.unwrap();
}
