//! Runs a projection of the service's own log.

mod backlog;

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    EventLog,
    event::StoredEvent,
    linger::Linger,
    live::{Held, Live},
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
    live: Live<P>,
    options: ProjectorOptions,
}

impl<P: Projection> Projector<P> {
    /// A projector that has not begun.
    #[must_use]
    pub fn new(log: EventLog, projection: P, options: ProjectorOptions) -> Self {
        let live = Live::new(&log, projection, options.lease, options.retry_delay);
        Self { log, live, options }
    }

    /// Runs until `shutdown`. Failures are logged and tried again: the projection stands still meanwhile, and nothing is skipped.
    pub async fn run(self, shutdown: CancellationToken) {
        self.live
            .run(&shutdown, |held| self.work(held, &shutdown))
            .await;
    }

    async fn work(
        &self,
        mut held: Held,
        shutdown: &CancellationToken,
    ) -> Result<(), ProjectionError> {
        let mut renew_at = self.live.renewal();
        self.live
            .replay(&mut held, |partition, after, limit| {
                self.read(partition, after, limit)
            })
            .await?;
        let mut linger = Linger::new(self.options.linger, Instant::now());
        while !shutdown.is_cancelled() {
            if Instant::now() >= renew_at {
                if !self.live.renew(&held).await? {
                    return Ok(());
                }
                renew_at = self.live.renewal();
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
                let linger = linger.after(applied, Instant::now());
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(linger) => {}
                }
            }
        }
        Ok(())
    }

    /// Applies one batch, or several when there is much to do; returns how many events that were.
    async fn step(&self, held: &mut Held) -> Result<usize, ProjectionError> {
        let heads = self.log.heads().await?;
        let lag: i64 = held
            .checkpoints
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
            .checkpoints
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
        let before = held.checkpoints.clone();
        let after = |count: usize| {
            let mut after = BTreeMap::new();
            for event in &events[..count] {
                let before = before.get(&event.partition).copied().unwrap_or_default();
                after.insert(event.partition, before.moved_to(event.position));
            }
            after
        };
        self.live.take(held, &events, after).await?;
        Ok(events.len())
    }

    async fn read(
        &self,
        partition: Partition,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, ProjectionError> {
        Ok(self
            .log
            .read_after(&[(partition, after)], i64::from(limit))
            .await?)
    }
}
