//! Events that cannot be applied: their streams wait in order, all others go on, and what waits is applied once when it can be.

use std::{sync::atomic::Ordering, time::Duration};

use aggregate::StreamId;
use event_log::{control, status};
use testing::eventually;
use uuid::Uuid;

use crate::{
    account::plain,
    ledger::{Books, SOON, TARGET},
};

#[tokio::test]
async fn a_stream_with_an_event_that_cannot_be_applied_waits_in_order_and_the_others_go_on() {
    let books = Books::new("park_order").await;
    for account in 0..20 {
        books.add(account, [1, 2]).await;
    }
    books.add_malformed(7).await;
    books.add_malformed(11).await;
    for account in 0..20 {
        books.add(account, [3, 4]).await;
    }
    let running = books.keep();
    books.caught_up().await;
    for account in 0..20 {
        let whole = ![7, 11].contains(&account);
        let expected: &[i64] = if whole { &[1, 2, 3, 4] } else { &[1, 2] };
        assert_eq!(books.entries(account).await, expected, "account {account}");
        assert_eq!(books.parked(account).await.is_empty(), whole);
    }
    // What comes later waits behind it.
    books.add(7, [5]).await;
    books.add(8, [5]).await;
    books.caught_up().await;
    assert_eq!(books.entries(8).await, [1, 2, 3, 4, 5]);
    let parked = books.parked(7).await;
    assert_eq!(parked.len(), 4);
    assert_eq!(
        parked[0].1,
        "an event cannot be decoded: added: field amount is not valid"
    );
    assert!(parked[1..].iter().all(|(_, error)| error.is_empty()));

    // Not repaired: it fails again where it failed, and nothing changes.
    assert_eq!(
        control::replay(books.log.pool(), TARGET, None)
            .await
            .unwrap(),
        2
    );
    eventually(SOON, "both wishes were dealt with", || async {
        let streams = control::parked(books.log.pool(), TARGET).await.unwrap();
        (streams.len() == 2 && streams.iter().all(|stream| !stream.replay)).then_some(())
    })
    .await;
    assert_eq!(books.parked(7).await, parked);
    assert_eq!(books.entries(7).await, [1, 2]);

    books.ledger.repaired.store(true, Ordering::Relaxed);
    let one = Some(plain(7).id);
    assert_eq!(
        control::replay(books.log.pool(), TARGET, one)
            .await
            .unwrap(),
        1
    );
    eventually(SOON, "the stream is no longer parked", || async {
        books.parked(7).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(books.entries(7).await, [1, 2, 100, 3, 4, 5]);
    assert_eq!(books.ledger.reactions.load(Ordering::Relaxed), 4);
    assert_eq!(books.parked(11).await.len(), 3, "nobody asked for it");
    books.add(7, [6]).await;
    books.caught_up().await;
    assert_eq!(books.entries(7).await, [1, 2, 100, 3, 4, 5, 6]);
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn what_the_database_says_of_a_value_parks_and_what_it_says_of_itself_does_not() {
    let books = Books::new("park_database").await;
    books.ledger.failures.store(3, Ordering::Relaxed);
    books.add(1, [1]).await;
    // Violates a check of the table.
    books.add(2, [1, 1000, 2]).await;
    books.add(3, [1]).await;
    let running = books.keep();
    books.caught_up().await;
    assert_eq!(books.ledger.failures.load(Ordering::Relaxed), 0);
    assert_eq!(books.entries(1).await, [1]);
    assert_eq!(books.entries(2).await, [1]);
    assert_eq!(books.entries(3).await, [1]);
    let parked = books.parked(2).await;
    assert_eq!(parked.len(), 2);
    assert_eq!(
        parked[0].1,
        "the read model's database failed: SQLSTATE 23514, constraint entry_amount_check"
    );
    assert_eq!(
        control::parked(books.log.pool(), TARGET)
            .await
            .unwrap()
            .len(),
        1
    );
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn parked_streams_are_remembered_by_whoever_takes_over() {
    let books = Books::new("park_successor").await;
    books.add_malformed(1).await;
    let running = books.keep();
    books.caught_up().await;
    running.stop().await;
    let successor = books.keep();
    books.add(1, [1]).await;
    books.caught_up().await;
    assert_eq!(books.entries(1).await, [0_i64; 0]);
    assert_eq!(books.parked(1).await.len(), 2);
    successor.stop().await;
    books.close().await;
}

#[tokio::test]
async fn a_stream_that_is_parked_by_hand_waits_until_it_is_replayed() {
    let books = Books::new("park_hand").await;
    books.add(1, [1]).await;
    let running = books.keep();
    books.caught_up().await;
    let stream = plain(1);
    let found = control::find_stream(books.log.pool(), stream.id)
        .await
        .unwrap();
    assert_eq!(found, [(stream.partition, stream.tenant.clone())]);
    let place = (stream.partition, &stream.tenant, stream.id);
    control::park(books.log.pool(), TARGET, place, "to be looked at")
        .await
        .unwrap();
    for amount in 2..5 {
        books.add(1, [amount]).await;
        books.add(2, [amount]).await;
    }
    books.caught_up().await;
    assert_eq!(books.entries(1).await, [1]);
    assert_eq!(books.entries(2).await, [2, 3, 4]);
    assert_eq!(books.parked(1).await[0], (0, "to be looked at".to_owned()));
    control::replay(books.log.pool(), TARGET, None)
        .await
        .unwrap();
    eventually(SOON, "the stream is no longer parked", || async {
        books.parked(1).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(books.entries(1).await, [1, 2, 3, 4]);
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn an_event_that_is_not_known_pauses_the_projection_until_it_is() {
    let books = Books::new("pause_unknown").await;
    books.add(1, [1, 2]).await;
    books.append(1, "withdrawn", Vec::new()).await;
    books.add(1, [3]).await;
    // Long leases: they are given up, so that a newer version need not wait for them.
    let running = books.keep_with(books.ledger.clone(), Duration::from_secs(30));
    let paused = eventually(SOON, "the projection is paused", || async {
        books.paused().await.pop()
    })
    .await;
    let partition = i16::from(plain(1).partition.number());
    let reason = "an event cannot be decoded: event type withdrawn version 1 is not known";
    assert_eq!(
        paused,
        (partition, "unknown_event".to_owned(), reason.to_owned(), 3)
    );
    books.nobody_works().await;
    assert_eq!(
        books.entries(1).await,
        [1, 2],
        "all before it, and nothing behind it"
    );
    assert_eq!(books.applied().await, 2);
    assert_eq!(books.parked(1).await, []);
    // A newer version beside it.
    let newer = books.ledger.clone();
    let newer = crate::ledger::Ledger {
        taught: std::sync::Arc::new(true.into()),
        ..newer
    };
    let successor = books.keep_with(newer, Duration::from_secs(30));
    books.caught_up().await;
    assert_eq!(books.entries(1).await, [1, 2, -1, 3]);
    assert_eq!(books.paused().await, []);
    running.stop().await;
    successor.stop().await;
    books.close().await;
}

#[tokio::test]
async fn a_pause_lasts_over_restarts_until_it_is_ended() {
    let books = Books::new("pause_operator").await;
    books.add(1, [1]).await;
    let running = books.keep_with(books.ledger.clone(), Duration::from_secs(30));
    books.caught_up().await;
    control::pause(books.log.pool(), TARGET, "maintenance")
        .await
        .unwrap();
    books.nobody_works().await;
    assert_eq!(books.paused().await.len(), 64);
    books.add(1, [2]).await;
    running.stop().await;
    let running = books.keep();
    // Without a lease nothing can be written; and it is not the end of the first look.
    books.nobody_works().await;
    assert_eq!(books.entries(1).await, [1]);
    assert!(control::resume(books.log.pool(), TARGET).await.unwrap());
    assert!(!control::resume(books.log.pool(), TARGET).await.unwrap());
    books.caught_up().await;
    assert_eq!(books.entries(1).await, [1, 2]);
    running.stop().await;
    books.close().await;
}

#[tokio::test]
async fn there_is_no_stream_that_nobody_wrote_to() {
    let books = Books::new("park_nobody").await;
    let nobody = StreamId(Uuid::from_u128(99));
    assert_eq!(
        control::find_stream(books.log.pool(), nobody)
            .await
            .unwrap(),
        []
    );
    books.close().await;
}

#[tokio::test]
async fn the_status_tells_how_far_it_is_behind_and_who_works_on_it() {
    let books = Books::new("status").await;
    books.add(1, [1, 2]).await;
    books.add_malformed(2).await;
    let now = async || status(books.log.pool(), &books.log, TARGET).await.unwrap();
    let before = now().await;
    assert_eq!((before.applied, before.behind), (0, 3));
    assert!(before.behind_since.is_some() && before.owners.is_empty());
    let running = books.keep_with(books.ledger.clone(), SOON);
    books.caught_up().await;
    let live = now().await;
    assert_eq!((live.applied, live.behind), (3, 0));
    assert_eq!((live.behind_since, live.paused), (None, None));
    assert_eq!(live.owners.len(), 1);
    assert_eq!(live.owners[0].partitions, 64);
    assert!(live.owners[0].lease_left_ms > 0);
    assert_eq!((live.parked.len(), live.parked[0].events), (1, 1));
    control::pause(books.log.pool(), TARGET, "maintenance")
        .await
        .unwrap();
    let paused = now().await.paused.expect("it was paused");
    assert_eq!(
        (paused.by_operator, paused.reason.as_str()),
        (true, "maintenance")
    );
    running.stop().await;
    books.close().await;
}
