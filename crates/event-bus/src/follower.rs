//! Follows another service's log: reads its stream in order, skips what was applied, fetches what is missing from the origin, and
//! moves its checkpoint in the transaction that writes the rows. It acknowledges nothing: the checkpoint is its own.

mod history;
mod origin;
mod source;

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use event_log::{Checkpoint, EventLog, Held, Live, Projection, StoredEvent};
use futures::StreamExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{broken, bus::Bus, envelope::Received, error::BusError};
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
    live: Live<P>,
    origin: O,
    options: FollowerOptions,
}

type Checkpoints = BTreeMap<Partition, Checkpoint>;

/// Whether one of the events is of a newer history than what was applied before it.
fn is_newer(held: &Held, received: &[Received]) -> bool {
    received.iter().any(|received| {
        held.checkpoints
            .get(&received.event.partition)
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
        let live = Live::new(&log, projection, options.lease, options.retry_delay);
        Self {
            log,
            bus,
            source,
            live,
            origin,
            options,
        }
    }

    /// Runs until `shutdown`. Failures are logged and tried again from the checkpoint: nothing is skipped.
    pub async fn run(self, shutdown: CancellationToken) {
        self.live
            .run(&shutdown, |held| self.work(held, &shutdown))
            .await;
    }

    async fn work(&self, mut held: Held, shutdown: &CancellationToken) -> Result<(), BusError> {
        let mut renew_at = self.live.renewal();
        let source = Source::open(&self.bus, self.source).await?;
        let connections = self.bus.connections();
        let history = match self.origin.history().await {
            Ok(history) => {
                if self.take_history(&mut held, &history).await? {
                    return Ok(());
                }
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
        self.live
            .replay(&mut held, |partition, after, limit| {
                self.read_origin(partition, after, limit)
            })
            .await?;
        let start = source.start(&held.checkpoints).await?;
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
                if !self.live.renew(&held).await? {
                    // Partitions came or went, or somebody moved a checkpoint: read again from where it stands now.
                    return Ok(());
                }
                if self.bus.connections() != connections {
                    // An ordered consumer does not outlive its server, which the client would find out in a quarter of a minute.
                    return Ok(());
                }
                if !source.is_the_same().await? {
                    // The consumer waits for sequences that a stream made anew may not reach for long.
                    return Ok(());
                }
                renew_at = self.live.renewal();
            }
        }
        Ok(())
    }

    async fn apply(&self, held: &mut Held, received: Vec<Received>) -> Result<(), BusError> {
        let batch = self.gather(&held.checkpoints, received).await?;
        let before = held.checkpoints.clone();
        self.write(held, &batch.events, |count| batch.after(&before, count))
            .await
    }

    /// What of the messages is new, with what is missing in front of them.
    async fn gather(
        &self,
        checkpoints: &Checkpoints,
        received: Vec<Received>,
    ) -> Result<Batch, BusError> {
        let mut reached: BTreeMap<Partition, (i64, i32)> = checkpoints
            .iter()
            .map(|(partition, at)| (*partition, (at.position, at.source_epoch)))
            .collect();
        let mut batch = Batch::default();
        for Received {
            event,
            epoch,
            sequence,
        } in received
        {
            let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
            let Some((position, newest)) = reached.get_mut(&event.partition) else {
                continue;
            };
            // Of an older history is what the relay is about to purge.
            if event.position <= *position || epoch < *newest {
                continue;
            }
            if event.position > *position + 1 && !broken::hole() {
                let missing = self
                    .fetch_missing(event.partition, *position, event.position)
                    .await?;
                for event in missing {
                    batch.push(event, epoch, batch.last_sequence());
                }
            }
            (*position, *newest) = (event.position, epoch);
            batch.push(event, epoch, Some(sequence));
        }
        Ok(batch)
    }

    /// Applies events and moves the checkpoints, in one transaction. `after` gives the checkpoints after the first n events.
    async fn write(
        &self,
        held: &mut Held,
        events: &[StoredEvent],
        after: impl Fn(usize) -> Checkpoints,
    ) -> Result<(), BusError> {
        if events.is_empty() {
            return Ok(());
        }
        let span = self.span(events);
        self.live.take(held, events, after).instrument(span).await?;
        // A reaction may have appended to the follower's own log.
        self.log.notify_appended();
        Ok(())
    }

    /// A span that goes on with the trace of what caused the batch.
    fn span(&self, events: &[StoredEvent]) -> tracing::Span {
        let span = tracing::info_span!(
            "follow",
            otel.kind = "consumer",
            projection = self.live.projection().name(),
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

/// Events that are new, and where each was met.
#[derive(Default)]
struct Batch {
    events: Vec<StoredEvent>,
    /// The epoch of each, and the last sequence of the stream that was read when it was there; none before the first.
    places: Vec<(i32, Option<i64>)>,
}

impl Batch {
    fn push(&mut self, event: StoredEvent, epoch: i32, sequence: Option<i64>) {
        self.events.push(event);
        self.places.push((epoch, sequence));
    }

    fn last_sequence(&self) -> Option<i64> {
        self.places.last().and_then(|(_, sequence)| *sequence)
    }

    /// The checkpoints after the first `count` events. Everything up to the last of them was seen for every partition held; those
    /// without events need not be read again from further back.
    fn after(&self, before: &Checkpoints, count: usize) -> Checkpoints {
        let mut after = before.clone();
        let mut last_sequence = None;
        for (event, (epoch, sequence)) in self.events.iter().zip(&self.places).take(count) {
            if let Some(checkpoint) = after.get_mut(&event.partition) {
                let seen = checkpoint.source_sequence;
                *checkpoint = checkpoint.moved_along(event.position, *epoch, seen);
            }
            last_sequence = *sequence;
        }
        if let Some(last_sequence) = last_sequence {
            for checkpoint in after.values_mut() {
                let (position, epoch) = (checkpoint.position, checkpoint.source_epoch);
                *checkpoint = checkpoint.moved_along(position, epoch, last_sequence);
            }
        }
        after
    }
}
