//! Relays and followers without one of their guards: what examines their work has to find it. A binary of its own, since a guard
//! is left out for all of a process.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

#[expect(dead_code, reason = "what other tests use of it")]
#[path = "it/copier.rs"]
mod copier;
#[expect(dead_code, reason = "what other tests use of it")]
#[path = "it/ground.rs"]
mod ground;

use std::time::Duration;

use event_bus::{Relay, RelayOptions, StreamEnd};
use fail::FailScenario;
use testing::eventually;

use copier::Copier;
use ground::{Ground, Running};

/// What `vefa doctor` says of the stream.
async fn findings(ground: &Ground) -> Vec<String> {
    let end = StreamEnd::read(&ground.bus, "numbers").await.unwrap();
    let mut connection = ground.log.pool().acquire().await.unwrap();
    end.compare(&mut connection).await.unwrap().findings
}

#[tokio::test]
async fn relays_that_publish_wherever_the_stream_ends_are_found_out() {
    let scenario = FailScenario::setup();
    let ground = Ground::new("broken_sequence").await;
    ground.append(20, 30).await;
    fail::cfg("broken-expected-sequence", "return").unwrap();
    // Looking at the stream, each would soon put right what the others did to it.
    fail::cfg("broken-undisturbed", "return").unwrap();
    // Each believes that it is the one, and waits long after it has met the other.
    let relays: Vec<Running> = (0..3)
        .map(|_| {
            let options = RelayOptions {
                lease: Duration::from_millis(1),
                batch_events_max: 7,
                retry_delay: Duration::from_secs(1),
                ..RelayOptions::default()
            };
            let relay = Relay::new(ground.log.clone(), ground.bus.clone(), options);
            Running::start(|stop| relay.run(stop))
        })
        .collect();
    // Whether they meet is up to chance, so that there is always more to publish.
    let found = eventually(Duration::from_secs(20), "the doctor finds it", || async {
        ground.append(20, 7).await;
        let end = StreamEnd::read(&ground.bus, "numbers").await.ok()?;
        let mut connection = ground.log.pool().acquire().await.unwrap();
        let findings = end.compare(&mut connection).await.unwrap().findings;
        (!findings.is_empty()).then_some(findings)
    })
    .await;
    assert!(
        found
            .iter()
            .any(|finding| finding.contains("messages, but its positions make")),
        "{found:?}"
    );
    for relay in relays {
        relay.stop().await;
    }
    ground.database.drop().await.unwrap();
    scenario.teardown();
}

#[tokio::test]
async fn a_stream_that_is_ahead_of_a_restored_log_is_found() {
    let scenario = FailScenario::setup();
    let ground = Ground::new("broken_copy").await;
    ground.append(3, 2).await;
    let relay = ground.relay();
    ground.wait_relayed(6).await;
    relay.stop().await;
    assert_eq!(findings(&ground).await, [""; 0]);
    // What a restore to before the last event of each stream leaves; then the log goes on elsewhere.
    sqlx::raw_sql(
        "delete from event where version = 2;
         update log_head h set position = coalesce((select max(position) from event e where e.partition = h.partition), 0)",
    )
    .execute(ground.log.pool())
    .await
    .unwrap();
    ground.append_to([100], 1).await;
    fail::cfg("broken-copy", "return").unwrap();
    let relay = ground.relay();
    ground.wait_relayed(7).await;
    relay.stop().await;
    let found = findings(&ground).await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found
            .iter()
            .all(|finding| finding.contains("not the log's at position 2")),
        "{found:?}"
    );
    ground.database.drop().await.unwrap();
    scenario.teardown();
}

#[tokio::test]
async fn a_stream_that_was_emptied_under_a_relay_that_does_not_look_is_found() {
    let scenario = FailScenario::setup();
    let ground = Ground::new("broken_undisturbed").await;
    ground.append(3, 2).await;
    let relay = ground.relay();
    ground.wait_relayed(6).await;
    fail::cfg("broken-undisturbed", "return").unwrap();
    ground.stream().await.purge().await.unwrap();
    // With each renewal of its lease it would look.
    for _ in 0..3 {
        let before = lease_until(&ground).await;
        eventually(Duration::from_secs(20), "the lease is renewed", || async {
            (lease_until(&ground).await > before).then_some(())
        })
        .await;
    }
    // Behind what is no more, JetStream takes what comes next.
    ground.append_to([0], 1).await;
    ground.wait_relayed(1).await;
    assert_eq!(
        findings(&ground).await,
        ["the stream holds 1 messages, but its positions make 3"]
    );
    fail::remove("broken-undisturbed");
    ground.wait_relayed(7).await;
    relay.stop().await;
    assert_eq!(findings(&ground).await, [""; 0]);
    ground.database.drop().await.unwrap();
    scenario.teardown();
}

async fn lease_until(ground: &Ground) -> Option<time::OffsetDateTime> {
    sqlx::query_scalar("select max(lease_until) from checkpoint where projection = 'relay'")
        .fetch_one(ground.log.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_follower_that_passes_over_a_hole_is_found() {
    let scenario = FailScenario::setup();
    let ground = Ground::new("broken_hole").await;
    let copier = Copier::new("broken_hole_copier").await;
    ground.append(10, 5).await;
    let relay = ground.relay();
    ground.wait_relayed(50).await;
    relay.stop().await;
    let mut messages = ground.messages().await;
    messages.drain(3..6);
    ground.publish_by_hand(&messages).await;
    fail::cfg("broken-hole", "return").unwrap();
    let follower = copier.follow(&ground);
    let copied = eventually(Duration::from_secs(20), "it has read all", || async {
        let copied = copier.copied().await;
        (copied.values().map(Vec::len).sum::<usize>() >= 47).then_some(copied)
    })
    .await;
    follower.stop().await;
    assert_ne!(copied, ground.logged().await);
    copier.database.drop().await.unwrap();
    ground.database.drop().await.unwrap();
    scenario.teardown();
}
