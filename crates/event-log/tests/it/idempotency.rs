//! The same request again: answered as the first time, and nothing happens twice.

use std::time::Duration;

use event_log::{CommandError, Decision, EventLog};
use futures::future::join_all;
use testing::{TestDatabase, eventually};

use crate::{
    account::{Account, Command, Overdrawn, open, plain, request_id},
    append::everything,
};

async fn add(
    log: &EventLog,
    id: &str,
    content: u8,
    account: u128,
    amount: i64,
) -> Result<event_log::Committed, CommandError<Overdrawn>> {
    let request = request_id(id, content);
    log.execute::<Account, i64>(&request, &plain(account), &Command::Add(amount), |loaded| {
        loaded.state.balance
    })
    .await
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer() {
    let database = TestDatabase::create("repeat").await.unwrap();
    let log = open(&database).await;
    let first = add(&log, "a", 1, 1, 5).await.unwrap();
    add(&log, "b", 1, 1, 5).await.unwrap();
    let repeat = add(&log, "a", 1, 1, 5).await.unwrap();
    assert!(!first.replayed && repeat.replayed);
    assert_eq!(
        (&repeat.response, &repeat.token),
        (&first.response, &first.token)
    );
    assert_eq!(everything(&log).await.len(), 2);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_repeat_of_what_the_state_would_now_refuse_gets_the_first_answer() {
    let database = TestDatabase::create("repeat_refused").await.unwrap();
    let log = open(&database).await;
    add(&log, "a", 1, 1, 5).await.unwrap();
    add(&log, "b", 1, 1, -5).await.unwrap();
    assert!(add(&log, "b", 1, 1, -5).await.unwrap().replayed);
    let refused = add(&log, "c", 1, 1, -5).await;
    assert!(matches!(refused, Err(CommandError::Rejected(_))));
    // A refusal is not kept: the same request may succeed later.
    add(&log, "d", 1, 1, 5).await.unwrap();
    assert!(!add(&log, "c", 1, 1, -5).await.unwrap().replayed);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn the_same_id_with_other_content_is_refused() {
    let database = TestDatabase::create("mismatch").await.unwrap();
    let log = open(&database).await;
    add(&log, "a", 1, 1, 5).await.unwrap();
    let other = add(&log, "a", 2, 2, 5).await;
    assert!(
        matches!(other, Err(CommandError::IdempotencyMismatch)),
        "{other:?}"
    );
    assert_eq!(everything(&log).await.len(), 1);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn many_at_once_happen_once() {
    let database = TestDatabase::create("at_once").await.unwrap();
    let logs = [open(&database).await, open(&database).await];
    let outcomes = join_all((0..32).map(|n| add(&logs[n % 2], "a", 1, 1, 5))).await;
    let answers: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert!(
        answers.iter().all(
            |answer| answer.response == answers[0].response && answer.token == answers[0].token
        )
    );
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert_eq!(everything(&logs[0]).await.len(), 1);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_command_that_changes_nothing_is_remembered_too() {
    let database = TestDatabase::create("nothing").await.unwrap();
    let log = open(&database).await;
    assert!(!add(&log, "a", 1, 1, 0).await.unwrap().replayed);
    assert!(add(&log, "a", 1, 1, 0).await.unwrap().replayed);
    assert!(everything(&log).await.is_empty());
    database.drop().await.unwrap();
}

#[tokio::test]
async fn two_streams_change_together_or_not_at_all() {
    let database = TestDatabase::create("together").await.unwrap();
    let log = open(&database).await;
    let transfer = |id: &'static str, amount: i64| {
        let log = log.clone();
        async move {
            let request = request_id(id, 1);
            log.transact(&request, || async {
                let mut from = log.load::<Account>(&plain(1)).await?;
                let mut to = log.load::<Account>(&plain(2)).await?;
                let appends = [
                    from.decide(&Command::Add(-amount), &request)?,
                    to.decide(&Command::Add(amount), &request)?,
                ];
                Ok(Decision::new(appends, &()))
            })
            .await
            .map_err(|error: CommandError<Overdrawn>| error)
        }
    };
    add(&log, "fill", 1, 1, 10).await.unwrap();
    let outcomes = join_all([
        transfer("t1", 4),
        transfer("t2", 4),
        transfer("t3", 4),
        transfer("t1", 4),
    ])
    .await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!(done >= 2, "{outcomes:?}");
    let from = log.load::<Account>(&plain(1)).await.unwrap().state.balance;
    let to = log.load::<Account>(&plain(2)).await.unwrap().state.balance;
    assert_eq!(from + to, 10);
    assert!(from >= 0);
    database.drop().await.unwrap();
}

async fn expire(log: &EventLog) {
    sqlx::query("update command_log set expires_at = now() where expires_at is not null")
        .execute(log.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn after_its_retention_a_request_id_is_free_again() {
    let database = TestDatabase::create("expired").await.unwrap();
    let log = open(&database).await;
    add(&log, "a", 1, 1, 5).await.unwrap();
    expire(&log).await;
    let again = add(&log, "a", 2, 1, 7).await.unwrap();
    assert!(!again.replayed);
    assert!(add(&log, "a", 2, 1, 7).await.unwrap().replayed);
    assert_eq!(everything(&log).await.len(), 2);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn the_sweep_takes_what_has_expired_and_nothing_else() {
    let database = TestDatabase::create("sweep").await.unwrap();
    let log = open(&database).await;
    add(&log, "old", 1, 1, 5).await.unwrap();
    expire(&log).await;
    add(&log, "young", 1, 1, 5).await.unwrap();
    let mut kept = request_id("kept for ever", 1);
    kept.idempotency.as_mut().unwrap().retention = None;
    log.execute::<Account, ()>(&kept, &plain(1), &Command::Add(1), |_| ())
        .await
        .unwrap();
    assert_eq!(log.sweep_expired_commands().await.unwrap(), 1);
    let left: Vec<String> =
        sqlx::query_scalar("select request_id from command_log order by request_id")
            .fetch_all(log.pool())
            .await
            .unwrap();
    assert_eq!(left, ["kept for ever", "young"]);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn the_sweep_goes_batch_by_batch() {
    let database = TestDatabase::create("sweep_batches").await.unwrap();
    let log = open(&database).await;
    sqlx::query(
        "insert into command_log (partition, tenant, request_id, fingerprint, response, recorded_at, expires_at)
         select n % 64, 'demo', 'old-' || n, '', '', now() - interval '2 days', now() - interval '1 day' + n * interval '1 second'
         from generate_series(1, 2500) as n",
    )
    .execute(log.pool())
    .await
    .unwrap();
    // Somebody holds the youngest: the last batch has to wait for it, and what was deleted before that is gone.
    let mut holder = log.pool().begin().await.unwrap();
    sqlx::query("select from command_log where request_id = 'old-2500' for update")
        .execute(&mut *holder)
        .await
        .unwrap();
    let watching = async {
        eventually(Duration::from_secs(20), "two batches are gone", || async {
            let left: i64 = sqlx::query_scalar("select count(*) from command_log")
                .fetch_one(log.pool())
                .await
                .unwrap();
            (left == 500).then_some(())
        })
        .await;
        holder.rollback().await.unwrap();
    };
    let (swept, ()) = tokio::join!(log.sweep_expired_commands(), watching);
    assert_eq!(swept.unwrap(), 2500);
    database.drop().await.unwrap();
}
