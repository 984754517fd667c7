//! Timers: at most one firing for each key, whatever stops, whoever takes himself for the owner, whatever the clock does.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use event_log::{Timer, TimerOptions, cancel_in, schedule_in};
use testing::eventually;

use crate::firing::{Ground, LIMIT, Ledger, key, options, timer};

#[tokio::test]
async fn fires_what_is_due_in_order_and_leaves_the_rest() {
    let ground = Ground::new("timers_order").await;
    ground
        .schedule(&[
            timer("c", 30),
            timer("a", 10),
            timer("b", 20),
            timer("late", 1000),
        ])
        .await;
    ground.clock.set(500);
    let owner = ground.run(&Ledger::default(), options());
    eventually(LIMIT, "one is left", async || {
        (ground.left().await == 1).then_some(())
    })
    .await;
    assert_eq!(ground.fired().await, ["a", "b", "c"]);
    assert_eq!(ground.events().await, 3);
    owner.stop().await;
}

#[tokio::test]
async fn a_timer_goes_with_the_transaction_that_sets_or_cancels_it() {
    let ground = Ground::new("timers_transaction").await;
    let mut transaction = ground.log.pool().begin().await.unwrap();
    schedule_in(&mut transaction, &[timer("never", 1)])
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    ground
        .schedule(&[timer("cancelled", 1), timer("moved", 1)])
        .await;
    ground.schedule(&[timer("moved", 100)]).await;
    assert_eq!(ground.cancel("cancelled").await, 1);
    assert_eq!(ground.cancel("cancelled").await, 0);
    let mut transaction = ground.log.pool().begin().await.unwrap();
    cancel_in(&mut transaction, &[key("moved")]).await.unwrap();
    transaction.rollback().await.unwrap();
    ground.schedule(&[timer("last", 50)]).await;
    ground.clock.set(50);
    let owner = ground.run(&Ledger::default(), options());
    eventually(LIMIT, "the last has fired", async || {
        (ground.fired().await == ["last"]).then_some(())
    })
    .await;
    ground.clock.set(100);
    ground.all_gone().await;
    assert_eq!(ground.fired().await, ["last", "moved"]);
    owner.stop().await;
}

#[tokio::test]
async fn an_owner_that_is_gone_between_handler_and_commit_has_fired_nothing() {
    let ground = Ground::new("timers_killed").await;
    ground.schedule(&[timer("once", 1)]).await;
    ground.clock.set(1);
    let ledger = Ledger::default();
    ledger.stops.store(true, Ordering::SeqCst);
    let owner = ground.run(&ledger, options());
    ledger.stopped.notified().await;
    assert_eq!(
        ground.events().await,
        0,
        "nothing is visible before the commit"
    );
    owner.kill().await;
    // The next owner has to wait for the leases to run out.
    let owner = ground.run(&ledger, options());
    ground.all_gone().await;
    assert_eq!(ground.fired().await, ["once"]);
    assert_eq!(ground.events().await, 1);
    owner.stop().await;
}

#[tokio::test]
async fn two_owners_fire_each_timer_once() {
    let ground = Ground::new("timers_owners").await;
    let timers: Vec<Timer> = (0..400).map(|n| timer(&n.to_string(), n)).collect();
    ground.schedule(&timers).await;
    ground.clock.set(1000);
    // Leases that run out while they are used, so that both hold the same partitions in turn.
    let options = TimerOptions {
        lease: Duration::from_millis(2),
        ..options()
    };
    let owners: Vec<_> = (0..2)
        .map(|_| ground.run(&Ledger::default(), options))
        .collect();
    ground.all_gone().await;
    for owner in owners {
        owner.stop().await;
    }
    let mut times = BTreeMap::new();
    for name in ground.fired().await {
        *times.entry(name).or_insert(0) += 1;
    }
    assert_eq!(times.len(), 400);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    assert_eq!(ground.events().await, 400);
}

#[tokio::test]
async fn a_clock_that_jumps_fires_all_it_passes_and_nothing_again() {
    let ground = Ground::new("timers_clock").await;
    ground
        .schedule(&[timer("a", 10), timer("b", 20), timer("c", 3000)])
        .await;
    ground.clock.set(10);
    let owner = ground.run(&Ledger::default(), options());
    eventually(LIMIT, "a has fired", async || {
        (ground.fired().await == ["a"]).then_some(())
    })
    .await;
    // Back: what has fired stays so, and what is set for then fires.
    ground.clock.set(5);
    ground.schedule(&[timer("early", 4)]).await;
    eventually(LIMIT, "it fires", async || {
        (ground.fired().await == ["a", "early"]).then_some(())
    })
    .await;
    // Far ahead: all of it, earliest first.
    ground.clock.set(1_000_000);
    ground.all_gone().await;
    assert_eq!(ground.fired().await, ["a", "early", "b", "c"]);
    owner.stop().await;
}

#[tokio::test]
async fn one_that_cannot_be_fired_holds_up_no_other() {
    let ground = Ground::new("timers_failing").await;
    let failing = Timer {
        command: b"fail".to_vec(),
        ..timer("failing", 0)
    };
    let mut timers: Vec<Timer> = (1..40).map(|n| timer(&n.to_string(), n)).collect();
    timers.push(failing.clone());
    ground.schedule(&timers).await;
    ground.clock.set(100);
    let owner = ground.run(&Ledger::default(), options());
    eventually(LIMIT, "only it is left", async || {
        (ground.left().await == 1).then_some(())
    })
    .await;
    assert_eq!(ground.fired().await.len(), 39);
    // It comes again; once it can be fired, it is.
    ground.schedule(&[timer("failing", 0)]).await;
    ground.all_gone().await;
    assert_eq!(ground.fired().await.len(), 40);
    owner.stop().await;
}
