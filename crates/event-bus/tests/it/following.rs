//! Followers: every event once, in order, whatever the stream does.

use std::{collections::BTreeMap, time::Duration};

use event_bus::{Follower, FollowerOptions};
use event_log::{EventLog, Projection, ProjectionError, StoredEvent};
use sqlx::PgConnection;
use testing::{TestDatabase, eventually};

use crate::ground::{Ground, Running, number_of, open, request};

/// Keeps the last number of each stream, and refuses one that is not the next.
#[derive(Clone, Copy)]
struct Last;

impl Projection for Last {
    fn name(&self) -> &'static str {
        "numbers.last"
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        for event in events {
            assert_eq!(event.metadata().unwrap(), request().metadata);
            assert_eq!(event.occurred_at, request().now);
            let number = i64::try_from(number_of(event)?).unwrap();
            sqlx::query("insert into last values ($1, $2, 1) on conflict (id) do update set number = $2, seen = last.seen + 1")
                .bind(event.stream_id.0)
                .bind(number)
                .execute(&mut *connection)
                .await?;
            sqlx::query("insert into seen values ($1, $2)")
                .bind(event.event_id)
                .bind(event.position)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

struct Reader {
    database: TestDatabase,
    log: EventLog,
}

impl Reader {
    async fn new(label: &str) -> Self {
        let database = TestDatabase::create(label).await.unwrap();
        let log = open("reader", &database).await;
        sqlx::raw_sql(
            "create table last (id uuid primary key, number bigint, seen bigint);
             create table seen (event_id uuid primary key, position bigint)",
        )
        .execute(log.pool())
        .await
        .unwrap();
        Self { database, log }
    }

    fn follow(&self, ground: &Ground) -> Running {
        let options = FollowerOptions {
            batch_events_max: 20,
            lease: Duration::from_millis(300),
            retry_delay: Duration::from_millis(20),
        };
        let origin = ground.log.clone();
        let follower = Follower::new(
            self.log.clone(),
            ground.bus.clone(),
            "numbers",
            Last,
            origin,
            options,
        );
        Running::start(|stop| follower.run(stop))
    }

    async fn seen(&self) -> i64 {
        sqlx::query_scalar("select count(*) from seen")
            .fetch_one(self.log.pool())
            .await
            .unwrap()
    }

    async fn wait_seen(&self, count: i64) {
        eventually(
            Duration::from_secs(20),
            "all events were applied",
            || async { (self.seen().await >= count).then_some(()) },
        )
        .await;
    }

    async fn last(&self) -> BTreeMap<uuid::Uuid, (i64, i64)> {
        let rows: Vec<(uuid::Uuid, i64, i64)> = sqlx::query_as("select id, number, seen from last")
            .fetch_all(self.log.pool())
            .await
            .unwrap();
        rows.into_iter()
            .map(|(id, number, seen)| (id, (number, seen)))
            .collect()
    }

    async fn assert_holds(&self, streams: usize, last: i64) {
        let rows = self.last().await;
        assert_eq!(rows.len(), streams);
        assert!(rows.values().all(|row| *row == (last, last)), "{rows:?}");
    }
}

#[tokio::test]
async fn every_event_is_applied_once_by_followers_that_come_and_go() {
    let ground = Ground::new("follow").await;
    let reader = Reader::new("follow_reader").await;
    let relay = ground.relay();
    for round in 0..8_u64 {
        let (a, b) = (reader.follow(&ground), reader.follow(&ground));
        ground.append(25, 4).await;
        tokio::time::sleep(Duration::from_millis(round * 20)).await;
        a.abort().await;
        b.stop().await;
    }
    let follower = reader.follow(&ground);
    reader.wait_seen(800).await;
    follower.stop().await;
    relay.stop().await;
    reader.assert_holds(25, 32).await;
    ground.database.drop().await.unwrap();
    reader.database.drop().await.unwrap();
}

#[tokio::test]
async fn what_the_stream_lacks_comes_from_the_origin() {
    let ground = Ground::new("hole").await;
    let reader = Reader::new("hole_reader").await;
    ground.append(10, 10).await;
    let relay = ground.relay();
    ground.wait_relayed(100).await;
    relay.stop().await;
    // A stream that lost its older half.
    ground.stream().await.purge().keep(40).await.unwrap();
    let follower = reader.follow(&ground);
    reader.wait_seen(100).await;
    follower.stop().await;
    reader.assert_holds(10, 10).await;
    ground.database.drop().await.unwrap();
    reader.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_followed_from_the_checkpoint() {
    let ground = Ground::new("anew").await;
    let reader = Reader::new("anew_reader").await;
    let relay = ground.relay();
    let follower = reader.follow(&ground);
    ground.append(10, 5).await;
    reader.wait_seen(50).await;
    ground
        .jetstream()
        .await
        .delete_stream(ground.jetstream_name())
        .await
        .unwrap();
    ground.append(10, 5).await;
    reader.wait_seen(100).await;
    relay.stop().await;
    follower.stop().await;
    reader.assert_holds(10, 10).await;
    ground.database.drop().await.unwrap();
    reader.database.drop().await.unwrap();
}

#[tokio::test]
async fn what_moved_within_a_stream_that_was_made_anew_is_not_missed() {
    let ground = Ground::new("moved").await;
    let reader = Reader::new("moved_reader").await;
    ground.append(10, 2).await;
    ground.append(9, 18).await;
    let relay = ground.relay();
    let follower = reader.follow(&ground);
    reader.wait_seen(182).await;
    follower.stop().await;
    relay.stop().await;
    let name = ground.jetstream_name();
    ground.jetstream().await.delete_stream(name).await.unwrap();
    // In the new stream this stands far before the sequence that was seen last.
    ground.append_to([9], 1).await;
    let relay = ground.relay();
    ground.wait_relayed(183).await;
    let follower = reader.follow(&ground);
    reader.wait_seen(183).await;
    follower.stop().await;
    relay.stop().await;
    assert_eq!(reader.seen().await, 183);
    ground.database.drop().await.unwrap();
    reader.database.drop().await.unwrap();
}

#[tokio::test]
async fn without_a_hint_the_stream_is_read_again_and_what_was_applied_is_skipped() {
    let ground = Ground::new("hintless").await;
    let reader = Reader::new("hintless_reader").await;
    ground.append(10, 5).await;
    let relay = ground.relay();
    let follower = reader.follow(&ground);
    reader.wait_seen(50).await;
    follower.stop().await;
    sqlx::query("update checkpoint set source_sequence = 0")
        .execute(reader.log.pool())
        .await
        .unwrap();
    ground.append(10, 1).await;
    let follower = reader.follow(&ground);
    reader.wait_seen(60).await;
    follower.stop().await;
    relay.stop().await;
    reader.assert_holds(10, 6).await;
    ground.database.drop().await.unwrap();
    reader.database.drop().await.unwrap();
}

#[tokio::test]
async fn doubled_disordered_and_missing_messages_are_put_right() {
    let ground = Ground::new("untidy").await;
    let reader = Reader::new("untidy_reader").await;
    ground.append(10, 6).await;
    let relay = ground.relay();
    ground.wait_relayed(60).await;
    relay.stop().await;
    let mut messages = ground.messages().await;
    // Each third is lost, each second of the rest comes twice, and all of these come backwards.
    let tail = messages.split_off(40);
    let mut untidy: Vec<_> = messages
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % 3 != 0)
        .flat_map(|(index, message)| vec![message; 1 + index % 2])
        .rev()
        .collect();
    untidy.extend(tail);
    ground.publish_by_hand(&untidy).await;
    let follower = reader.follow(&ground);
    reader.wait_seen(60).await;
    follower.stop().await;
    reader.assert_holds(10, 6).await;
    ground.database.drop().await.unwrap();
    reader.database.drop().await.unwrap();
}
