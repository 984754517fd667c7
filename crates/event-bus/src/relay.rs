//! The relay: the only publisher of a service's stream.
//!
//! It learns from the stream's tail where it is, reads on in PostgreSQL and publishes what it reads as one atomic batch that expects
//! the tail's sequence. A second relay, or a batch that was taken without an answer, makes the expectation fail; then the
//! tail is read again. So nothing is lost, doubled or out of order, whatever stops when.

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use async_nats::{HeaderMap, jetstream::stream::Stream};
use event_log::{Checkpoints, EventLog, StoredEvent};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    bus::Bus,
    envelope::{headers, subject},
    error::BusError,
    tail::{Tail, read_tail},
};

/// How the relay works.
#[derive(Clone, Copy, Debug)]
pub struct RelayOptions {
    /// Events in one atomic batch; JetStream takes at most 1000.
    pub batch_events_max: usize,
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
            poll_interval: Duration::from_millis(100),
            linger: Duration::from_millis(3),
            lease: Duration::from_secs(5),
            retry_delay: Duration::from_millis(250),
        }
    }
}

/// Publishes one log.
pub struct Relay {
    log: EventLog,
    bus: Bus,
    lease: Checkpoints,
    options: RelayOptions,
}

/// What the relay knows of the stream.
struct Cursor {
    stream: Stream,
    last_sequence: u64,
    positions: BTreeMap<Partition, i64>,
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
        }
    }

    /// Runs until `shutdown`. Failures are logged and tried again; commands go on meanwhile.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.work(&shutdown).await {
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
        let mut cursor = self.open().await?;
        while !shutdown.is_cancelled() {
            if Instant::now() >= renew_at {
                if !self.is_elected().await? {
                    return Ok(());
                }
                renew_at = Instant::now() + self.options.lease / 3;
            }
            // Registered before looking, so that nothing appended in between is missed.
            let appended = self.log.appended();
            tokio::pin!(appended);
            let batch = self.next_batch(&cursor).await?;
            if batch.is_empty() {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = &mut appended => {}
                    () = tokio::time::sleep(self.options.poll_interval) => {}
                }
            } else {
                self.publish(&mut cursor, &batch).await?;
                if batch.len() < self.options.batch_events_max / 2 {
                    self.pause(shutdown, self.options.linger).await;
                }
            }
        }
        Ok(())
    }

    async fn is_elected(&self) -> Result<bool, BusError> {
        let held = self.lease.acquire().await?;
        let first = Partition::all().next();
        Ok(first.is_some_and(|first| held.contains_key(&first)))
    }

    /// Reads the tail, and begins the stream anew when it is not a copy of this log.
    async fn open(&self) -> Result<Cursor, BusError> {
        let stream = self.bus.own_stream(self.log.name()).await?;
        let mut tail = read_tail(&self.bus, self.log.name(), &stream).await?;
        if !self.is_copy_of_log(&tail).await? {
            let epoch = self.log.raise_epoch().await?;
            tracing::warn!(
                log = self.log.name(),
                epoch,
                "the stream is not a copy of the log; publishing anew under a new epoch"
            );
            stream
                .purge()
                .await
                .map_err(BusError::nats("purging the stream"))?;
            tail = read_tail(&self.bus, self.log.name(), &stream).await?;
        }
        let positions = Partition::all()
            .map(|partition| {
                (
                    partition,
                    tail.last.get(&partition).map_or(0, |last| last.position),
                )
            })
            .collect();
        Ok(Cursor {
            stream,
            last_sequence: tail.last_sequence,
            positions,
        })
    }

    /// Whether what the stream ends with stands at the same place in the log.
    async fn is_copy_of_log(&self, tail: &Tail) -> Result<bool, BusError> {
        let before: Vec<(Partition, i64)> = tail
            .last
            .iter()
            .map(|(partition, last)| (*partition, last.position - 1))
            .collect();
        let stored: BTreeMap<Partition, (i64, Uuid)> = self
            .log
            .read_after(&before, 1)
            .await?
            .into_iter()
            .map(|event| (event.partition, (event.position, event.event_id)))
            .collect();
        let epoch = self.log.epoch();
        Ok(tail.last.iter().all(|(partition, last)| {
            last.epoch <= epoch && stored.get(partition) == Some(&(last.position, last.event_id))
        }))
    }

    async fn next_batch(&self, cursor: &Cursor) -> Result<Vec<StoredEvent>, BusError> {
        let heads = self.log.heads().await?;
        let behind: Vec<(Partition, i64)> = cursor
            .positions
            .iter()
            .filter(|(partition, position)| heads.get(partition) > Some(position))
            .map(|(partition, position)| (*partition, *position))
            .collect();
        if behind.is_empty() {
            return Ok(Vec::new());
        }
        let share = (self.options.batch_events_max / behind.len()).max(1);
        let limit = i64::try_from(share).unwrap_or(i64::MAX);
        let mut events = self.log.read_after(&behind, limit).await?;
        events.truncate(self.options.batch_events_max);
        Ok(events)
    }

    async fn publish(&self, cursor: &mut Cursor, batch: &[StoredEvent]) -> Result<(), BusError> {
        let service = self.log.name();
        let epoch = self.log.epoch();
        let batch_id = Uuid::now_v7().simple().to_string();
        let client = self.bus.client();
        let mut answer = None;
        for (index, event) in batch.iter().enumerate() {
            let mut headers = headers(service, epoch, event);
            headers.insert("Nats-Batch-Id", batch_id.as_str());
            headers.insert("Nats-Batch-Sequence", (index + 1).to_string());
            if index == 0 {
                headers.insert(
                    "Nats-Expected-Last-Sequence",
                    cursor.last_sequence.to_string(),
                );
            }
            let subject = subject(&self.bus, service, event);
            let payload = event.payload.clone();
            if index + 1 == batch.len() {
                headers.insert("Nats-Batch-Commit", "1");
                answer = Some(self.commit(subject, headers, payload).await?);
            } else {
                client
                    .publish_with_headers(subject, headers, payload)
                    .await
                    .map_err(BusError::nats("publishing"))?;
            }
        }
        let Some(sequence) = answer else {
            return Ok(());
        };
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        if sequence != cursor.last_sequence + count {
            return Err(BusError::Refused {
                reason: format!(
                    "the batch ends at sequence {sequence}, expected {}",
                    cursor.last_sequence + count
                ),
            });
        }
        cursor.last_sequence = sequence;
        for event in batch {
            cursor.positions.insert(event.partition, event.position);
        }
        tracing::debug!(log = service, events = count, sequence, stream = %cursor.stream.cached_info().config.name, "relayed");
        Ok(())
    }

    /// Sends the message that makes the batch take effect; returns the sequence of that message.
    async fn commit(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: bytes::Bytes,
    ) -> Result<u64, BusError> {
        let request = async_nats::Request::new()
            .headers(headers)
            .payload(payload)
            .timeout(Some(self.bus.request_timeout()));
        let answer = self
            .bus
            .client()
            .send_request(subject, request)
            .await
            .map_err(BusError::nats("committing a batch"))?;
        let ack: Ack = serde_json::from_slice(&answer.payload)
            .map_err(BusError::nats("reading an acknowledgement"))?;
        match (ack.error, ack.seq) {
            (Some(error), _) => Err(BusError::Refused {
                reason: format!("{} ({})", error.description, error.err_code),
            }),
            (None, Some(sequence)) => Ok(sequence),
            (None, None) => Err(BusError::Refused {
                reason: "an acknowledgement without a sequence".to_owned(),
            }),
        }
    }
}

#[derive(Deserialize)]
struct Ack {
    error: Option<AckError>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
struct AckError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}
