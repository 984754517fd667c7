//! The log of one service in PostgreSQL: 64 gapless partition logs, idempotent commands, projections that move their checkpoint
//! with their rows, and the keys that seal personal data.
//!
//! # Invariants
//! - Positions of a partition are gapless and in commit order; versions of a stream are gapless.
//! - A [`Write`] takes effect as a whole or not at all, and never because its caller went away halfway.
//! - An event row is never changed.

mod append;
mod broken;
mod checkpoint;
mod codec;
mod command;
pub mod control;
mod epoch;
mod erasure;
mod error;
mod event;
mod keys;
mod linger;
mod live;
mod metrics;
mod projection;
mod projector;
mod read;
pub mod rebuild;
mod recent;
mod seal;
mod snapshot;
mod standing;
mod states;
mod status;
mod sweep;
mod timer;
pub mod timestamp;
mod token;
mod verify;
mod wait;
mod writer;

pub use append::append_in;
pub use checkpoint::{Checkpoint, Checkpoints, LEASES};
pub use codec::{DecodeError, Encoded, Stored};
pub use command::{CommandError, Committed, Decision, IdempotencyKey, Loaded, Request};
pub use epoch::{Fork, History};
pub use erasure::{Subject, Wiped, erase, note_wiped, wipe};
pub use error::LogError;
pub use event::{Append, NewEvent, StoredEvent, Stream, Write, Written};
pub use keys::{
    FileKeyService, KeyError, KeyService, Keys, NewSubjectKey, NoKeys, Rewrapped, rewrap_keys,
};
pub use linger::Linger;
pub use live::{Held, Live};
pub use metrics::LogMetrics;
pub use projection::{AnyProjection, Projection, ProjectionError, Table};
pub use projector::{Projector, ProjectorOptions};
pub use seal::{Seal, SealError, SubjectCipher};
pub use snapshot::Snapshot;
pub use standing::{ProjectionStanding, Standing};
pub use status::{Owner, Paused, Status, status};
pub use timer::{Timer, TimerHandler, TimerKey, TimerOptions, Timers, cancel_in, schedule_in};
pub use token::{ConsistencyToken, InvalidToken};
pub use verify::{Check, verify};
pub use wait::WaitError;

use std::{
    sync::{Arc, atomic::AtomicI32},
    time::Duration,
};

use sqlx::{PgPool, migrate::Migrator, postgres::PgPoolOptions};
use tokio::sync::{Notify, futures::Notified};

use crate::{
    recent::Recent,
    snapshot::Snapshots,
    states::States,
    writer::{Shared, Writers},
};

/// How a log works. Every queue and batch has a limit.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// URL of the service's own database.
    pub database_url: String,
    /// Connections in the pool.
    pub connections_max: u32,
    /// How long to wait for a connection before the caller is told that the log is unavailable.
    pub acquire_timeout: Duration,
    /// A connection that is not used for this long is closed.
    pub idle_timeout: Duration,
    /// A statement that takes longer is cancelled by the server.
    pub statement_timeout: Duration,
    /// Tasks that append; each owns a range of partitions.
    pub writers: usize,
    /// Commands that wait for a writer; more are refused.
    pub mailbox_commands_max: usize,
    /// Commands that share one transaction.
    pub batch_commands_max: usize,
    /// Unwrapped data keys in memory.
    pub key_cache_entries_max: u64,
    /// Streams whose folded state is kept in memory for the next command.
    pub state_cache_entries_max: u64,
    /// Events that a load folds before the state that they make is kept, so that the next load need not fold them again.
    pub snapshot_tail_events_min: usize,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            database_url: String::new(),
            connections_max: 16,
            acquire_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(600),
            statement_timeout: Duration::from_secs(30),
            writers: 2,
            mailbox_commands_max: 4096,
            batch_commands_max: 512,
            key_cache_entries_max: 10_000,
            state_cache_entries_max: 10_000,
            snapshot_tail_events_min: 100,
        }
    }
}

/// The log of one service.
#[derive(Clone)]
pub struct EventLog {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    pool: PgPool,
    keys: Keys,
    writers: Writers,
    states: States,
    snapshots: Snapshots,
    snapshot_tail_events_min: usize,
    appended: Arc<Notify>,
    recent: Arc<Recent>,
    metrics: LogMetrics,
    epoch: AtomicI32,
}

