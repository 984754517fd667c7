//! Servers that go away, and owners that stop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use event_log::{Projection, ProjectionError, StoredEvent};
use sqlx::PgConnection;
use testing::{NatsProgram, NatsServer, eventually};
use tokio::sync::Semaphore;

use crate::{
    copier::{Copier, Copy},
    ground::Ground,
};

#[tokio::test]
async fn what_is_appended_while_nats_is_down_follows_in_order() {
    let program = NatsProgram::find()
        .unwrap()
        .expect("a NATS server to start");
    let mut server = NatsServer::start(program).unwrap();
    let ground = Ground::on("down", server.url()).await;
    let copier = Copier::new("down_copier").await;
    let relay = ground.relay();
    let follower = copier.follow(&ground);
    ground.append(10, 3).await;
    copier.wait_copied(&ground).await;
    server.kill().unwrap();
    for _ in 0..5 {
        ground.append(10, 2).await;
    }
    server.restart().unwrap();
    ground.wait_relayed(130).await;
    copier.wait_copied(&ground).await;
    relay.stop().await;
    follower.stop().await;
    assert_eq!(ground.published().await, ground.logged().await);
    assert_eq!(ground.log.epoch(), 1, "nothing was taken back");
    copier.database.drop().await.unwrap();
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_running_follower_finds_out_that_its_stream_was_made_anew() {
    let ground = Ground::new("anew").await;
    let copier = Copier::new("anew_copier").await;
    let relay = ground.relay();
    ground.append(10, 5).await;
    ground.wait_relayed(50).await;
    // Published twice: the sequences that the follower has seen are beyond those of a stream that begins anew.
    relay.stop().await;
    ground.stream().await.purge().await.unwrap();
    let relay = ground.relay();
    ground.wait_relayed(50).await;
    let follower = copier.follow(&ground);
    copier.wait_copied(&ground).await;
    let name = ground.jetstream_name();
    ground.jetstream().await.delete_stream(name).await.unwrap();
    ground.append(10, 1).await;
    ground.wait_relayed(60).await;
    copier.wait_copied(&ground).await;
    follower.stop().await;
    relay.stop().await;
    copier.database.drop().await.unwrap();
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_running_relay_finds_out_that_its_stream_is_shorter_than_it_was() {
    let ground = Ground::new("shorter").await;
    let relay = ground.relay();
    ground.append(10, 5).await;
    ground.wait_relayed(50).await;
    // Nothing is appended, nothing fails: only looking shows it.
    ground.stream().await.purge().await.unwrap();
    ground.wait_relayed(50).await;
    assert_eq!(ground.published().await, ground.logged().await);
    let name = ground.jetstream_name();
    ground.jetstream().await.delete_stream(name).await.unwrap();
    ground.wait_relayed(50).await;
    relay.stop().await;
    assert_eq!(ground.published().await, ground.logged().await);
    assert_eq!(ground.log.epoch(), 1, "nothing was taken back");
    ground.database.drop().await.unwrap();
}

/// Stops before it writes, until it may go on.
#[derive(Clone)]
struct Stopping {
    entered: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
    go_on: Arc<Semaphore>,
}

impl Stopping {
    fn new() -> Self {
        Self {
            entered: Arc::default(),
            left: Arc::default(),
            go_on: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Projection for Stopping {
    fn name(&self) -> &'static str {
        Copy.name()
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        self.entered.fetch_add(1, Ordering::Relaxed);
        let _permit = self.go_on.acquire().await.expect("never closed");
        Copy.apply(connection, events).await?;
        self.left.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

async fn wait_counted(counter: &AtomicUsize, what: &str) {
    eventually(Duration::from_secs(20), what, || async {
        (counter.load(Ordering::Relaxed) > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_owner_that_stood_still_past_its_lease_writes_nothing() {
    let ground = Ground::new("fenced").await;
    let copier = Copier::new("fenced_copier").await;
    let relay = ground.relay();
    ground.append(1, 5).await;
    ground.wait_relayed(5).await;
    let (first, second) = (Stopping::new(), Stopping::new());
    let stopped = copier.follow_with(&ground, first.clone(), Duration::from_millis(300));
    wait_counted(&first.entered, "the first owner began to write").await;
    // It stands still as well, but well within its lease.
    let successor = copier.follow_with(&ground, second.clone(), Duration::from_secs(12));
    wait_counted(&second.entered, "the lease ran out").await;
    first.go_on.add_permits(1);
    wait_counted(&first.left, "the first owner went on").await;
    stopped.stop().await;
    assert!(
        copier.copied().await.is_empty(),
        "it owned nothing any more"
    );
    second.go_on.add_permits(1);
    copier.wait_copied(&ground).await;
    successor.stop().await;
    relay.stop().await;
    copier.database.drop().await.unwrap();
    ground.database.drop().await.unwrap();
}
