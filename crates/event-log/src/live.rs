//! A projection as it is kept up to date, whichever log it follows: leases, one transaction for each batch, and what to do when an
//! event cannot be applied.
//!
//! # Invariants
//! - The checkpoint, the rows and what is parked move in one transaction, fenced by the lease.
//! - A stream that is parked waits as a whole and in order; all others go on.
//! - What the world did (connections, timeouts, conflicts) is tried again and parks nothing. An event of a type or version that is not
//!   known pauses the projection in front of it.

mod fault;
mod held;
mod parked;
mod replay;
mod settle;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aggregate::Partition;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use fault::Fault;
use fault::tell;
pub use held::Held;
use parked::Parked;
pub(crate) use settle::first_fault;
use settle::{Mode, settle};

use crate::{
    EventLog, broken,
    checkpoint::{Checkpoint, Checkpoints},
    event::StoredEvent,
    projection::{Projection, ProjectionError},
    read::partition_of,
};

/// How long a projection that is paused, or has nothing to work on, waits before it looks again.
const REST_MAX: Duration = Duration::from_secs(1);

/// Keeps a projection up to date with the batches that it is given.
pub struct Live<P> {
    pool: PgPool,
    projection: P,
    checkpoints: Checkpoints,
    lease: Duration,
    retry_delay: Duration,
    /// The last batch ended in front of an event that is not known.
    met_unknown: AtomicBool,
}

impl<P: Projection> Live<P> {
    /// A projection whose rows are in the database of `log`. A lease lasts for `lease` without renewal; after a failure it waits for
    /// `retry_delay`.
    #[must_use]
    pub fn new(log: &EventLog, projection: P, lease: Duration, retry_delay: Duration) -> Self {
        let pool = log.pool().clone();
        let checkpoints =
            Checkpoints::new(pool.clone(), projection.name(), projection.version(), lease);
        Self {
            pool,
            projection,
            checkpoints,
            lease,
            retry_delay,
            met_unknown: AtomicBool::new(false),
        }
    }

    /// The projection.
    pub fn projection(&self) -> &P {
        &self.projection
    }

    /// The checkpoints, for whoever has to move them without applying anything.
    pub fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// When the leases that were taken now have to be renewed.
    #[must_use]
    pub fn renewal(&self) -> Instant {
        Instant::now() + self.lease / 3
    }

