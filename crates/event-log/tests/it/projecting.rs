//! Projections of the own log: every event once, the checkpoint with the rows, waiting for what a token stands for.

use std::{collections::BTreeMap, time::Duration};

use event_log::{
    Checkpoints, ConsistencyToken, EventLog, Projection, ProjectionError, Projector,
    ProjectorOptions, StoredEvent, WaitError,
};
use sqlx::PgConnection;
use testing::{TestDatabase, eventually};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::account::{Account, Command, amount_of, open, plain, request};

#[derive(Clone, Copy)]
struct Balances;

impl Projection for Balances {
    fn name(&self) -> &'static str {
        "balances"
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        for event in events {
            // Adding is not idempotent: an event that came twice would show.
            sqlx::query("insert into balance values ($1, $2) on conflict (id) do update set amount = balance.amount + excluded.amount")
                .bind(event.stream_id.0)
                .bind(amount_of(event)?)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

fn options() -> ProjectorOptions {
    ProjectorOptions {
        batch_events_max: 16,
        lease: Duration::from_millis(300),
        poll_interval: Duration::from_millis(10),
        linger: Duration::from_millis(1),
        retry_delay: Duration::from_millis(10),
    }
}

async fn prepared(label: &str) -> (TestDatabase, EventLog) {
    let database = TestDatabase::create(label).await.unwrap();
    let log = open(&database).await;
    sqlx::query("create table balance (id uuid primary key, amount bigint not null)")
        .execute(log.pool())
        .await
        .unwrap();
    (database, log)
}

async fn add(log: &EventLog, account: u128, amount: i64) -> ConsistencyToken {
    log.execute::<Account, ()>(&request(), &plain(account), &Command::Add(amount), |_| ())
        .await
        .unwrap()
        .token
}

async fn rows(log: &EventLog) -> BTreeMap<uuid::Uuid, i64> {
    let rows: Vec<(uuid::Uuid, i64)> = sqlx::query_as("select id, amount from balance")
        .fetch_all(log.pool())
        .await
        .unwrap();
    rows.into_iter().collect()
}

fn start(log: &EventLog) -> (CancellationToken, tokio::task::JoinSet<()>) {
    let stop = CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(Projector::new(log.clone(), Balances, options()).run(stop.clone()));
    (stop, tasks)
}

#[tokio::test]
async fn a_read_with_a_token_sees_its_own_write() {
    let (database, log) = prepared("own_write").await;
    let (stop, tasks) = start(&log);
    for n in 0..50 {
        let token = add(&log, n, 1).await;
        let deadline = Instant::now() + Duration::from_secs(10);
        log.wait_for(&Balances, "accounts", &[token], deadline)
            .await
            .unwrap();
        assert_eq!(rows(&log).await.len(), usize::try_from(n).unwrap() + 1);
    }
    stop.cancel();
    tasks.join_all().await;
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_read_that_cannot_see_its_write_says_so_at_the_deadline() {
    let (database, log) = prepared("deadline").await;
    let token = add(&log, 1, 1).await;
    let deadline = Instant::now() + Duration::from_millis(50);
    let waited = log
        .wait_for(&Balances, "accounts", &[token], deadline)
        .await;
    assert!(
        matches!(
            waited,
            Err(WaitError::TimedOut {
                projection: "balances"
            })
        ),
        "{waited:?}"
    );
    database.drop().await.unwrap();
}

#[tokio::test]
async fn three_projectors_apply_every_event_once_also_when_they_come_and_go() {
    let (database, log) = prepared("three").await;
    let adding = async {
        for n in 0..300_u128 {
            add(&log, n % 40, 1).await;
        }
    };
    let coming_and_going = async {
        for _ in 0..6 {
            let (stop, tasks) = start(&log);
            let (other_stop, other_tasks) = start(&log);
            tokio::time::sleep(Duration::from_millis(60)).await;
            stop.cancel();
            tasks.join_all().await;
            other_stop.cancel();
            other_tasks.join_all().await;
        }
    };
    tokio::join!(adding, coming_and_going);
    let (stop, tasks) = start(&log);
    eventually(Duration::from_secs(20), "all events applied", || async {
        (rows(&log).await.values().sum::<i64>() >= 300).then_some(())
    })
    .await;
    stop.cancel();
    tasks.join_all().await;
    let rows = rows(&log).await;
    assert_eq!(rows.values().sum::<i64>(), 300);
    assert_eq!(log.progress().await.unwrap()["balances"], 300);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn from_zero_the_rows_are_the_same() {
    let (database, log) = prepared("zero").await;
    for n in 0..60_u128 {
        add(&log, n % 7, i64::try_from(n).unwrap()).await;
    }
    let mut seen = Vec::new();
    for _ in 0..2 {
        sqlx::raw_sql("truncate balance; delete from checkpoint")
            .execute(log.pool())
            .await
            .unwrap();
        let (stop, tasks) = start(&log);
        eventually(
            Duration::from_secs(20),
            "the projection has caught up",
            || async { (log.progress().await.unwrap().get("balances") == Some(&59)).then_some(()) },
        )
        .await;
        stop.cancel();
        tasks.join_all().await;
        seen.push(rows(&log).await);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0].len(), 7);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn whoever_lost_the_lease_moves_nothing() {
    let (database, log) = prepared("fence").await;
    let token = add(&log, 1, 1).await;
    let (&partition, &position) = token.positions.iter().next().unwrap();
    let lease = Duration::from_millis(30);
    let slow = Checkpoints::new(log.pool().clone(), "balances", 1, lease);
    let fast = Checkpoints::new(log.pool().clone(), "balances", 1, lease);
    let before = slow.acquire().await.unwrap()[&partition];
    let taken = eventually(Duration::from_secs(10), "the lease runs out", || async {
        fast.acquire().await.unwrap().get(&partition).copied()
    })
    .await;
    let step = |from: event_log::Checkpoint| {
        BTreeMap::from([(partition, (from, from.moved_to(position)))])
    };
    let mut transaction = log.pool().begin().await.unwrap();
    let late = slow.advance(&mut transaction, &step(before)).await;
    assert!(matches!(late, Err(ProjectionError::Overtaken)), "{late:?}");
    transaction.rollback().await.unwrap();
    let mut transaction = log.pool().begin().await.unwrap();
    fast.advance(&mut transaction, &step(taken)).await.unwrap();
    transaction.commit().await.unwrap();
    database.drop().await.unwrap();
}
