//! Rows made anew beside the live ones: they take their place in one step, whatever goes on, or are compared with them.

use std::sync::atomic::Ordering;

use event_log::{
    EventLog, control,
    rebuild::{RebuildError, standing},
};

use crate::ledger::{Books, SOON, Stopping, TARGET};

async fn schemas(log: &EventLog) -> i64 {
    sqlx::query_scalar("select count(*) from pg_namespace where nspname like 'rebuild%'")
        .fetch_one(log.pool())
        .await
        .unwrap()
}

/// What is defined in the live schema: tables, indexes and constraints by name.
async fn definitions(log: &EventLog) -> Vec<(String, String)> {
    sqlx::query_as(
        "select indexname::text, indexdef from pg_indexes where tablename = 'entry'
         union all select conname::text, pg_get_constraintdef(oid) from pg_constraint where conrelid = 'entry'::regclass
         union all select attname::text, format_type(atttypid, atttypmod) from pg_attribute
            where attrelid = 'entry'::regclass and attnum > 0
         order by 1, 2",
    )
    .fetch_all(log.pool())
    .await
    .unwrap()
}

async fn change(books: &Books, statement: &'static str) -> u64 {
    let changed = sqlx::query(statement).execute(books.log.pool()).await;
    changed.unwrap().rows_affected()
}