    /// Runs `work` on what can be held, again and again until `shutdown`: it returns when there may be something else to hold.
    /// Failures are logged and tried again from the checkpoint: nothing is skipped. Rests while the projection is paused.
    pub async fn run<E, F, W>(&self, shutdown: &CancellationToken, work: W)
    where
        E: std::error::Error + From<sqlx::Error> + 'static,
        F: Future<Output = Result<(), E>>,
        W: Fn(Held) -> F,
    {
        while !shutdown.is_cancelled() {
            let outcome = match self.acquire().await {
                Ok(held) if held.paused => self.give_up().await.map_err(E::from),
                Ok(held) if held.checkpoints.is_empty() => Ok(self.rest_interval()),
                Ok(held) => work(held).await.map(|()| Duration::ZERO),
                Err(error) => Err(E::from(error)),
            };
            let outcome = match outcome {
                // It was told when it was met; another process may be of a version that knows it.
                Err(_) if self.met_unknown.swap(false, Ordering::Relaxed) => {
                    self.give_up().await.map_err(E::from)
                }
                outcome => outcome,
            };
            let pause = match outcome {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(
                        projection = self.projection.name(),
                        error = &error as &(dyn std::error::Error + 'static),
                        "the projection begins again at its checkpoint"
                    );
                    self.retry_delay
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Err(error) = self.checkpoints.release().await {
            tracing::warn!(
                projection = self.projection.name(),
                error = &error as &(dyn std::error::Error + 'static),
                "leases were not given up"
            );
        }
    }

    /// Gives up the leases; returns how long to rest.
    async fn give_up(&self) -> Result<Duration, sqlx::Error> {
        self.checkpoints.release().await?;
        Ok(self.rest_interval())
    }

    fn rest_interval(&self) -> Duration {
        REST_MAX.min(self.lease / 3)
    }

    /// Renews the leases. Whether everything is as it was; otherwise begin again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew(&self, held: &Held) -> Result<bool, sqlx::Error> {
        Ok(self.acquire().await? == *held)
    }

    /// Takes or renews leases, and reads in the same transaction what is paused and parked: whoever pauses or parks raises the lease's
    /// number, so that it is either seen here or fences this holder.
    async fn acquire(&self) -> Result<Held, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let checkpoints = self.checkpoints.acquire_in(&mut transaction).await?;
        let (name, version) = (self.projection.name(), self.projection.version());
        let paused: Vec<(i16, bool, i64)> = sqlx::query_as(
            "select partition, paused_by = 'operator', position from paused where projection = $1 and version = $2",
        )
        .bind(name)
        .bind(version)
        .fetch_all(&mut *transaction)
        .await?;
        let mut held = Held {
            parked: Parked::load(&mut transaction, name, version).await?,
            checkpoints,
            ..Held::default()
        };
        transaction.commit().await?;
        for (partition, by_operator, position) in paused {
            let partition = partition_of(partition)?;
            if held.checkpoints.contains_key(&partition) {
                held.paused |= by_operator;
                held.unknown.insert(partition, position);
            }
        }
        held.parked
            .keep(|partition| held.checkpoints.contains_key(&partition));
        Ok(held)
    }

    /// Applies events and moves the checkpoints, in one transaction. `after` gives the checkpoints after the first n events.
    ///
    /// Events of parked streams are put behind what is parked of them. An event that cannot be applied is found, and its stream is parked.
    ///
    /// # Errors
    /// Whatever keeps the batch from being written: begin again then. When an event is of a type or version that is not known, everything
    /// before it was applied, and the projection is paused.
    pub async fn take(
        &self,
        held: &mut Held,
        events: &[StoredEvent],
        after: impl Fn(usize) -> BTreeMap<Partition, Checkpoint>,
    ) -> Result<(), ProjectionError> {
        let mut count = events.len();
        let mut unknown = None;
        while count > 0 {
            let outcome = self.write(held, &events[..count], after(count)).await;
            match outcome {
                Ok(Settled::All) => break,
                // Only what stands before it counts; the pause is written down behind that.
                Ok(Settled::Unknown { index, error }) => {
                    count = index;
                    unknown = Some((index, error));
                }
                Err(error) => return Err(error),
            }
        }
        let Some((index, error)) = unknown else {
            return Ok(());
        };
        self.pause(&events[index], &error).await?;
        self.met_unknown.store(true, Ordering::Relaxed);
        Err(error)
    }

    async fn write(
        &self,
        held: &mut Held,
        events: &[StoredEvent],
        after: BTreeMap<Partition, Checkpoint>,
    ) -> Result<Settled, ProjectionError> {
        let mut transaction = self.pool.begin().await?;
        let (fresh, behind) = held.parked.split(events);
        let outcome = if fresh.is_empty() {
            Ok(())
        } else {
            self.projection.apply(&mut transaction, &fresh).await
        };
        let mut parked = None;
        match outcome {
            Ok(()) => self.park(&mut transaction, &behind).await?,
            Err(error) if Fault::of(&error) == Fault::World => return Err(error),
            Err(_) => {
                // The transaction is spoilt; the same once more, with care.
                transaction.rollback().await?;
                transaction = self.pool.begin().await?;
                let mut streams = held.parked.clone();
                let settled = settle(
                    &self.projection,
                    Mode::Live,
                    &mut transaction,
                    &mut streams,
                    events,
                )
                .await?;
                if let Some((index, error)) = settled.unknown {
                    transaction.rollback().await?;
                    return Ok(Settled::Unknown { index, error });
                }
                for (event, error) in &settled.left {
                    if !error.is_empty() {
                        self.tell_parked(event, error);
                    }
                }
                self.park(&mut transaction, &settled.left).await?;
                parked = Some(streams);
            }
        }
        if broken::checkpoint() {
            let mut connection = self.pool.acquire().await?;
            self.finish(&mut connection, held, &after).await?;
        } else {
            self.finish(&mut transaction, held, &after).await?;
        }
        fail::fail_point!("projection-before-commit", |_| std::process::abort());
        transaction.commit().await?;
        if let Some(parked) = parked {
            held.parked = parked;
        }
        held.unknown.retain(|partition, position| {
            after
                .get(partition)
                .is_none_or(|checkpoint| checkpoint.position < *position)
        });
        held.checkpoints.extend(after);
        Ok(Settled::All)
    }

    /// Moves the checkpoints, and ends a pause that was for an event which is behind them now.
    async fn finish(
        &self,
        connection: &mut PgConnection,
        held: &Held,
        after: &BTreeMap<Partition, Checkpoint>,
    ) -> Result<(), ProjectionError> {
        let mut moves = BTreeMap::new();
        for (partition, after) in after {
            if let Some(before) = held.checkpoints.get(partition) {
                moves.insert(*partition, (*before, *after));
            }
        }
        self.checkpoints.advance(connection, &moves).await?;
        for (partition, position) in &held.unknown {
            if after
                .get(partition)
                .is_some_and(|to| to.position >= *position)
            {
                sqlx::query(
                    "delete from paused
                     where partition = $1 and projection = $2 and version = $3 and paused_by = 'unknown_event'",
                )
                .bind(i16::from(partition.number()))
                .bind(self.projection.name())
                .bind(self.projection.version())
                .execute(&mut *connection)
                .await?;
            }
        }
        Ok(())
    }

    /// Writes down that the next event of its partition is not known. A pause by an operator stays one.
    async fn pause(&self, event: &StoredEvent, error: &ProjectionError) -> Result<(), sqlx::Error> {
        let reason = tell(error);
        let mut transaction = self.pool.begin().await?;
        let paused = sqlx::query(
            "insert into paused (partition, projection, version, paused_by, reason, position)
             values ($1, $2, $3, 'unknown_event', $4, $5) on conflict do nothing",
        )
        .bind(i16::from(event.partition.number()))
        .bind(self.projection.name())
        .bind(self.projection.version())
        .bind(&reason)
        .bind(event.position)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        if paused.rows_affected() > 0 {
            tracing::error!(
                projection = self.projection.name(),
                partition = event.partition.number(),
                position = event.position,
                reason,
                "the projection is paused until a version runs that knows the event"
            );
        }
        Ok(())
    }

    fn tell_parked(&self, event: &StoredEvent, error: &str) {
        tracing::error!(
            projection = self.projection.name(),
            partition = event.partition.number(),
            position = event.position,
            stream = %event.stream_id.0,
            error,
            "an event cannot be applied; its stream is parked"
        );
    }

    async fn park(
        &self,
        connection: &mut PgConnection,
        left: &[(&StoredEvent, String)],
    ) -> Result<(), sqlx::Error> {
        parked::park(
            connection,
            self.projection.name(),
            self.projection.version(),
            left,
        )
        .await
    }
}

enum Settled {
    /// All events were applied or parked.
    All,
    /// Nothing was written: the event at the index is not known.
    Unknown {
        index: usize,
        error: ProjectionError,
    },
}

/// Applies events within a savepoint, so that a failure takes back nothing else.
async fn attempt<P: Projection>(
    projection: &P,
    mode: Mode,
    connection: &mut PgConnection,
    events: &[StoredEvent],
) -> Result<(), ProjectionError> {
    let mut nested = connection.begin().await?;
    let outcome = match mode {
        Mode::Live => projection.apply(&mut nested, events).await,
        Mode::Derive => projection.derive(&mut nested, events).await,
        Mode::Replay => match projection.derive(&mut nested, events).await {
            Ok(()) => projection.react(&mut nested, events).await,
            failed => failed,
        },
    };
    match outcome {
        Ok(()) => Ok(nested.commit().await?),
        Err(error) => {
            // A connection that is gone cannot be rolled back, and the first error says more.
            if Fault::of(&error) != Fault::World {
                nested.rollback().await?;
            }
            Err(error)
        }
    }
}
