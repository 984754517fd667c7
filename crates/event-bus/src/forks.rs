//! How far a stream and its log have the same events, found out before the stream is purged.

use std::collections::BTreeMap;

use aggregate::Partition;
use async_nats::jetstream::stream::Stream;
use event_log::EventLog;
use futures::StreamExt as _;

use crate::{bus::Bus, error::BusError, messages, tail::Tail};

/// Messages whose ids are compared with the log at once.
const COMPARED_AT_ONCE: usize = 1000;

/// For each partition of which the stream has something, the last position at which stream and log hold the same event. Events
/// may have been appended since the log was restored, so the log's heads do not tell.
pub(crate) async fn find_forks(
    log: &EventLog,
    bus: &Bus,
    stream: &Stream,
    tail: &Tail,
) -> Result<BTreeMap<Partition, i64>, BusError> {
    let mut forks = BTreeMap::new();
    let messages = messages::headers(stream).await?;
    let mut chunks = messages.ready_chunks(COMPARED_AT_ONCE);
    let mut last_sequence = 0;
    while last_sequence < tail.last_sequence {
        let chunk = tokio::time::timeout(bus.request_timeout(), chunks.next())
            .await
            .map_err(BusError::nats("reading the stream"))?
            .ok_or(BusError::StreamMoved)?;
        let mut seen = Vec::with_capacity(chunk.len());
        for message in chunk {
            let message = message.map_err(BusError::nats("reading the stream"))?;
            let (sequence, event) = messages::event_of(bus, log.name(), &message)?;
            last_sequence = sequence;
            seen.push((event.partition, event.position, event.event_id));
        }
        for (partition, position) in log.last_shared(&seen).await? {
            let fork = forks.entry(partition).or_insert(position);
            *fork = position.max(*fork);
        }
    }
    Ok(forks)
}
