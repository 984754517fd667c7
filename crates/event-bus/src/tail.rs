//! Where the relay is, learnt from the stream itself: its last sequence and the last position of each partition.

use std::collections::BTreeMap;

use aggregate::Partition;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use crate::{bus::Bus, envelope::receive, error::BusError};

/// Partitions that are asked for at the same time.
const ASKED_AT_ONCE: usize = 16;

/// The last event of a partition that the stream holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    pub(crate) position: i64,
    pub(crate) event_id: Uuid,
    pub(crate) epoch: i32,
}

pub(crate) struct Tail {
    pub(crate) last_sequence: u64,
    pub(crate) messages: u64,
    pub(crate) last: BTreeMap<Partition, Last>,
}

impl Tail {
    /// The newest epoch in it; 0 when it is empty.
    pub(crate) fn newest_epoch(&self) -> i32 {
        self.last.values().map(|last| last.epoch).max().unwrap_or(0)
    }

    /// Whether the stream holds everything up to its tail, all of it of `epoch`.
    pub(crate) fn is_whole(&self, epoch: i32) -> bool {
        let positions: i64 = self.last.values().map(|last| last.position).sum();
        u64::try_from(positions) == Ok(self.messages)
            && self.last.values().all(|last| last.epoch == epoch)
    }
}

/// Reads the tail, all of it at one moment.
///
/// # Errors
/// [`BusError::StreamMoved`] when something was published meanwhile.
pub(crate) async fn read_tail(bus: &Bus, service: &str, stream: &Stream) -> Result<Tail, BusError> {
    let info = stream
        .get_info()
        .await
        .map_err(BusError::nats("reading the stream's state"))?;
    let last = if info.state.messages == 0 {
        BTreeMap::new()
    } else {
        stream::iter(Partition::all())
            .map(|partition| async move {
                let last = last_of(bus, service, stream, partition).await?;
                Ok::<_, BusError>(last.map(|last| (partition, last)))
            })
            .buffer_unordered(ASKED_AT_ONCE)
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await?
    };
    let after = stream
        .get_info()
        .await
        .map_err(BusError::nats("reading the stream's state"))?;
    if (after.state.last_sequence, after.state.messages)
        != (info.state.last_sequence, info.state.messages)
    {
        return Err(BusError::StreamMoved);
    }
    Ok(Tail {
        last_sequence: info.state.last_sequence,
        messages: info.state.messages,
        last,
    })
}

async fn last_of(
    bus: &Bus,
    service: &str,
    stream: &Stream,
    partition: Partition,
) -> Result<Option<Last>, BusError> {
    let filter = bus.partition_filter(service, partition);
    let message = match stream.get_last_raw_message_by_subject(&filter).await {
        Ok(message) => message,
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
        Err(error) => return Err(BusError::nats("reading the stream's tail")(error)),
    };
    let sequence = message.sequence;
    let received = receive(
        &message.subject,
        Some(&message.headers),
        message.payload,
        sequence,
    )
    .map_err(|error| BusError::Foreign {
        stream: bus.stream_name(service),
        sequence,
        reason: error.to_string(),
    })?;
    Ok(Some(Last {
        position: received.event.position,
        event_id: received.event.event_id,
        epoch: received.epoch,
    }))
}
