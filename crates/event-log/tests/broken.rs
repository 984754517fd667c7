//! Logs, projections and timers without one of their guards: what examines them has to find it. A binary of its own, since a guard is
//! left out for all of a process.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[expect(dead_code, reason = "what other tests use of it")]
#[path = "it/account.rs"]
mod account;
#[expect(dead_code, reason = "what other tests use of it")]
#[path = "it/firing.rs"]
mod firing;
#[expect(dead_code, reason = "what other tests use of it")]
#[path = "it/ledger.rs"]
mod ledger;

use std::{sync::atomic::Ordering, time::Duration};

use account::{Account, Command, customer, open, plain, request, tenant};
use event_log::{EventLog, Stream, control, rebuild::Comparison, verify};
use fail::FailScenario;
use sqlx::Connection as _;
use testing::{TestDatabase, eventually};

use firing::{Ground, LIMIT};
use ledger::{Books, SOON, Stopping, TARGET};

/// What `vefa doctor` says of the log: claims that do not hold, and how often not.
async fn findings(log: &EventLog) -> Vec<(&'static str, usize)> {
    let mut connection = log.pool().acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let checks = verify(&mut transaction, Duration::from_secs(3600))
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    checks
        .iter()
        .filter(|check| !check.holds())
        .map(|check| (check.claim, check.findings_total))
        .collect()
}

/// How the rows of account 1 differ from those that a rebuild makes, by their number.
fn differences(found: &Comparison) -> Vec<String> {
    let mut differences: Vec<String> = found.tables[0]
        .differences
        .iter()
        .map(|difference| {
            let (_, number) = difference.key.rsplit_once(", ").unwrap();
            format!("{number}: {}", difference.kind)
        })
        .collect();
    differences.sort();
    differences
}

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
    assert_eq!(
        findings(&log).await,
        [("positions are gapless up to the head", 3)]
    );
    log.close().await;
    database.drop().await.unwrap();
    scenario.teardown();
}

#[tokio::test]
async fn a_key_that_outlives_its_subject_is_found() {
    let scenario = FailScenario::setup();
    let database = TestDatabase::create("broken-erasure").await.unwrap();
    let log = open(&database).await;
    let stream = Stream::of_customer(&tenant(), customer(1));
    let run = async |command| {
        log.execute::<Account, ()>(&request(), &stream, &command, |_| ())
            .await
            .unwrap();
    };
    run(Command::Open("Ayşe")).await;
    fail::cfg("broken-erasure", "return").unwrap();
    run(Command::Close).await;
    assert_eq!(
        findings(&log).await,
        [("nobody who was erased has a data key", 1)]
    );
    log.close().await;
    database.drop().await.unwrap();
    scenario.teardown();
}

#[tokio::test]
async fn a_version_that_was_left_out_is_found_and_one_that_is_there_cannot_come_again() {
    let scenario = FailScenario::setup();
    let books = Books::new("broken-version").await;
    books.add(1, [1, 2]).await;
    let amount = || 3_i64.to_be_bytes().to_vec();
    assert!(!books.append_at(1, 5, "added", amount()).await);
    fail::cfg("broken-version", "return").unwrap();
    assert!(
        !books.append_at(1, 1, "added", amount()).await,
        "the key of the table is a guard of its own"
    );
    assert_eq!(findings(&books.log).await, []);
    assert!(books.append_at(1, 5, "added", amount()).await);
    assert_eq!(
        findings(&books.log).await,
        [("versions are gapless in every stream", 1)]
    );
    books.close().await;
    scenario.teardown();
}

#[tokio::test]
async fn what_an_owner_wrote_that_had_lost_its_lease_is_found() {
    let scenario = FailScenario::setup();
    let books = Books::new("broken-fence").await;
    books.add(1, [1, 2]).await;
    fail::cfg("broken-fence", "return").unwrap();
    let stopping = Stopping::before(&books.ledger);
    let late = books.keep_with(stopping.clone(), Duration::from_millis(100));
    stopping.wait_entered(1).await;
    let owner = books.keep();
    books.caught_up().await;
    assert_eq!(books.entries(1).await, [1, 2]);
    assert!(books.compare().await.is_equal());
    stopping.go_on.add_permits(100);
    eventually(SOON, "it has written as well", || async {
        (books.entries(1).await.len() > 2).then_some(())
    })
    .await;
    late.stop().await;
    owner.stop().await;
    assert_eq!(books.entries(1).await, [1, 2, 1, 2]);
    let found = books.compare().await;
    assert_eq!(differences(&found), ["number=2: extra", "number=3: extra"]);
    books.close().await;
    scenario.teardown();
}

