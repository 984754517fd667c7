//! Erasure: the key goes in the step that erases, or nothing does.

use event_log::{
    Append, CommandError, EventLog, LogError, NewEvent, SealError, Stream, Subject, Write,
    append_in, erase, note_wiped,
};
use futures::future::join_all;
use testing::TestDatabase;
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::account::{Account, Command, customer, open, request, tenant};

fn stream(n: u128) -> Stream {
    Stream::of_customer(&tenant(), customer(n))
}

fn subject(n: u128) -> Subject {
    Subject {
        tenant: tenant(),
        customer: customer(n),
    }
}

async fn run(log: &EventLog, n: u128, command: Command) {
    log.execute::<Account, ()>(&request(), &stream(n), &command, |_| ())
        .await
        .unwrap();
}

/// Whether there is a row for the key of a subject, and whether it holds one.
async fn key(log: &EventLog, n: u128) -> Option<bool> {
    sqlx::query_scalar("select wrapped_key is not null from subject_key where subject = $1")
        .bind(customer(n).0)
        .fetch_optional(log.pool())
        .await
        .unwrap()
}

async fn wiped(log: &EventLog, n: u128) -> Vec<(String, u64)> {
    let wiped = log.wiped(&subject(n)).await.unwrap();
    wiped.into_iter().map(|it| (it.what, it.rows)).collect()
}

fn receipt(entries: &[(&str, u64)]) -> Vec<(String, u64)> {
    entries
        .iter()
        .map(|(what, rows)| ((*what).to_owned(), *rows))
        .collect()
}

#[tokio::test]
async fn the_key_goes_with_the_event_and_nobody_here_remembers_it() {
    let database = TestDatabase::create("erased").await.unwrap();
    let log = open(&database).await;
    for n in [1, 2] {
        run(&log, n, Command::Open("Ayşe")).await;
    }
    assert_eq!(wiped(&log, 1).await, []);
    run(&log, 1, Command::Close).await;
    assert_eq!(
        (key(&log, 1).await, key(&log, 2).await),
        (Some(false), Some(true))
    );
    assert_eq!(
        wiped(&log, 1).await,
        receipt(&[("data_key", 1), ("snapshot", 0)])
    );
    assert_eq!(wiped(&log, 2).await, []);
    let later = Some(datetime!(2100-01-01 0:00 UTC));
    let account = log.load_as_of::<Account>(&stream(1), later).await;
    assert_eq!(account.unwrap().state.owner, None);
    // What needs no key goes on; what does is refused, and makes none.
    run(&log, 1, Command::Add(3)).await;
    let sealed = log
        .execute::<Account, ()>(&request(), &stream(1), &Command::Open("Ayşe"), |_| ())
        .await;
    assert!(matches!(
        sealed,
        Err(CommandError::Failed(LogError::Seal(SealError::Destroyed)))
    ));
    assert_eq!(key(&log, 1).await, Some(false));
    log.close().await;
    database.drop().await.unwrap();
}

#[tokio::test]
async fn an_erasure_that_meets_a_conflict_destroys_nothing() {
    let database = TestDatabase::create("erased_conflict").await.unwrap();
    let log = open(&database).await;
    run(&log, 1, Command::Open("Ayşe")).await;
    let erasure = |expected_version| Write {
        idempotency: None,
        appends: vec![Append {
            stream: stream(1),
            expected_version,
            events: vec![NewEvent {
                event_id: Uuid::now_v7(),
                type_: "closed",
                schema_version: 1,
                payload: bytes::Bytes::new(),
                metadata: bytes::Bytes::new(),
                occurred_at: OffsetDateTime::UNIX_EPOCH,
            }],
            new_key: None,
            erases: true,
        }],
    };
    let mut transaction = log.pool().begin().await.unwrap();
    let appended = append_in(&mut transaction, &[erasure(7)]).await.unwrap();
    assert!(appended.is_none());
    transaction.rollback().await.unwrap();
    assert_eq!(
        (key(&log, 1).await, wiped(&log, 1).await),
        (Some(true), vec![])
    );
    // Nor does one whose transaction does not commit.
    let mut transaction = log.pool().begin().await.unwrap();
    let appended = append_in(&mut transaction, &[erasure(1)]).await.unwrap();
    assert!(appended.is_some());
    transaction.rollback().await.unwrap();
    assert_eq!(
        (key(&log, 1).await, wiped(&log, 1).await),
        (Some(true), vec![])
    );
    log.close().await;
    database.drop().await.unwrap();
}

#[tokio::test]
async fn those_who_are_erased_at_once_go_and_the_others_stay() {
    let database = TestDatabase::create("erased_many").await.unwrap();
    let log = open(&database).await;
    join_all((0..32).map(|n| run(&log, n, Command::Open("Ayşe")))).await;
    let commands = (0..32).map(|n| {
        let command = if n % 2 == 0 {
            Command::Close
        } else {
            Command::Add(1)
        };
        run(&log, n, command)
    });
    join_all(commands).await;
    for n in 0..32 {
        assert_eq!(key(&log, n).await, Some(n % 2 == 1), "{n}");
    }
    log.close().await;
    database.drop().await.unwrap();
}

#[tokio::test]
async fn who_had_no_key_gets_none_and_a_second_time_changes_nothing() {
    let database = TestDatabase::create("erased_again").await.unwrap();
    let log = open(&database).await;
    let mut connection = log.pool().acquire().await.unwrap();
    erase(&mut connection, &[subject(1), subject(2)])
        .await
        .unwrap();
    note_wiped(&mut connection, "list", &[(subject(1), 4)])
        .await
        .unwrap();
    let first = log.wiped(&subject(1)).await.unwrap();
    erase(&mut connection, &[subject(1)]).await.unwrap();
    note_wiped(&mut connection, "list", &[(subject(1), 0)])
        .await
        .unwrap();
    assert_eq!(log.wiped(&subject(1)).await.unwrap(), first);
    assert_eq!(
        wiped(&log, 1).await,
        receipt(&[("data_key", 0), ("list", 4), ("snapshot", 0)])
    );
    assert_eq!(key(&log, 1).await, Some(false));
    let sealed = log
        .execute::<Account, ()>(&request(), &stream(1), &Command::Open("Ayşe"), |_| ())
        .await;
    assert!(sealed.is_err());
    drop(connection);
    log.close().await;
    database.drop().await.unwrap();
}
