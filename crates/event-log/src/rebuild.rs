//! Makes the rows of a projection anew from its log, in a schema of their own beside the live ones: to take their place in one step, or
//! to be compared with them.
//!
//! # Invariants
//! - The live projection goes on meanwhile, and is read as ever.
//! - A rebuild writes rows and nothing else: it triggers nothing, and never goes beyond what the live projection has applied.
//! - It is strict: an event that cannot be applied ends it.
//! - Until it takes over nothing has happened; a rebuild that was killed leaves a schema that the next one drops.

mod compare;
mod shadow;
mod takeover;

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::time::Instant;

pub use compare::{Comparison, Difference, TableComparison};
pub use shadow::{Standing, standing};

use crate::{
    EventLog,
    checkpoint::{Checkpoint, Checkpoints},
    error::LogError,
    event::StoredEvent,
    live::{Fault, first_fault},
    projection::{Projection, ProjectionError},
    read::partition_of,
};
use shadow::Shadow;

/// How long a rebuild counts as being under way after its last sign of life; the same for a takeover, which holds up the live projection.
const LEASE: Duration = Duration::from_secs(30);

/// Why a rebuild ended early. The live projection is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// It does not say which tables it keeps.
    #[error("{projection} cannot be rebuilt beside the live one")]
    NotRebuildable {
        /// The projection.
        projection: &'static str,
    },
    /// Somebody else rebuilds it at this moment.
    #[error("a rebuild of {projection} is under way")]
    UnderWay {
        /// The projection.
        projection: &'static str,
    },
    /// An event cannot be applied.
    #[error("partition {partition}, position {position}, stream {stream}: {reason}")]
    Event {
        /// Partition.
        partition: u8,
        /// Position.
        position: i64,
        /// Stream.
        stream: uuid::Uuid,
        /// Why; nothing personal.
        reason: String,
    },
    /// The log was restored to an earlier point, and the live projection has not gone back to there yet.
    #[error("the live projection has yet to learn that its log was restored")]
    HistoryMoved,
    /// The live tables were in use for too long by somebody else.
    #[error("the live tables are in use")]
    InUse,
    /// A batch could not be written.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// PostgreSQL refused or did not answer.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events applied.
    pub applied: i64,
    /// Events that the live projection has applied at this moment.
    pub total: i64,
}

impl Progress {
    /// Events that are left.
    #[must_use]
    pub fn left(&self) -> i64 {
        self.total - self.applied
    }
}

/// A rebuild that has begun.
pub struct Rebuild<P> {
    projection: P,
    source: EventLog,
    live: PgPool,
    shadow: Shadow,
    /// Works in the shadow schema.
    pool: PgPool,
    checkpoints: Checkpoints,
    held: BTreeMap<Partition, Checkpoint>,
    ahead: Option<Batch>,
    batch_events_max: i64,
    renew_at: Instant,
}

/// What was read ahead of what is applied.
struct Batch {
    events: Vec<StoredEvent>,
    total: i64,
}