#[tokio::test]
async fn under_concurrent_appends_nothing_is_lost_or_doubled() {
    let books = Books::new("rebuild_live").await;
    for account in 0..20 {
        books.add(account, [1, 2, 3]).await;
    }
    let running = books.keep();
    books.caught_up().await;
    let before = definitions(&books.log).await;
    // What does not follow from events stays, and what was spoilt is put right.
    assert_eq!(
        change(&books, "update entry set checked = true where amount = 2").await,
        20
    );
    assert_eq!(
        change(
            &books,
            "update entry set amount = 9, checked = true where amount = 3"
        )
        .await,
        20
    );
    let appending = async {
        for round in 0..10 {
            for account in 0..20 {
                books.add(account, [10 + round]).await;
            }
        }
    };
    let rebuilding = async {
        for _ in 0..4 {
            books.rebuild().await.unwrap();
        }
    };
    tokio::join!(appending, rebuilding);
    books.caught_up().await;
    let expected: Vec<i64> = [1, 2, 3].into_iter().chain(10..20).collect();
    for account in 0..20 {
        assert_eq!(books.entries(account).await, expected, "account {account}");
    }
    let checked: Vec<(i64, i64)> =
        sqlx::query_as("select amount, count(*) from entry where checked group by amount")
            .fetch_all(books.log.pool())
            .await
            .unwrap();
    assert_eq!(checked, [(2, 20)]);
    assert_eq!(
        definitions(&books.log).await,
        before,
        "the tables are as migrations made them"
    );
    assert_eq!(schemas(&books.log).await, 0);
    assert!(books.compare().await.is_equal());
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn a_live_owner_in_the_middle_of_a_batch_is_fenced_by_the_takeover() {
    let books = Books::new("rebuild_fence").await;
    books.add(1, [1, 2]).await;
    let running = books.keep();
    books.caught_up().await;
    running.stop().await;
    let stopping = Stopping::before(&books.ledger);
    books.add(1, [3]).await;
    // A lease that does not run out by itself.
    let running = books.keep_with(stopping.clone(), SOON);
    stopping.wait_entered(1).await;
    books.rebuild().await.unwrap();
    assert_eq!(
        books.entries(1).await,
        [1, 2],
        "up to where the live one had come"
    );
    stopping.go_on.add_permits(1);
    // Its batch fails, and it comes again on the new rows.
    stopping.wait_entered(2).await;
    assert_eq!(books.entries(1).await, [1, 2]);
    stopping.go_on.add_permits(100);
    books.caught_up().await;
    assert_eq!(books.entries(1).await, [1, 2, 3]);
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn what_a_killed_rebuild_left_is_dropped_by_the_next_and_two_at_once_are_refused() {
    let books = Books::new("rebuild_killed").await;
    for account in 0..10 {
        books.add(account, [1, 2, 3]).await;
    }
    let running = books.keep();
    books.caught_up().await;
    let mut killed = books.begin().await.unwrap();
    let progress = killed.step().await.unwrap();
    assert!(progress.applied > 0 && progress.left() > 0, "{progress:?}");
    let mut connection = books.log.pool().acquire().await.unwrap();
    let stands = standing(&mut connection, TARGET.projection, TARGET.version)
        .await
        .unwrap();
    let stands = stands.expect("it is under way");
    assert_eq!((stands.applied, stands.alive), (progress.applied, true));
    let refused = books.begin().await.map(|_| ()).unwrap_err();
    assert!(
        matches!(
            refused,
            RebuildError::UnderWay {
                projection: "ledger"
            }
        ),
        "{refused:?}"
    );
    // As if it had been killed and its lease had run out.
    let expired =
        "update rebuild_ledger_1.checkpoint set lease_until = now() - interval '1 second'";
    assert_eq!(change(&books, expired).await, 64);
    books.rebuild().await.unwrap();
    let overtaken = killed.step().await.unwrap_err();
    assert!(
        matches!(
            overtaken,
            RebuildError::Projection(_) | RebuildError::Database(_)
        ),
        "{overtaken:?}"
    );
    assert_eq!(standing(&mut connection, "ledger", 1).await.unwrap(), None);
    for account in 0..10 {
        assert_eq!(books.entries(account).await, [1, 2, 3]);
    }
    drop(connection);
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_applied_ends_a_rebuild_and_a_repaired_one_clears_what_was_parked()
{
    let books = Books::new("rebuild_strict").await;
    books.add(1, [1]).await;
    books.add_malformed(1).await;
    books.add(1, [2]).await;
    books.add(2, [1]).await;
    let running = books.keep();
    books.caught_up().await;
    assert_eq!(books.parked(1).await.len(), 2);
    let error = books.rebuild().await.unwrap_err();
    let RebuildError::Event {
        position: 2,
        stream,
        ref reason,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(stream.as_u128(), 1);
    assert!(reason.contains("field amount"), "{reason}");
    assert_eq!(books.parked(1).await.len(), 2, "nothing has happened");
    assert_eq!(books.ledger.reactions.load(Ordering::Relaxed), 0);
    books.ledger.repaired.store(true, Ordering::Relaxed);
    let found = books.compare().await;
    let keys: Vec<(&str, &str)> = found.tables[0]
        .differences
        .iter()
        .map(|difference| (difference.key.as_str(), difference.kind.as_str()))
        .collect();
    assert_eq!(keys.len(), 2, "what waits is not there: {keys:?}");
    assert!(keys.iter().all(|(_, kind)| *kind == "missing"));
    books.rebuild().await.unwrap();
    assert_eq!(books.entries(1).await, [1, 100, 2]);
    assert_eq!(books.parked(1).await, []);
    assert_eq!(books.ledger.reactions.load(Ordering::Relaxed), 2);
    books.add(1, [3]).await;
    books.caught_up().await;
    assert_eq!(books.entries(1).await, [1, 100, 2, 3]);
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn a_comparison_finds_rows_that_were_changed_removed_or_added() {
    let books = Books::new("compare").await;
    for account in 0..10 {
        books.add(account, [1, 2, 3]).await;
    }
    let running = books.keep();
    books.caught_up().await;
    assert_eq!(change(&books, "update entry set checked = true").await, 30);
    let equal = books.compare().await;
    assert!(equal.is_equal(), "{equal:?}");
    assert_eq!((equal.events, equal.tables[0].live_rows), (30, 30));
    let account = |n: u128| uuid::Uuid::from_u128(n);
    for statement in [
        "update entry set amount = 4 where account = '00000000-0000-0000-0000-000000000001' and number = 0",
        "delete from entry where account = '00000000-0000-0000-0000-000000000002' and number = 1",
        "insert into entry values (0, '00000000-0000-0000-0000-000000000063', 5, 1, 1)",
    ] {
        assert_eq!(change(&books, statement).await, 1);
    }
    let found = books.compare().await;
    let table = &found.tables[0];
    assert_eq!((table.live_rows, table.rebuilt_rows), (30, 30));
    assert!(!found.is_equal());
    let mut differences: Vec<String> = table
        .differences
        .iter()
        .map(|difference| {
            let (_, key) = difference.key.split_once(", ").unwrap();
            format!("{key}: {}", difference.kind)
        })
        .collect();
    differences.sort();
    let expected = [
        format!("account={}, number=0: different", account(1)),
        format!("account={}, number=1: missing", account(2)),
        format!("account={}, number=5: extra", account(0x63)),
    ];
    assert_eq!(differences, expected);
    assert_eq!(schemas(&books.log).await, 0);
    books.rebuild().await.unwrap();
    assert!(books.compare().await.is_equal());
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn a_comparison_holds_while_rows_are_written() {
    let books = Books::new("compare_live").await;
    let running = books.keep();
    let appending = async {
        for round in 0..10 {
            for account in 0..20 {
                books.add(account, [round]).await;
            }
        }
    };
    let comparing = async {
        for _ in 0..6 {
            let found = books.compare().await;
            assert!(found.is_equal(), "{found:?}");
        }
    };
    tokio::join!(appending, comparing);
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn a_reader_in_the_way_is_waited_for_a_while_and_the_live_projection_goes_on() {
    let books = Books::new("rebuild_reader").await;
    books.add(1, [1]).await;
    let running = books.keep();
    books.caught_up().await;
    let mut reader = books.log.pool().begin().await.unwrap();
    let rows: Vec<(i64,)> = sqlx::query_as("select amount from entry")
        .fetch_all(&mut *reader)
        .await
        .unwrap();
    assert_eq!(rows.len(), 1);
    let refused = books.rebuild().await.unwrap_err();
    assert!(matches!(refused, RebuildError::InUse), "{refused:?}");
    reader.rollback().await.unwrap();
    books.add(1, [2]).await;
    books.caught_up().await;
    assert_eq!(books.entries(1).await, [1, 2]);
    assert_eq!(schemas(&books.log).await, 0);
    let target = TARGET;
    assert_eq!(control::parked(books.log.pool(), target).await.unwrap(), []);
    running.stop().await;
    books.close().await;
}
