//! Runs a projection of the service's own log.

mod backlog;

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    EventLog,
    checkpoint::{Checkpoint, Checkpoints},
    linger::linger,
    projection::{Projection, ProjectionError},
};

/// How a projector works.
#[derive(Clone, Copy, Debug)]
pub struct ProjectorOptions {
    /// Events in one transaction.
    pub batch_events_max: i64,
    /// How long to wait before looking again when nothing wakes it; other processes append unseen.
    pub poll_interval: Duration,
    /// How long to let events gather after a batch that was not full: under load fewer, larger transactions do the same work.
    pub linger: Duration,
    /// How long a lease on partitions lasts without renewal.
    pub lease: Duration,
    /// How long to wait after a failure.
    pub retry_delay: Duration,
}

impl Default for ProjectorOptions {
    fn default() -> Self {
        Self {
            batch_events_max: 1000,
            poll_interval: Duration::from_millis(100),
            linger: Duration::from_millis(10),
            lease: Duration::from_secs(10),
            retry_delay: Duration::from_millis(500),
        }
    }
}

/// Follows the service's own log and keeps one projection up to date.
pub struct Projector<P> {
    log: EventLog,
    projection: P,
    checkpoints: Checkpoints,
    options: ProjectorOptions,
}

/// The partitions that this process works on, and how far they have come.
type Held = BTreeMap<Partition, Checkpoint>;

impl<P: Projection> Projector<P> {
    /// A projector that has not begun.
    #[must_use]
    pub fn new(log: EventLog, projection: P, options: ProjectorOptions) -> Self {
        let checkpoints = Checkpoints::new(
            log.pool().clone(),
            projection.name(),
            projection.version(),
            options.lease,
        );
        Self {
            log,
            projection,
            checkpoints,
            options,
        }
    }

    /// Runs until `shutdown`. Failures are logged and tried again: the projection stands still meanwhile, and nothing is skipped.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.work(&shutdown).await {
                tracing::error!(
                    projection = self.projection.name(),
                    error = &error as &(dyn std::error::Error + 'static),
                    "the projection stands still and tries again"
                );
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(self.options.retry_delay) => {}
                }
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

    async fn work(&self, shutdown: &CancellationToken) -> Result<(), ProjectionError> {
        let mut held = self.checkpoints.acquire().await?;
        let mut renew_at = Instant::now() + self.options.lease / 3;
        while !shutdown.is_cancelled() {
            if Instant::now() >= renew_at {
                held = self.checkpoints.acquire().await?;
                renew_at = Instant::now() + self.options.lease / 3;
            }
            // Registered before looking, so that nothing appended in between is missed.
            let appended = self.log.appended();
            tokio::pin!(appended);
            let applied = self.step(&mut held).await?;
            if applied == 0 {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = &mut appended => {}
                    () = tokio::time::sleep(self.options.poll_interval) => {}
                }
            } else if i64::try_from(applied).unwrap_or(i64::MAX) < self.options.batch_events_max / 2
            {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(linger(self.options.linger, applied)) => {}
                }
            }
        }
        Ok(())
    }

    /// Applies one batch, or several when there is much to do; returns how many events that were.
    async fn step(&self, held: &mut Held) -> Result<usize, ProjectionError> {
        let heads = self.log.heads().await?;
        let lag: i64 = held
            .iter()
            .filter_map(|(partition, checkpoint)| Some(heads.get(partition)? - checkpoint.position))
            .sum();
        if lag >= backlog::FAR_BEHIND_EVENTS {
            return self.work_off(held, &heads).await;
        }
        self.apply_next(held, &heads, self.options.batch_events_max)
            .await
    }

    /// Applies the next batch of what is known to be there.
    async fn apply_next(
        &self,
        held: &mut Held,
        heads: &BTreeMap<Partition, i64>,
        events_max: i64,
    ) -> Result<usize, ProjectionError> {
        let behind: Vec<(Partition, i64)> = held
            .iter()
            .filter(|(partition, checkpoint)| {
                heads
                    .get(partition)
                    .is_some_and(|head| *head > checkpoint.position)
            })
            .map(|(partition, checkpoint)| (*partition, checkpoint.position))
            .collect();
        if behind.is_empty() {
            return Ok(0);
        }
        let share = events_max / i64::try_from(behind.len()).unwrap_or(1);
        let events = self.log.follow_after(&behind, share.max(1)).await?;
        let mut moves = BTreeMap::new();
        for event in &events {
            let before = held.get(&event.partition).copied().unwrap_or_default();
            moves.insert(event.partition, (before, before.moved_to(event.position)));
        }
        let mut transaction = self.log.pool().begin().await?;
        self.projection.apply(&mut transaction, &events).await?;
        self.checkpoints.advance(&mut transaction, &moves).await?;
        transaction.commit().await?;
        for (partition, (_, after)) in moves {
            held.insert(partition, after);
        }
        Ok(events.len())
    }
}
