//! A projection that keeps every entry of every account, in the order in which it was applied, and that can be repaired and taught.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use event_log::{
    Append, DecodeError, EventLog, NewEvent, Projection, ProjectionError, Projector,
    ProjectorOptions, StoredEvent, Table, Write, append_in,
    control::Target,
    rebuild::{Comparison, Rebuild, RebuildError},
};
use sqlx::PgConnection;
use testing::{TestDatabase, eventually};
use tokio::{sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::account::{amount_of, open, plain};

pub(crate) const SOON: Duration = Duration::from_secs(20);
/// Events that a rebuild applies at once.
const REBUILD_BATCH: i64 = 7;
pub(crate) const TARGET: Target = Target {
    projection: "ledger",
    version: 1,
};

#[derive(Clone, Default)]
pub(crate) struct Ledger {
    /// Malformed entries count as 100.
    pub(crate) repaired: Arc<AtomicBool>,
    /// Knows what `withdrawn` is.
    pub(crate) taught: Arc<AtomicBool>,
    /// How often the world is still going to fail.
    pub(crate) failures: Arc<AtomicUsize>,
    /// Events that were reacted to.
    pub(crate) reactions: Arc<AtomicUsize>,
}

impl Ledger {
    fn amount(&self, event: &StoredEvent) -> Result<i64, DecodeError> {
        match event.type_.as_str() {
            "added" => match amount_of(event) {
                Err(_) if self.repaired.load(Ordering::Relaxed) => Ok(100),
                amount => amount,
            },
            "withdrawn" if self.taught.load(Ordering::Relaxed) => Ok(-1),
            _ => Err(DecodeError::unknown(event)),
        }
    }
}

impl Projection for Ledger {
    fn name(&self) -> &'static str {
        TARGET.projection
    }

    fn tables(&self) -> &'static [Table] {
        const TABLES: [Table; 1] = [Table {
            name: "entry",
            aside: &["checked"],
        }];
        &TABLES
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        if self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
        {
            return Err(ProjectionError::Database(sqlx::Error::PoolTimedOut));
        }
        for event in events {
            // The number shows in which order, and a second time would be a second row.
            sqlx::query(
                "insert into entry (partition, account, number, position, amount)
                 select $1, $2, (select count(*) from entry where account = $2), $3, $4",
            )
            .bind(i16::from(event.partition.number()))
            .bind(event.stream_id.0)
            .bind(event.position)
            .bind(self.amount(event)?)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }

    async fn react(
        &self,
        _: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        self.reactions.fetch_add(events.len(), Ordering::Relaxed);
        Ok(())
    }
}

/// A ledger that stops within a batch until it may go on.
#[derive(Clone)]
pub(crate) struct Stopping {
    pub(crate) ledger: Ledger,
    /// Batches that it has begun.
    pub(crate) entered: Arc<AtomicUsize>,
    pub(crate) go_on: Arc<Semaphore>,
    /// Whether it writes before it stops, or afterwards.
    pub(crate) writes_first: bool,
}

impl Stopping {
    /// One that stops before it writes.
    pub(crate) fn before(ledger: &Ledger) -> Self {
        Self {
            ledger: ledger.clone(),
            entered: Arc::default(),
            go_on: Arc::new(Semaphore::new(0)),
            writes_first: false,
        }
    }

    /// Waits until it has begun so many batches.
    pub(crate) async fn wait_entered(&self, batches: usize) {
        eventually(SOON, "the owner is within a batch", || async {
            (self.entered.load(Ordering::Relaxed) >= batches).then_some(())
        })
        .await;
    }
}

impl Projection for Stopping {
    fn name(&self) -> &'static str {
        self.ledger.name()
    }

    fn tables(&self) -> &'static [Table] {
        self.ledger.tables()
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        if self.writes_first {
            self.ledger.apply(connection, events).await?;
        }
        self.entered.fetch_add(1, Ordering::Relaxed);
        self.go_on.acquire().await.expect("never closed").forget();
        if self.writes_first {
            return Ok(());
        }
        self.ledger.apply(connection, events).await
    }
}

/// A log, and what a ledger keeps of it.
pub(crate) struct Books {
    pub(crate) database: TestDatabase,
    pub(crate) log: EventLog,
    pub(crate) ledger: Ledger,
}

pub(crate) struct Running {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.join_all().await;
    }
}

