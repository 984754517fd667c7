//! Whether a whole stream is a copy of its log: every message is read.

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use event_log::Check;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::PgConnection;
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3Default;

use crate::{bus::Bus, error::BusError, messages};

/// A stream whose next message does not come for this long has lost it.
const MESSAGE_MAX: Duration = Duration::from_secs(10);

/// The events of one partition, in order: how many, up to where, and a hash over positions and ids.
#[derive(Default)]
struct Rolling {
    events: i64,
    last: i64,
    hash: Xxh3Default,
}

impl Rolling {
    fn add(&mut self, position: i64, event_id: Uuid) {
        self.events += 1;
        self.last = self.last.max(position);
        self.hash.update(&position.to_le_bytes());
        self.hash.update(event_id.as_bytes());
    }
}

/// Reads the stream of a service from its beginning to where it ends now, and compares it with the log that the connection leads to, up to
/// the positions that the stream has come to: the same events, each partition in order, none lost or doubled.
///
/// # Errors
/// When NATS or the database fails, or a message is not an event.
pub async fn compare_whole(
    bus: &Bus,
    service: &str,
    connection: &mut PgConnection,
) -> Result<Check, BusError> {
    let streamed = read(bus, service).await?;
    let mut findings = Vec::new();
    for (partition, copy) in streamed {
        let number = partition.number();
        let mut log = Rolling::default();
        let mut rows = sqlx::query_as::<_, (i64, Uuid)>(
            "select position, event_id from event where partition = $1 and position <= $2 order by position",
        )
        .bind(i16::from(number))
        .bind(copy.last)
        .fetch(&mut *connection);
        while let Some((position, event_id)) = rows.try_next().await? {
            log.add(position, event_id);
        }
        if copy.events != log.events {
            let (copied, logged) = (copy.events, log.events);
            findings.push(format!(
                "partition {number}: {copied} messages, but {logged} events up to position {}",
                copy.last
            ));
        } else if copy.hash.digest() != log.hash.digest() {
            findings.push(format!(
                "partition {number}: the messages up to position {} are not the events of the log in their order",
                copy.last
            ));
        }
    }
    Ok(Check::new(
        "every message is the event of the log",
        findings,
    ))
}

async fn read(bus: &Bus, service: &str) -> Result<BTreeMap<Partition, Rolling>, BusError> {
    let mut partitions: BTreeMap<Partition, Rolling> = BTreeMap::new();
    let stream = bus.stream(service).await?;
    let info = stream
        .get_info()
        .await
        .map_err(BusError::nats("reading the stream's state"))?;
    let end = info.state.last_sequence;
    if info.state.messages == 0 {
        return Ok(partitions);
    }
    let mut messages = messages::headers(&stream).await?;
    loop {
        let message = tokio::time::timeout(MESSAGE_MAX, messages.next())
            .await
            .map_err(BusError::nats("waiting for the next message"))?
            .ok_or(BusError::StreamMoved)?
            .map_err(BusError::nats("reading the stream"))?;
        let (sequence, event) = messages::event_of(bus, service, &message)?;
        partitions
            .entry(event.partition)
            .or_default()
            .add(event.position, event.event_id);
        if sequence >= end {
            return Ok(partitions);
        }
    }
}
