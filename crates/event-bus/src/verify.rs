//! Whether a stream is a copy of its log.

use std::collections::BTreeMap;

use aggregate::Partition;
use event_log::Check;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    bus::Bus,
    error::BusError,
    tail::{Tail, read_tail},
};

/// How often the end of a stream is read again because something was published meanwhile.
const ATTEMPTS_MAX: u32 = 50;

/// Where a stream ended at one moment.
pub struct StreamEnd(Tail);

impl StreamEnd {
    /// Reads the end of a service's stream.
    ///
    /// # Errors
    /// When NATS does not answer, has no such stream, or so much is published that no moment can be caught.
    pub async fn read(bus: &Bus, service: &str) -> Result<Self, BusError> {
        let stream = bus.stream(service).await?;
        let mut attempt = 1;
        loop {
            match read_tail(bus, service, &stream).await {
                Err(BusError::StreamMoved) if attempt < ATTEMPTS_MAX => attempt += 1,
                outcome => return outcome.map(Self),
            }
        }
    }

    /// Compares with the log that the connection leads to: the stream holds as many messages as the positions that it has come to in each partition, and
    /// its last event of each is the log's at that position. The end has to be read before the connection's snapshot is taken; a
    /// stream that has not come up to its log is no finding.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn compare(&self, connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
        let (partitions, positions): (Vec<i16>, Vec<i64>) = self
            .0
            .last
            .iter()
            .map(|(partition, last)| (i16::from(partition.number()), last.position))
            .unzip();
        let stored: Vec<(i16, Uuid)> = sqlx::query_as(
            "select e.partition, e.event_id from unnest($1::smallint[], $2::bigint[]) as tail (partition, position)
             join event e on e.partition = tail.partition and e.position = tail.position",
        )
        .bind(&partitions)
        .bind(&positions)
        .fetch_all(connection)
        .await?;
        let stored: BTreeMap<i16, Uuid> = stored.into_iter().collect();
        let mut findings: Vec<String> = self
            .0
            .last
            .iter()
            .filter(|(partition, last)| {
                stored.get(&i16::from(partition.number())) != Some(&last.event_id)
            })
            .map(|(partition, last)| differs(*partition, last.position))
            .collect();
        let expected: i64 = positions.iter().sum();
        if u64::try_from(expected) != Ok(self.0.messages) {
            let messages = self.0.messages;
            findings.push(format!(
                "the stream holds {messages} messages, but its positions make {expected}"
            ));
        }
        Ok(Check::new("the stream is a copy of the log", findings))
    }
}

fn differs(partition: Partition, position: i64) -> String {
    let partition = partition.number();
    format!(
        "partition {partition}: the stream's last event is not the log's at position {position}"
    )
}