impl Books {
    pub(crate) async fn new(label: &str) -> Self {
        let database = TestDatabase::create(label).await.unwrap();
        let log = open(&database).await;
        sqlx::raw_sql(
            "create table entry (partition smallint, account uuid, number bigint, position bigint not null,
                amount bigint not null check (amount < 1000), checked boolean not null default false,
                primary key (partition, account, number));
             create index entry_by_amount on entry (amount)",
        )
        .execute(log.pool())
        .await
        .unwrap();
        Self {
            database,
            log,
            ledger: Ledger::default(),
        }
    }

    pub(crate) fn keep(&self) -> Running {
        self.keep_with(self.ledger.clone(), Duration::from_millis(300))
    }

    pub(crate) fn keep_with(&self, projection: impl Projection, lease: Duration) -> Running {
        let options = ProjectorOptions {
            batch_events_max: 64,
            lease,
            poll_interval: Duration::from_millis(10),
            linger: Duration::from_millis(1),
            retry_delay: Duration::from_millis(10),
        };
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(Projector::new(self.log.clone(), projection, options).run(stop.clone()));
        Running { stop, tasks }
    }

    /// Appends one event to an account.
    pub(crate) async fn append(&self, account: u128, type_: &'static str, payload: Vec<u8>) {
        let stream = plain(account).id.0;
        let version: Option<i64> =
            sqlx::query_scalar("select max(version) from event where stream_id = $1")
                .bind(stream)
                .fetch_one(self.log.pool())
                .await
                .unwrap();
        let appended = self
            .append_at(account, version.unwrap_or(0), type_, payload)
            .await;
        assert!(appended, "nobody else writes");
    }

    /// Appends one event to an account, if it is at this version.
    pub(crate) async fn append_at(
        &self,
        account: u128,
        expected_version: i64,
        type_: &'static str,
        payload: Vec<u8>,
    ) -> bool {
        let event = NewEvent {
            event_id: Uuid::now_v7(),
            type_,
            schema_version: 1,
            payload: payload.into(),
            metadata: bytes::Bytes::new(),
            occurred_at: time::macros::datetime!(2026-01-02 03:04:05 UTC),
        };
        let append = Append {
            stream: plain(account),
            expected_version,
            events: vec![event],
            new_key: None,
            erases: false,
        };
        let write = Write {
            idempotency: None,
            appends: vec![append],
        };
        let mut transaction = self.log.pool().begin().await.unwrap();
        if append_in(&mut transaction, &[write])
            .await
            .unwrap()
            .is_none()
        {
            return false;
        }
        transaction.commit().await.unwrap();
        self.log.notify_appended();
        true
    }

    pub(crate) async fn add(&self, account: u128, amounts: impl IntoIterator<Item = i64>) {
        for amount in amounts {
            self.append(account, "added", amount.to_be_bytes().to_vec())
                .await;
        }
    }

    /// Appends an event that cannot be applied.
    pub(crate) async fn add_malformed(&self, account: u128) {
        self.append(account, "added", vec![1, 2, 3]).await;
    }

    pub(crate) async fn entries(&self, account: u128) -> Vec<i64> {
        sqlx::query_scalar("select amount from entry where account = $1 order by number")
            .bind(Uuid::from_u128(account))
            .fetch_all(self.log.pool())
            .await
            .unwrap()
    }

    /// Positions and errors of what is parked of an account, in order.
    pub(crate) async fn parked(&self, account: u128) -> Vec<(i64, String)> {
        sqlx::query_as("select position, error from parked where stream_id = $1 order by position")
            .bind(Uuid::from_u128(account))
            .fetch_all(self.log.pool())
            .await
            .unwrap()
    }

    /// Why the projection is paused, by partition.
    pub(crate) async fn paused(&self) -> Vec<(i16, String, String, i64)> {
        sqlx::query_as("select partition, paused_by, reason, position from paused order by 1")
            .fetch_all(self.log.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn applied(&self) -> i64 {
        let progress = self.log.progress().await.unwrap();
        progress.get("ledger").copied().unwrap_or(0)
    }

    /// Waits until the projection has come to the end of the log.
    pub(crate) async fn caught_up(&self) {
        eventually(SOON, "the ledger is at the end of its log", || async {
            let heads = self.log.heads().await.unwrap();
            (self.applied().await == heads.values().sum::<i64>()).then_some(())
        })
        .await;
    }

    /// Waits until nobody holds a lease.
    pub(crate) async fn nobody_works(&self) {
        eventually(SOON, "the leases are given up", || async {
            let held: i64 =
                sqlx::query_scalar("select count(*) from checkpoint where owner is not null")
                    .fetch_one(self.log.pool())
                    .await
                    .unwrap();
            (held == 0).then_some(())
        })
        .await;
    }

    pub(crate) async fn begin(&self) -> Result<Rebuild<Ledger>, RebuildError> {
        let pool = self.log.pool();
        Rebuild::begin(pool, &self.log, self.ledger.clone(), REBUILD_BATCH).await
    }

    pub(crate) async fn rebuild(&self) -> Result<(), RebuildError> {
        let mut rebuild = self.begin().await?;
        while rebuild.step().await?.left() > 0 {}
        rebuild.take_over().await
    }

    /// Compares the rows with those that a rebuild makes.
    pub(crate) async fn compare(&self) -> Comparison {
        self.begin().await.unwrap().compare().await.unwrap()
    }

    pub(crate) async fn close(self) {
        self.log.close().await;
        self.database.drop().await.unwrap();
    }
}
