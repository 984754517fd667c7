//! Follows another service's log: reads its stream in order, skips what was applied, fetches what is missing from the origin, and
//! moves its checkpoint in the transaction that writes the rows. It acknowledges nothing: the checkpoint is its own.

mod history;
mod origin;
mod source;

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use event_log::{Checkpoint, Checkpoints, EventLog, Projection, StoredEvent};
use futures::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{bus::Bus, envelope::Received, error::BusError};
pub use history::{Divergence, clear_divergences, divergences};
pub use origin::{Origin, OriginError};
use source::Source;

/// How a follower works.
#[derive(Clone, Copy, Debug)]
pub struct FollowerOptions {
    /// Events in one transaction.
    pub batch_events_max: usize,
    /// How long a lease on partitions lasts without renewal.
    pub lease: Duration,
    /// How long to wait after a failure.
    pub retry_delay: Duration,
}

impl Default for FollowerOptions {
    fn default() -> Self {
        Self {
            batch_events_max: 1000,
            lease: Duration::from_secs(10),
            retry_delay: Duration::from_millis(250),
        }
    }
}

/// Keeps a projection of another service's log up to date.
pub struct Follower<P, O> {
    log: EventLog,
    bus: Bus,
    source: &'static str,
    projection: P,
    origin: O,
    checkpoints: Checkpoints,
    options: FollowerOptions,
}

type Held = BTreeMap<Partition, Checkpoint>;

/// Whether one of the events is of a newer history than what was applied before it.
fn is_newer(held: &Held, received: &[Received]) -> bool {
    received.iter().any(|received| {
        held.get(&received.event.partition)
            .is_some_and(|checkpoint| {
                checkpoint.position > 0 && received.epoch > history::epoch_of(checkpoint)
            })
    })
}

impl<P: Projection, O: Origin> Follower<P, O> {
    /// A follower of the log of the service `source`, that has not begun. `log` is the follower's own.
    #[must_use]
    pub fn new(
        log: EventLog,
        bus: Bus,
        source: &'static str,
        projection: P,
        origin: O,
        options: FollowerOptions,
    ) -> Self {
        let checkpoints = Checkpoints::new(
            log.pool().clone(),
            projection.name(),
            projection.version(),
            options.lease,
        );
        Self {
            log,
            bus,
            source,
            projection,
            origin,
            checkpoints,
            options,
        }
    }

    /// Runs until `shutdown`. Failures are logged and tried again from the checkpoint: nothing is skipped.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.work(&shutdown).await {
                tracing::warn!(
                    projection = self.projection.name(),
                    source = self.source,
                    error = &error as &(dyn std::error::Error + 'static),
                    "the follower begins again at its checkpoint"
                );
                tokio::select! {
                    () = shutdown.cancelled() => {}
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

    async fn work(&self, shutdown: &CancellationToken) -> Result<(), BusError> {
        let mut held = self.checkpoints.acquire().await?;
        let mut renew_at = Instant::now() + self.options.lease / 3;
        let source = Source::open(&self.bus, self.source).await?;
        let connections = self.bus.connections();
        let history = match self.origin.history().await {
            Ok(history) => {
                self.take_history(&mut held, &history).await?;
                Some(history)
            }
            // The stream alone will do, until it shows a newer epoch or lacks something.
            Err(error) => {
                tracing::debug!(
                    source = self.source,
                    error = &*error as &(dyn std::error::Error + 'static),
                    "the origin does not say where its log stands"
                );
                None
            }
        };
        let start = source.start(&held).await?;
        if start.lacks_older {
            let epoch = match history {
                Some(history) => history.epoch,
                None => self.origin.history().await.map_err(BusError::Origin)?.epoch,
            };
            self.catch_up(&mut held, epoch).await?;
        }
        let messages = source.messages(start.sequence).await?;
        let mut chunks = messages.ready_chunks(self.options.batch_events_max);
        while !shutdown.is_cancelled() {
            let chunk = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep_until(renew_at) => None,
                chunk = chunks.next() => match chunk {
                    Some(chunk) => Some(chunk),
                    None => return Ok(()),
                },
            };
            if let Some(chunk) = chunk {
                let received = source.receive_all(chunk)?;
                if is_newer(&held, &received) {
                    let history = self.origin.history().await.map_err(BusError::Origin)?;
                    self.take_history(&mut held, &history).await?;
                    return Ok(());
                }
                self.apply(&mut held, received).await?;
            }
            if Instant::now() >= renew_at {
                let renewed = self.checkpoints.acquire().await?;
                if renewed != held {
                    // Partitions came or went, or somebody moved a checkpoint: read again from where it stands now.
                    return Ok(());
                }
                if self.bus.connections() != connections {
                    // An ordered consumer does not outlive its server, which the client would find out in a quarter of a minute.
                    return Ok(());
                }
                renew_at = Instant::now() + self.options.lease / 3;
            }
        }
        Ok(())
    }

    async fn apply(&self, held: &mut Held, received: Vec<Received>) -> Result<(), BusError> {
        let mut next = held.clone();
        let mut events = Vec::with_capacity(received.len());
        let mut last_sequence = 0;
        for Received {
            event,
            epoch,
            sequence,
        } in received
        {
            let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
            last_sequence = sequence;
            let Some(checkpoint) = next.get_mut(&event.partition) else {
                continue;
            };
            // Of an older history is what the relay is about to purge.
            if event.position <= checkpoint.position || epoch < checkpoint.source_epoch {
                continue;
            }
            if event.position > checkpoint.position + 1 {
                events.extend(
                    self.fetch_missing(event.partition, checkpoint.position, event.position)
                        .await?,
                );
            }
            *checkpoint = checkpoint.moved_along(event.position, epoch, sequence);
            events.push(event);
        }
        if events.is_empty() {
            return Ok(());
        }
        // Everything up to here was seen for every partition held; those without events need not be read again from further back.
        for checkpoint in next.values_mut() {
            let Checkpoint {
                position,
                source_epoch,
                ..
            } = *checkpoint;
            *checkpoint = checkpoint.moved_along(position, source_epoch, last_sequence);
        }
        self.write(held, &events, next).await
    }

    /// Applies events and moves the checkpoints to `next`, in one transaction.
    async fn write(
        &self,
        held: &mut Held,
        events: &[StoredEvent],
        next: Held,
    ) -> Result<(), BusError> {
        let moves = next
            .iter()
            .filter_map(|(partition, after)| {
                let before = held.get(partition)?;
                Some((*partition, (*before, *after)))
            })
            .collect();
        let span = self.span(events);
        async {
            let mut transaction = self.log.pool().begin().await?;
            self.projection.apply(&mut transaction, events).await?;
            self.checkpoints.advance(&mut transaction, &moves).await?;
            transaction.commit().await?;
            Ok::<_, BusError>(())
        }
        .instrument(span)
        .await?;
        // A reaction may have appended to the follower's own log.
        self.log.notify_appended();
        held.extend(next);
        Ok(())
    }

    /// A span that goes on with the trace of what caused the batch.
    fn span(&self, events: &[StoredEvent]) -> tracing::Span {
        let span = tracing::info_span!(
            "follow",
            otel.kind = "consumer",
            projection = self.projection.name(),
            source = self.source,
            events = events.len()
        );
        let traceparent = events
            .iter()
            .filter_map(|event| event.metadata().ok())
            .map(|metadata| metadata.traceparent)
            .find(|traceparent| !traceparent.is_empty());
        if let Some(traceparent) = traceparent {
            telemetry::set_parent(&span, &traceparent);
        }
        span
    }
}