impl EventLog {
    /// Opens the log of the service `name`, creating its tables when they are not there.
    ///
    /// # Errors
    /// When the database does not answer or cannot be migrated.
    pub async fn open(
        name: &'static str,
        options: &LogOptions,
        key_service: Arc<dyn KeyService>,
    ) -> Result<Self, LogError> {
        let pool = connect(options).await?;
        let mut migrator = migrations();
        // A service's own migrations share the table that records what was applied.
        migrator.set_ignore_missing(true);
        migrator.run(&pool).await?;
        Self::on(name, options, key_service, pool).await
    }

    /// The log of a service that runs, as it is: for a tool beside it.
    ///
    /// # Errors
    /// When the database does not answer or has no log.
    pub async fn attach(
        name: &'static str,
        options: &LogOptions,
        key_service: Arc<dyn KeyService>,
    ) -> Result<Self, LogError> {
        let pool = connect(options).await?;
        Self::on(name, options, key_service, pool).await
    }

    async fn on(
        name: &'static str,
        options: &LogOptions,
        key_service: Arc<dyn KeyService>,
        pool: PgPool,
    ) -> Result<Self, LogError> {
        let epoch: i32 = sqlx::query_scalar("select epoch from log_epoch")
            .fetch_one(&pool)
            .await?;
        let appended = Arc::new(Notify::new());
        let recent = Arc::new(Recent::default());
        let metrics = LogMetrics::default();
        let shared = Shared {
            appended: Arc::clone(&appended),
            recent: Arc::clone(&recent),
            metrics: metrics.clone(),
        };
        let writers = Writers::start(&pool.connect_options(), options, &shared);
        let keys = Keys::new(pool.clone(), key_service, options.key_cache_entries_max);
        let snapshots = Snapshots::start(pool.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                pool,
                keys,
                writers,
                states: States::new(options.state_cache_entries_max),
                snapshots,
                snapshot_tail_events_min: options.snapshot_tail_events_min,
                appended,
                recent,
                metrics,
                epoch: AtomicI32::new(epoch),
            }),
        })
    }

    /// Name of the service that owns the log, for example `customers`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// The database, for read models. Never append through it.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// The keys that seal personal data.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// What it counts as it works.
    #[must_use]
    pub fn metrics(&self) -> &LogMetrics {
        &self.inner.metrics
    }

    /// Wakes whoever follows the log. Called after every commit that appended.
    pub fn notify_appended(&self) {
        self.inner.appended.notify_waiters();
    }

    /// Resolves when this process appends something after this call.
    pub fn appended(&self) -> Notified<'_> {
        self.inner.appended.notified()
    }

    /// Finishes what is in the mailboxes, then closes the connections.
    pub async fn close(&self) {
        self.inner.writers.close().await;
        self.inner.snapshots.close().await;
        self.inner.pool.close().await;
    }
}

/// What makes the tables of a log.
#[must_use]
pub fn migrations() -> Migrator {
    sqlx::migrate!("./migrations")
}

async fn connect(options: &LogOptions) -> Result<PgPool, LogError> {
    let statement_timeout_ms = options.statement_timeout.as_millis();
    let connect: sqlx::postgres::PgConnectOptions = options.database_url.parse()?;
    let connect = connect.application_name("vefa").options([
        ("statement_timeout", statement_timeout_ms.to_string()),
        // Statements here are short; compiling them costs more than it saves.
        ("jit", "off".to_owned()),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(options.connections_max)
        .acquire_timeout(options.acquire_timeout)
        .idle_timeout(options.idle_timeout)
        // A dead connection shows at its first statement; a ping before each use would cost a round trip.
        .test_before_acquire(false)
        .after_release(|connection, _| {
            // A `begin` whose future was dropped leaves the connection inside a transaction, and the next borrower's
            // writes would be lost. Begun first, because a bare rollback outside a transaction makes PostgreSQL warn.
            Box::pin(async move {
                sqlx::raw_sql("begin; rollback").execute(connection).await?;
                Ok(true)
            })
        })
        .connect_with(connect)
        .await?;
    Ok(pool)
}