#[tokio::test]
async fn what_did_not_wait_behind_a_parked_event_is_found() {
    let scenario = FailScenario::setup();
    let books = Books::new("broken-parked").await;
    books.add(1, [1]).await;
    books.add_malformed(1).await;
    let running = books.keep();
    books.caught_up().await;
    fail::cfg("broken-parked", "return").unwrap();
    books.add(1, [2]).await;
    books.caught_up().await;
    books.ledger.repaired.store(true, Ordering::Relaxed);
    control::replay(books.log.pool(), TARGET, None)
        .await
        .unwrap();
    eventually(SOON, "the stream is no longer parked", || async {
        books.parked(1).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(books.entries(1).await, [1, 2, 100]);
    let found = books.compare().await;
    assert_eq!(
        differences(&found),
        ["number=1: different", "number=2: different"]
    );
    running.stop().await;
    books.close().await;
    scenario.teardown();
}

#[tokio::test]
async fn an_event_that_was_passed_over_because_it_was_not_known_is_found() {
    let scenario = FailScenario::setup();
    let books = Books::new("broken-unknown").await;
    books.add(1, [1, 2]).await;
    books.append(1, "withdrawn", Vec::new()).await;
    fail::cfg("broken-unknown", "return").unwrap();
    let running = books.keep();
    books.caught_up().await;
    assert_eq!(books.paused().await, []);
    assert_eq!(books.entries(1).await, [1, 2]);
    // By a version that knows it.
    books.ledger.taught.store(true, Ordering::Relaxed);
    let found = books.compare().await;
    assert_eq!(differences(&found), ["number=2: missing"]);
    running.stop().await;
    books.close().await;
    scenario.teardown();
}

#[tokio::test]
async fn what_the_live_owner_wrote_during_a_takeover_that_did_not_fence_it_is_found() {
    let scenario = FailScenario::setup();
    let books = Books::new("broken-takeover").await;
    books.add(1, [1, 2]).await;
    let running = books.keep();
    books.caught_up().await;
    running.stop().await;
    fail::cfg("broken-takeover", "return").unwrap();
    books.add(1, [3]).await;
    let stopping = Stopping {
        writes_first: true,
        ..Stopping::before(&books.ledger)
    };
    let owner = books.keep_with(stopping.clone(), SOON);
    stopping.wait_entered(1).await;
    let going_on = async {
        eventually(SOON, "the takeover waits for the tables", || async {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_locks where relation = 'entry'::regclass and not granted",
            )
            .fetch_one(books.log.pool())
            .await
            .unwrap();
            (waiting > 0).then_some(())
        })
        .await;
        stopping.go_on.add_permits(100);
    };
    let (rebuilt, ()) = tokio::join!(books.rebuild(), going_on);
    rebuilt.unwrap();
    books.caught_up().await;
    owner.stop().await;
    assert_eq!(books.entries(1).await, [1, 2]);
    let found = books.compare().await;
    assert_eq!(differences(&found), ["number=2: missing"]);
    books.close().await;
    scenario.teardown();
}

#[tokio::test]
async fn a_timer_that_stays_when_it_fires_is_found() {
    let scenario = FailScenario::setup();
    let ground = Ground::new("broken-timer-taken").await;
    ground.schedule(&[firing::timer("once", 1)]).await;
    ground.clock.set(1);
    fail::cfg("broken-timer-taken", "return").unwrap();
    let owner = ground.run(&firing::Ledger::default(), firing::options());
    eventually(LIMIT, "it fires again", || async {
        (ground.fired().await.len() > 1).then_some(())
    })
    .await;
    owner.stop().await;
    assert!(ground.events().await > 1);
    scenario.teardown();
}

#[tokio::test]
async fn a_timer_that_is_gone_without_its_effect_is_found() {
    let scenario = FailScenario::setup();
    let ground = Ground::new("broken-timer-whole").await;
    let ledger = firing::Ledger::default();
    for (name, left) in [("whole", 1), ("apart", 0)] {
        if left == 0 {
            fail::cfg("broken-timer-whole", "return").unwrap();
        }
        ground.schedule(&[firing::timer(name, 1)]).await;
        ground.clock.set(1);
        ledger.stops.store(true, Ordering::SeqCst);
        let owner = ground.run(&ledger, firing::options());
        ledger.stopped.notified().await;
        owner.kill().await;
        assert_eq!(ground.left().await, left, "{name}");
        assert_eq!(ground.fired().await, [""; 0]);
        assert_eq!(ground.cancel(name).await, left.unsigned_abs());
    }
    scenario.teardown();
}
