//! A follower whose rows are the log that it follows.

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use event_bus::{Divergence, Follower, FollowerOptions, divergences};
use event_log::{EventLog, Projection, ProjectionError, StoredEvent};
use sqlx::PgConnection;
use testing::{TestDatabase, eventually};

use crate::ground::{Ground, Running, open};

/// Keeps which event stands at each position.
#[derive(Clone, Copy)]
pub(crate) struct Copy;

impl Projection for Copy {
    fn name(&self) -> &'static str {
        "numbers.copy"
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        for event in events {
            sqlx::query("insert into copied values ($1, $2, $3) on conflict (partition, position) do update set event_id = $3")
                .bind(i16::from(event.partition.number()))
                .bind(event.position)
                .bind(event.event_id)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

pub(crate) struct Copier {
    pub(crate) database: TestDatabase,
    pub(crate) log: EventLog,
}

impl Copier {
    pub(crate) async fn new(label: &str) -> Self {
        let database = TestDatabase::create(label).await.unwrap();
        let log = open("copier", &database).await;
        sqlx::raw_sql(
            "create table copied (partition smallint, position bigint, event_id uuid, primary key (partition, position))",
        )
        .execute(log.pool())
        .await
        .unwrap();
        Self { database, log }
    }

    pub(crate) fn follow(&self, ground: &Ground) -> Running {
        self.follow_with(ground, Copy, Duration::from_millis(300))
    }

    /// Follows with another projection, which has the same table.
    pub(crate) fn follow_with(
        &self,
        ground: &Ground,
        projection: impl Projection,
        lease: Duration,
    ) -> Running {
        let options = FollowerOptions {
            batch_events_max: 20,
            lease,
            retry_delay: Duration::from_millis(20),
        };
        let follower = Follower::new(
            self.log.clone(),
            ground.bus.clone(),
            "numbers",
            projection,
            ground.log.clone(),
            options,
        );
        Running::start(|stop| follower.run(stop))
    }

    pub(crate) async fn copied(&self) -> BTreeMap<u8, Vec<String>> {
        let rows: Vec<(i16, uuid::Uuid)> =
            sqlx::query_as("select partition, event_id from copied order by partition, position")
                .fetch_all(self.log.pool())
                .await
                .unwrap();
        let mut found: BTreeMap<u8, Vec<String>> = BTreeMap::new();
        for (partition, id) in rows {
            let partition = u8::try_from(partition).unwrap();
            found.entry(partition).or_default().push(id.to_string());
        }
        found
    }

    pub(crate) async fn wait_copied(&self, ground: &Ground) {
        let logged = ground.logged().await;
        eventually(Duration::from_secs(20), "the copy is the log", || async {
            (self.copied().await == logged).then_some(())
        })
        .await;
    }

    pub(crate) async fn diverged(&self) -> Vec<Divergence> {
        divergences(self.log.pool()).await.unwrap()
    }

    /// What is to be found when everything behind `shared` was taken back from `before`.
    pub(crate) async fn assert_diverged(
        &self,
        epochs: (i32, i32),
        before: &BTreeMap<Partition, i64>,
        shared: &BTreeMap<Partition, i64>,
    ) {
        let found: BTreeMap<i16, (i32, i32, i64, i64)> = self
            .diverged()
            .await
            .into_iter()
            .map(|one| {
                assert_eq!(
                    (one.projection.as_str(), one.source.as_str()),
                    ("numbers.copy", "numbers")
                );
                let place = (
                    one.old_epoch,
                    one.new_epoch,
                    one.from_position,
                    one.to_position,
                );
                (one.partition, place)
            })
            .collect();
        let expected: BTreeMap<i16, (i32, i32, i64, i64)> = before
            .iter()
            .filter(|(partition, head)| shared[*partition] < **head)
            .map(|(partition, head)| {
                let place = (epochs.0, epochs.1, *head, shared[partition]);
                (partition.number().into(), place)
            })
            .collect();
        assert!(!expected.is_empty());
        assert_eq!(found, expected);
    }
}
