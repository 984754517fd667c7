//! The relay: the only publisher of a service's stream.
//!
//! It learns from the stream's tail where it is, reads on in PostgreSQL and publishes what it reads as one atomic batch that expects
//! the tail's sequence. A second relay, or a batch that was taken without an answer, makes the expectation fail; then the
//! tail is read again. So nothing is lost, doubled or out of order, whatever stops when.

mod opening;
mod publishing;
mod reading;
mod standing;

use std::time::Duration;

use aggregate::Partition;
use event_log::{Checkpoints, EventLog, Linger};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{bus::Bus, error::BusError};

pub use standing::RelayStanding;

/// How the relay works.
#[derive(Clone, Copy, Debug)]
pub struct RelayOptions {
    /// Events in one atomic batch; JetStream takes at most 1000.
    pub batch_events_max: usize,
    /// Bytes of payload and metadata in one atomic batch; a single event that is larger goes alone.
    pub batch_bytes_max: usize,
    /// How long to wait before looking again when nothing wakes it.
    pub poll_interval: Duration,
    /// How long to let events gather after a batch that was not full: each batch costs a sync to disk.
    pub linger: Duration,
    /// How long the lease that elects one relay lasts without renewal.
    pub lease: Duration,
    /// How long to wait after a failure.
    pub retry_delay: Duration,
}

impl Default for RelayOptions {
    fn default() -> Self {
        Self {
            batch_events_max: 1000,
            batch_bytes_max: 8 << 20,
            poll_interval: Duration::from_millis(100),
            linger: Duration::from_millis(3),
            lease: Duration::from_secs(5),
            retry_delay: Duration::from_millis(250),
        }
    }
}

/// Batches under way at a time: while the server commits one, the next is on its way.
const UNCONFIRMED_MAX: usize = 2;

/// Publishes one log.
pub struct Relay {
    log: EventLog,
    bus: Bus,
    lease: Checkpoints,
    options: RelayOptions,
    standing: RelayStanding,
}

impl Relay {
    /// A relay that has not begun.
    #[must_use]
    pub fn new(log: EventLog, bus: Bus, options: RelayOptions) -> Self {
        let lease = Checkpoints::new(log.pool().clone(), "relay", 1, options.lease);
        Self {
            log,
            bus,
            lease,
            options,
            standing: RelayStanding::default(),
        }
    }

    /// How it stands, to be looked at while it runs.
    #[must_use]
    pub fn standing(&self) -> RelayStanding {
        self.standing.clone()
    }

    /// Runs until `shutdown`. Failures are logged and tried again; commands go on meanwhile.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let worked = self.work(&shutdown).await;
            self.standing.stands_still();
            if let Err(error) = worked {
                tracing::warn!(
                    log = self.log.name(),
                    error = &error as &(dyn std::error::Error + 'static),
                    "the relay reads its tail again"
                );
                self.pause(&shutdown, self.options.retry_delay).await;
            }
        }
        if let Err(error) = self.lease.release().await {
            tracing::warn!(
                log = self.log.name(),
                error = &error as &(dyn std::error::Error + 'static),
                "the relay's lease was not given up"
            );
        }
    }

    async fn pause(&self, shutdown: &CancellationToken, delay: Duration) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(delay) => {}
        }
    }

    async fn work(&self, shutdown: &CancellationToken) -> Result<(), BusError> {
        if !self.is_elected().await? {
            self.pause(shutdown, self.options.lease / 3).await;
            return Ok(());
        }
        let mut renew_at = Instant::now() + self.options.lease / 3;
        let (mut cursor, mut ahead) = self.open().await?;
        self.standing.begins(ahead.positions.values().sum());
        let mut batch = Vec::new();
        let mut linger = Linger::new(self.options.linger, Instant::now());
        while !shutdown.is_cancelled() {
            if Instant::now() >= renew_at {
                if !self.is_elected().await? || self.log.refresh_epoch().await? != cursor.epoch {
                    return Ok(());
                }
                self.confirm(&mut cursor, 0).await?;
                if !cursor.is_undisturbed().await? {
                    return Ok(());
                }
                renew_at = Instant::now() + self.options.lease / 3;
            }
            // Registered before looking, so that nothing appended in between is missed.
            let appended = self.log.appended();
            tokio::pin!(appended);
            if batch.is_empty() {
                ahead.heads = self.log.heads().await?;
                batch = self.read(&ahead).await?;
            }
            if batch.is_empty() {
                // What is under way is confirmed meanwhile; the next batch need not wait for it.
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = &mut appended => {}
                    confirmed = self.confirm(&mut cursor, 0), if cursor.is_unconfirmed() => confirmed?,
                    () = tokio::time::sleep(self.options.poll_interval) => {}
                }
                continue;
            }
            let present = std::mem::take(&mut batch);
            let sent_at = Instant::now();
            let wait = linger.after(present.len(), sent_at);
            self.send(&mut cursor, &present).await?;
            ahead.move_past(&present);
            // What comes next is read, and sent, while this is committed. Should that fail, all is forgotten and the tail is read again.
            batch = tokio::try_join!(
                self.read(&ahead),
                self.confirm(&mut cursor, UNCONFIRMED_MAX - 1)
            )?
            .0;
            if batch.is_empty() && present.len() < self.options.batch_events_max / 2 {
                self.pause(shutdown, wait.saturating_sub(sent_at.elapsed()))
                    .await;
            }
        }
        self.confirm(&mut cursor, 0).await
    }

    async fn is_elected(&self) -> Result<bool, BusError> {
        let held = self.lease.acquire().await?;
        let first = Partition::all().next();
        Ok(first.is_some_and(|first| held.contains_key(&first)))
    }
}
