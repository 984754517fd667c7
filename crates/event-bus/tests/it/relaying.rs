//! The relay: the stream is the log, whatever happens.

use std::time::Duration;

use event_bus::{Relay, RelayOptions, RelayStanding};
use testing::eventually;

use crate::ground::{Ground, Running};

#[tokio::test]
async fn the_stream_is_the_log_in_order() {
    let ground = Ground::new("relay").await;
    let relay = ground.relay();
    for _ in 0..5 {
        ground.append(30, 4).await;
    }
    ground.wait_relayed(600).await;
    relay.stop().await;
    assert_eq!(ground.published().await, ground.logged().await);
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn two_relays_and_one_that_is_cut_off_do_no_harm() {
    let ground = Ground::new("relays").await;
    let mut total = 0;
    let keeper = ground.relay();
    for round in 0..12_u64 {
        let relay = ground.relay();
        ground.append(20, 3).await;
        total += 60;
        tokio::time::sleep(Duration::from_millis(round * 7)).await;
        relay.abort().await;
    }
    keeper.abort().await;
    let relay = ground.relay();
    ground.wait_relayed(total).await;
    relay.stop().await;
    assert_eq!(ground.published().await, ground.logged().await);
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_relay_that_ignores_its_lease_is_stopped_by_the_expected_sequence() {
    let ground = Ground::new("unleased").await;
    ground.append(20, 30).await;
    // Without leases in the way: each relay believes that it is the one.
    let relays: Vec<_> = (0..3)
        .map(|_| {
            let options = event_bus::RelayOptions {
                lease: Duration::from_millis(1),
                batch_events_max: 7,
                retry_delay: Duration::from_millis(5),
                ..event_bus::RelayOptions::default()
            };
            let relay = event_bus::Relay::new(ground.log.clone(), ground.bus.clone(), options);
            crate::ground::Running::start(|stop| relay.run(stop))
        })
        .collect();
    ground.wait_relayed(600).await;
    for relay in relays {
        relay.stop().await;
    }
    assert_eq!(ground.published().await, ground.logged().await);
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_lost_stream_is_published_anew() {
    let ground = Ground::new("lost").await;
    ground.append(10, 5).await;
    let relay = ground.relay();
    ground.wait_relayed(50).await;
    ground
        .jetstream()
        .await
        .delete_stream(ground.jetstream_name())
        .await
        .unwrap();
    ground.append(10, 1).await;
    ground.wait_relayed(60).await;
    relay.stop().await;
    assert_eq!(ground.published().await, ground.logged().await);
    assert_eq!(ground.log.epoch(), 1, "nothing was taken back");
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_log_restored_to_an_earlier_point_begins_a_new_epoch() {
    let ground = Ground::new("restored").await;
    ground.append(3, 2).await;
    let relay = ground.relay();
    ground.wait_relayed(6).await;
    relay.stop().await;
    // What a restore to before the last event of each stream leaves.
    sqlx::raw_sql(
        "delete from event where version = 2;
         update log_head h set position = coalesce((select max(position) from event e where e.partition = h.partition), 0)",
    )
    .execute(ground.log.pool())
    .await
    .unwrap();
    ground.append(3, 2).await;
    let relay = ground.relay();
    testing::eventually(
        Duration::from_secs(20),
        "the stream is the restored log",
        || async {
            (ground.log.epoch() == 2 && ground.bus.stream_messages("numbers").await.ok()? == 9)
                .then_some(())
        },
    )
    .await;
    relay.stop().await;
    assert_eq!(ground.published().await, ground.logged().await);
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_lost_its_beginning_is_published_anew_in_the_same_epoch() {
    let ground = Ground::new("truncated").await;
    ground.append(10, 5).await;
    let relay = ground.relay();
    ground.wait_relayed(50).await;
    relay.stop().await;
    // In the midst of a partition.
    ground.stream().await.purge().keep(22).await.unwrap();
    let relay = ground.relay();
    ground.wait_relayed(50).await;
    relay.stop().await;
    assert_eq!(ground.published().await, ground.logged().await);
    assert_eq!(ground.log.epoch(), 1, "nothing was taken back");
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_stream_restored_to_an_earlier_point_is_carried_on() {
    let ground = Ground::new("prefix").await;
    ground.append(10, 5).await;
    let relay = ground.relay();
    ground.wait_relayed(50).await;
    relay.stop().await;
    let messages = ground.messages().await;
    ground.publish_by_hand(&messages[..30]).await;
    assert_eq!(ground.bus.stream_messages("numbers").await.unwrap(), 30);
    ground.append(10, 1).await;
    let relay = ground.relay();
    ground.wait_relayed(60).await;
    relay.stop().await;
    assert_eq!(ground.published().await, ground.logged().await);
    assert_eq!(
        ground
            .stream()
            .await
            .get_info()
            .await
            .unwrap()
            .state
            .first_sequence,
        1,
        "what was there stayed"
    );
    assert_eq!(ground.log.epoch(), 1, "nothing was taken back");
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_relay_tells_how_far_it_has_come_while_it_publishes() {
    let ground = Ground::new("relay_standing").await;
    let start = || {
        let options = RelayOptions::default();
        let relay = Relay::new(ground.log.clone(), ground.bus.clone(), options);
        let standing = relay.standing();
        assert_eq!(standing.published_events(), None, "it has not begun");
        (standing, Running::start(|stop| relay.run(stop)))
    };
    let come_to = async |standing: &RelayStanding, events| {
        let limit = Duration::from_secs(20);
        eventually(limit, "it has come so far", async || {
            (standing.published_events() == Some(events)).then_some(())
        })
        .await;
    };
    ground.append(10, 3).await;
    let (standing, relay) = start();
    come_to(&standing, 30).await;
    ground.append_to(20..25, 2).await;
    come_to(&standing, 40).await;
    relay.stop().await;
    assert_eq!(standing.published_events(), None, "it has ended");
    // Whoever comes next goes on where the stream ends.
    let (standing, relay) = start();
    come_to(&standing, 40).await;
    relay.stop().await;
    ground.database.drop().await.unwrap();
}