impl<P: Projection> Rebuild<P> {
    /// Begins from zero: makes empty tables beside the live ones. `live` is the database of the projection and `source` the log that it
    /// follows, its own or another's. What is left of a rebuild that was killed is dropped.
    ///
    /// # Errors
    /// [`RebuildError::UnderWay`] when somebody else rebuilds it.
    pub async fn begin(
        live: &PgPool,
        source: &EventLog,
        projection: P,
        batch_events_max: i64,
    ) -> Result<Self, RebuildError> {
        let shadow = Shadow::of(live, &projection).await?;
        let options = live.connect_options();
        // What it writes is lost with the schema in any case; the takeover is synchronous, and everything before it goes to disk with it.
        let options = options.as_ref().clone().options([
            ("search_path", shadow.search_path().as_str()),
            ("synchronous_commit", "off"),
            ("statement_timeout", "0"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        let checkpoints =
            Checkpoints::new(pool.clone(), projection.name(), projection.version(), LEASE);
        let held = shadow.create(live, &checkpoints).await?;
        Ok(Self {
            projection,
            source: source.clone(),
            live: live.clone(),
            shadow,
            pool,
            checkpoints,
            held,
            ahead: None,
            batch_events_max,
            renew_at: Instant::now() + LEASE / 3,
        })
    }

    /// Applies the next batch, and reads the one behind it meanwhile. Nothing is left when it has come up to the live projection.
    ///
    /// # Errors
    /// [`RebuildError::Event`] when an event cannot be applied.
    pub async fn step(&mut self) -> Result<Progress, RebuildError> {
        let outcome = self.next().await;
        if outcome.is_err() {
            // So that the next one need not wait for the lease to run out.
            tidied(self.checkpoints.release().await);
        }
        outcome
    }

    async fn next(&mut self) -> Result<Progress, RebuildError> {
        if Instant::now() >= self.renew_at {
            let held = self.checkpoints.acquire().await?;
            if held != self.held {
                return Err(ProjectionError::Overtaken.into());
            }
            self.renew_at = Instant::now() + LEASE / 3;
        }
        let batch = match self.ahead.take() {
            Some(batch) => batch,
            None => self.read(&self.positions()).await?,
        };
        let mut after = self.held.clone();
        for event in &batch.events {
            if let Some(checkpoint) = after.get_mut(&event.partition) {
                *checkpoint = checkpoint.moved_to(event.position);
            }
        }
        if !batch.events.is_empty() {
            let behind = after
                .iter()
                .map(|(partition, at)| (*partition, at.position));
            let behind = behind.collect();
            let (written, ahead) =
                tokio::join!(self.write(&batch.events, &after), self.read(&behind));
            written?;
            self.held = after;
            self.ahead = Some(ahead?).filter(|ahead| !ahead.events.is_empty());
        }
        Ok(Progress {
            applied: self.held.values().map(|at| at.position).sum(),
            total: self.ahead.as_ref().map_or(batch.total, |ahead| ahead.total),
        })
    }

    fn positions(&self) -> BTreeMap<Partition, i64> {
        let at = self.held.iter();
        at.map(|(partition, at)| (*partition, at.position))
            .collect()
    }

    /// The next events behind these positions that the live projection has applied.
    async fn read(&self, positions: &BTreeMap<Partition, i64>) -> Result<Batch, RebuildError> {
        let mut connection = self.live.acquire().await?;
        let targets = self.shadow.targets(&mut connection).await?;
        drop(connection);
        self.read_up_to(positions, &targets).await
    }

    async fn read_up_to(
        &self,
        positions: &BTreeMap<Partition, i64>,
        targets: &BTreeMap<Partition, Checkpoint>,
    ) -> Result<Batch, RebuildError> {
        let total = targets.values().map(|target| target.position).sum();
        let behind: Vec<(Partition, i64)> = targets
            .keys()
            .map(|partition| (*partition, positions.get(partition).copied().unwrap_or(0)))
            .filter(|(partition, position)| *position < targets[partition].position)
            .collect();
        if behind.is_empty() {
            return Ok(Batch {
                events: Vec::new(),
                total,
            });
        }
        let share = self.batch_events_max / i64::try_from(behind.len()).unwrap_or(1);
        let mut events = self.source.read_after(&behind, share.max(1)).await?;
        if events.is_empty() {
            // The log is shorter than what was applied of it.
            return Err(RebuildError::HistoryMoved);
        }
        events.retain(|event| event.position <= targets[&event.partition].position);
        Ok(Batch { events, total })
    }

    async fn write(
        &self,
        events: &[StoredEvent],
        after: &BTreeMap<Partition, Checkpoint>,
    ) -> Result<(), RebuildError> {
        let mut transaction = self.pool.begin().await?;
        if let Err(error) = self.projection.derive(&mut transaction, events).await {
            transaction.rollback().await?;
            return Err(self.blame(error, events).await);
        }
        let moves = after
            .iter()
            .filter_map(|(partition, after)| {
                let before = self.held.get(partition)?;
                (before != after).then_some((*partition, (*before, *after)))
            })
            .collect();
        self.checkpoints.advance(&mut transaction, &moves).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Finds out which event it was that could not be applied.
    async fn blame(&self, error: ProjectionError, events: &[StoredEvent]) -> RebuildError {
        if Fault::of(&error) == Fault::World {
            return error.into();
        }
        match self.find_fault(events).await {
            Ok(Some(fault)) => fault,
            Ok(None) => error.into(),
            Err(failed) => failed.into(),
        }
    }

    async fn find_fault(
        &self,
        events: &[StoredEvent],
    ) -> Result<Option<RebuildError>, ProjectionError> {
        let mut transaction = self.pool.begin().await?;
        let found = first_fault(&self.projection, &mut transaction, events).await?;
        transaction.rollback().await?;
        Ok(found.map(|(event, reason)| RebuildError::Event {
            partition: event.partition.number(),
            position: event.position,
            stream: event.stream_id.0,
            reason,
        }))
    }

    /// Ends it; the live projection is as it was.
    ///
    /// # Errors
    /// When the database fails; the next rebuild drops what is left then.
    pub async fn abandon(self) -> Result<(), RebuildError> {
        self.pool.close().await;
        let mut transaction = self.live.begin().await?;
        self.shadow.drop_in(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Notes what went wrong after something else had: that is what the caller is told.
fn tidied<E: std::error::Error + 'static>(outcome: Result<(), E>) {
    if let Err(error) = outcome {
        tracing::warn!(
            error = &error as &(dyn std::error::Error + 'static),
            "what a rebuild leaves behind goes when its lease runs out"
        );
    }
}

/// Checkpoints of a projection as they stand, by partition.
async fn checkpoints_in(
    connection: &mut PgConnection,
    statement: String,
    projection: &str,
    version: i32,
) -> Result<BTreeMap<Partition, Checkpoint>, sqlx::Error> {
    let rows: Vec<(i16, i64, i32, i64)> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
        .bind(projection)
        .bind(version)
        .fetch_all(connection)
        .await?;
    rows.into_iter()
        .map(|(partition, position, epoch, sequence)| {
            let at = Checkpoint::default().moved_along(position, epoch, sequence);
            Ok((partition_of(partition)?, at))
        })
        .collect()
}
