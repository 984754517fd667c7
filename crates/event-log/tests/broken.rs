//! Logs without one of their guards: what examines a log has to find it. A binary of its own, since a guard is left out for all
//! of a process.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[expect(dead_code, reason = "what other tests use of it")]
#[path = "it/account.rs"]
mod account;

use std::time::Duration;

use account::{Account, Command, open, plain, request};
use event_log::verify;
use fail::FailScenario;
use sqlx::Connection as _;
use testing::TestDatabase;

#[tokio::test]
async fn a_position_that_was_left_out_is_found() {
    let scenario = FailScenario::setup();
    let database = TestDatabase::create("broken-positions").await.unwrap();
    let log = open(&database).await;
    fail::cfg("broken-positions", "return").unwrap();
    for n in 0..3 {
        log.execute::<Account, ()>(&request(), &plain(n), &Command::Add(1), |_| ())
            .await
            .unwrap();
    }
    let mut connection = log.pool().acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let checks = verify(&mut transaction, Duration::from_secs(3600))
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    let failed: Vec<_> = checks.iter().filter(|check| !check.holds()).collect();
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].claim, "positions are gapless up to the head");
    assert_eq!(failed[0].findings_total, 3);
    drop(connection);
    log.close().await;
    database.drop().await.unwrap();
    scenario.teardown();
}
