//! Appending: gapless, at the expected version, without one command's conflict touching its neighbours.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aggregate::Partition;
use event_log::{CommandError, EventLog, StoredEvent};
use futures::future::join_all;
use testing::{TestDatabase, eventually};

use crate::account::{Account, Command, Overdrawn, open, plain, request, request_id};

async fn add(
    log: &EventLog,
    account: u128,
    amount: i64,
) -> Result<event_log::Committed, CommandError<Overdrawn>> {
    log.execute::<Account, ()>(&request(), &plain(account), &Command::Add(amount), |_| ())
        .await
}

pub(crate) async fn everything(log: &EventLog) -> Vec<StoredEvent> {
    let from: Vec<_> = Partition::all().map(|partition| (partition, 0)).collect();
    log.read_after(&from, i64::MAX).await.unwrap()
}

#[tokio::test]
async fn positions_and_versions_have_no_gaps_under_concurrency() {
    let database = TestDatabase::create("append").await.unwrap();
    let log = open(&database).await;
    let outcomes = join_all((0..600).map(|n| {
        let log = log.clone();
        async move { add(&log, n % 200, 1).await }
    }))
    .await;
    // Three at once on the same account: whoever is late decides anew, and nobody is told.
    assert!(
        outcomes.iter().all(Result::is_ok),
        "{:?}",
        outcomes.iter().find(|o| o.is_err())
    );
    let mut positions: BTreeMap<Partition, i64> = BTreeMap::new();
    let mut versions = BTreeMap::new();
    let events = everything(&log).await;
    for event in &events {
        let position = positions.entry(event.partition).or_default();
        *position += 1;
        assert_eq!(event.position, *position);
        let version = versions.entry(event.stream_id).or_insert(0);
        *version += 1;
        assert_eq!(event.version, *version);
    }
    assert_eq!(events.len(), 600);
    let heads: BTreeMap<_, _> = log
        .heads()
        .await
        .unwrap()
        .into_iter()
        .filter(|(_, head)| *head > 0)
        .collect();
    assert_eq!(heads, positions);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn two_processes_on_one_stream_lose_nothing() {
    let database = TestDatabase::create("two_logs").await.unwrap();
    let logs = [open(&database).await, open(&database).await];
    let outcomes = join_all((0..40).map(|n| {
        let log = logs[n % 2].clone();
        async move { add(&log, 1, 1).await }
    }))
    .await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    for outcome in &outcomes {
        assert!(
            matches!(outcome, Ok(_) | Err(CommandError::Contended)),
            "{outcome:?}"
        );
    }
    let account = logs[0].load::<Account>(&plain(1)).await.unwrap();
    assert_eq!(account.state.balance, i64::try_from(done).unwrap());
    assert_eq!(account.version, account.state.balance);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn what_was_just_appended_is_as_it_is_stored() {
    let database = TestDatabase::create("recent").await.unwrap();
    let (log, other) = (open(&database).await, open(&database).await);
    let from: Vec<_> = Partition::all().map(|partition| (partition, 0)).collect();
    for account in 0..100 {
        // Neither process has appended all of it, so that each has to read some of what the other did.
        let log = if account % 7 == 0 { &other } else { &log };
        add(log, account, 1).await.unwrap();
    }
    let mut followed = Vec::new();
    let mut after = from;
    loop {
        let events = log.follow_after(&after, 3).await.unwrap();
        if events.is_empty() {
            break;
        }
        for event in &events {
            let at = usize::from(event.partition.number());
            assert_eq!(after[at], (event.partition, event.position - 1));
            after[at].1 = event.position;
        }
        followed.extend(events);
    }
    followed.sort_by_key(|event| (event.partition, event.position));
    assert_eq!(followed, everything(&log).await);
    for log in [log, other] {
        log.close().await;
    }
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_refused_command_leaves_no_trace() {
    let database = TestDatabase::create("refused").await.unwrap();
    let log = open(&database).await;
    add(&log, 1, 5).await.unwrap();
    let refused = add(&log, 1, -6).await;
    assert!(
        matches!(refused, Err(CommandError::Rejected(Overdrawn(-1)))),
        "{refused:?}"
    );
    assert_eq!(everything(&log).await.len(), 1);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn the_balance_never_goes_below_zero_whoever_is_first() {
    let database = TestDatabase::create("race").await.unwrap();
    let log = open(&database).await;
    add(&log, 1, 3).await.unwrap();
    let outcomes = join_all((0..8).map(|_| add(&log, 1, -1))).await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let account = log.load::<Account>(&plain(1)).await.unwrap();
    assert!(done <= 3);
    assert_eq!(account.state.balance, 3 - i64::try_from(done).unwrap());
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_whole_command_or_nothing() {
    let database = TestDatabase::create("cancelled").await.unwrap();
    let log = open(&database).await;
    for n in 0..60_u32 {
        let limit = std::time::Duration::from_micros(u64::from(n) * 100);
        // Cut off anywhere between the load and the reply.
        drop(tokio::time::timeout(limit, add(&log, u128::from(n), 1)).await);
    }
    // The pool's connections are outside of any transaction, or this would be invisible to another connection.
    add(&log, 1000, 7).await.unwrap();
    log.close().await;
    let log = open(&database).await;
    assert_eq!(
        log.load::<Account>(&plain(1000))
            .await
            .unwrap()
            .state
            .balance,
        7
    );
    for n in 0..60 {
        let account = log.load::<Account>(&plain(n)).await.unwrap();
        assert!((0..=1).contains(&account.state.balance));
        assert_eq!(account.version, account.state.balance);
    }
    let heads: i64 = log.heads().await.unwrap().values().sum();
    assert_eq!(
        usize::try_from(heads).unwrap(),
        everything(&log).await.len()
    );
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_dropped_begin_leaves_no_transaction_to_the_next_borrower() {
    let database = TestDatabase::create("dropped_begin").await.unwrap();
    let options = event_log::LogOptions {
        connections_max: 1,
        ..crate::account::options(&database)
    };
    let log = event_log::EventLog::open("accounts", &options, crate::account::key_service())
        .await
        .unwrap();
    let other = open(&database).await;
    sqlx::query("create table mark (n integer)")
        .execute(log.pool())
        .await
        .unwrap();
    for n in 0..50_i32 {
        // Given up after the statement is on its way, before its answer is read.
        let mut begin = Box::pin(log.pool().begin());
        for _ in 0..n % 5 {
            if futures::poll!(&mut begin).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(begin);
        sqlx::query("insert into mark values ($1)")
            .bind(n)
            .execute(log.pool())
            .await
            .unwrap();
        let seen: i64 = sqlx::query_scalar("select count(*) from mark where n = $1")
            .bind(n)
            .fetch_one(other.pool())
            .await
            .unwrap();
        assert_eq!(seen, 1, "write {n} is not visible to others");
    }
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_hot_stream_takes_every_command_and_shares_commits() {
    let database = TestDatabase::create("hot").await.unwrap();
    let log = open(&database).await;
    let outcomes = join_all((0..300).map(|_| add(&log, 1, 1))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let events = everything(&log).await;
    assert_eq!(events.len(), 300);
    assert!(
        (1..)
            .zip(&events)
            .all(|(version, event)| event.version == version)
    );
    // Each transaction has one clock, so that as many times are as many commits.
    let commits: BTreeSet<_> = events.iter().map(|event| event.recorded_at).collect();
    assert!(commits.len() < 150, "{} commits", commits.len());
    log.close().await;
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_command_behind_a_repeat_on_a_hot_stream_is_decided_on_what_has_happened() {
    let database = TestDatabase::create("hot-repeat").await.unwrap();
    let log = open(&database).await;
    add(&log, 1, 10).await.unwrap();
    // Every second command is a repeat of the same request: decided on the effect of those before it, written never.
    let repeated = request_id("once", 1);
    log.execute::<Account, ()>(&repeated, &plain(1), &Command::Add(-1), |_| ())
        .await
        .unwrap();
    let outcomes = join_all((0..100).map(|n| {
        let (log, repeated) = (log.clone(), repeated.clone());
        async move {
            if n % 2 == 0 {
                log.execute::<Account, ()>(&repeated, &plain(1), &Command::Add(-1), |_| ())
                    .await
            } else {
                add(&log, 1, 1).await
            }
        }
    }))
    .await;
    assert!(
        outcomes.iter().all(Result::is_ok),
        "{:?}",
        outcomes.iter().find(|outcome| outcome.is_err())
    );
    let loaded = log.load::<Account>(&plain(1)).await.unwrap();
    assert_eq!((loaded.version, loaded.state.balance), (52, 59));
    log.close().await;
    database.drop().await.unwrap();
}

#[tokio::test]
async fn what_is_remembered_of_a_stream_refuses_nothing_that_another_process_has_made_possible() {
    let database = TestDatabase::create("remembered").await.unwrap();
    let (here, there) = (open(&database).await, open(&database).await);
    add(&here, 1, 1).await.unwrap();
    add(&there, 1, 100).await.unwrap();
    // Here the balance is remembered as 1.
    add(&here, 1, -50).await.unwrap();
    add(&there, 1, -51).await.unwrap();
    assert!(matches!(
        add(&here, 1, -1).await,
        Err(CommandError::Rejected(Overdrawn(_)))
    ));
    here.close().await;
    there.close().await;
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_writer_that_lost_its_connection_forgets_what_a_restored_database_may_not_have() {
    let database = TestDatabase::create("recent_lost").await.unwrap();
    let log = open(&database).await;
    let second = plain(2);
    assert_ne!(plain(1).partition, second.partition);
    add(&log, 1, 1).await.unwrap();
    add(&log, 2, 1).await.unwrap();
    let followed = async || {
        let behind = [(second.partition, 0)];
        log.follow_after(&behind, 9).await.unwrap().len()
    };
    assert_eq!(followed().await, 1);
    // What a restore to before the second event looks like.
    sqlx::raw_sql(
        "delete from event where stream_id = '00000000-0000-0000-0000-000000000002';
         update log_head h set position = (select count(*) from event e where e.partition = h.partition);
         select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()",
    )
    .execute(log.pool())
    .await
    .unwrap();
    let limit = Duration::from_secs(10);
    eventually(limit, "the writer has a new connection", || async {
        add(&log, 1, 1).await.ok()
    })
    .await;
    assert_eq!(followed().await, 0);
    database.drop().await.unwrap();
}
