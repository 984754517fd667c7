//! The one statement by which everything is appended.

use std::collections::{BTreeMap, HashMap};

use aggregate::Partition;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;

use crate::{
    error::LogError,
    event::{Write, Written},
};

/// One statement for any number of writes. Its order of locks is: stream heads, command records and keys, then partition heads in
/// ascending order, which are held for the rest of the transaction only. It writes no event unless all of
/// its writes are free of conflict; the caller then rolls back and leaves out those that are not.
const APPEND: &str = include_str!("append.sql");

/// How the writes of one statement fared.
pub(crate) enum Appended {
    /// All are in, once the transaction commits.
    All(Vec<Written>),
    /// Nothing is in. Roll back; these writes (by index) stand in conflict with what is stored.
    Conflicts(Vec<usize>),
}

#[derive(Default)]
struct Columns {
    stream_unit: Vec<i32>,
    stream_partition: Vec<i16>,
    stream_tenant: Vec<String>,
    stream_id: Vec<uuid::Uuid>,
    stream_expected: Vec<i64>,
    stream_version: Vec<i64>,
    stream_type: Vec<&'static str>,
    event_partition: Vec<i16>,
    event_tenant: Vec<String>,
    event_stream: Vec<uuid::Uuid>,
    event_version: Vec<i64>,
    event_id: Vec<uuid::Uuid>,
    event_type: Vec<&'static str>,
    event_schema: Vec<i16>,
    event_payload: Vec<Vec<u8>>,
    event_metadata: Vec<Vec<u8>>,
    event_occurred: Vec<OffsetDateTime>,
    command_unit: Vec<i32>,
    command_partition: Vec<i16>,
    command_tenant: Vec<String>,
    command_request: Vec<String>,
    command_fingerprint: Vec<Vec<u8>>,
    command_response: Vec<Vec<u8>>,
    command_stream_partition: Vec<Option<i16>>,
    command_stream_id: Vec<Option<uuid::Uuid>>,
    command_stream_version: Vec<Option<i64>>,
    command_retention_seconds: Vec<Option<i64>>,
    key_unit: Vec<i32>,
    key_partition: Vec<i16>,
    key_tenant: Vec<String>,
    key_subject: Vec<uuid::Uuid>,
    key_wrapped: Vec<Vec<u8>>,
}

impl Columns {
    fn of(writes: &[&Write]) -> Self {
        let mut columns = Self::default();
        for (unit, write) in (0_i32..).zip(writes) {
            columns.add(unit, write);
        }
        columns
    }

    fn add(&mut self, unit: i32, write: &Write) {
        for append in &write.appends {
            let stream = &append.stream;
            let partition = i16::from(stream.partition.number());
            self.stream_unit.push(unit);
            self.stream_partition.push(partition);
            self.stream_tenant.push(stream.tenant.as_str().to_owned());
            self.stream_id.push(stream.id.0);
            self.stream_expected.push(append.expected_version);
            let mut version = append.expected_version;
            for event in &append.events {
                version += 1;
                self.event_partition.push(partition);
                self.event_tenant.push(stream.tenant.as_str().to_owned());
                self.event_stream.push(stream.id.0);
                self.event_version.push(version);
                self.event_id.push(event.event_id);
                self.event_type.push(event.type_);
                self.event_schema.push(event.schema_version);
                self.event_payload.push(event.payload.to_vec());
                self.event_metadata.push(event.metadata.to_vec());
                self.event_occurred.push(event.occurred_at);
            }
            self.stream_version.push(version);
            self.stream_type.push(append.stream_type);
            if let Some(key) = &append.new_key {
                self.key_unit.push(unit);
                self.key_partition.push(i16::from(key.partition.number()));
                self.key_tenant.push(key.tenant.as_str().to_owned());
                self.key_subject.push(key.subject);
                self.key_wrapped.push(key.wrapped.clone());
            }
        }
        if let Some((tenant, key, response)) = &write.idempotency {
            let first = write.appends.first();
            self.command_unit.push(unit);
            self.command_partition
                .push(i16::from(key.partition(tenant).number()));
            self.command_tenant.push(tenant.as_str().to_owned());
            self.command_request.push(key.request_id.clone());
            self.command_fingerprint.push(key.fingerprint.to_vec());
            self.command_response.push(response.clone());
            self.command_stream_partition
                .push(first.map(|append| i16::from(append.stream.partition.number())));
            self.command_stream_id
                .push(first.map(|append| append.stream.id.0));
            self.command_stream_version.push(first.map(|append| {
                append.expected_version + i64::try_from(append.events.len()).unwrap_or(i64::MAX)
            }));
            self.command_retention_seconds.push(
                key.retention
                    .map(|retention| i64::try_from(retention.as_secs()).unwrap_or(i64::MAX)),
            );
        }
    }
}

/// Appends within the caller's transaction. On conflicts the transaction must be rolled back.
pub(crate) async fn append(
    connection: &mut PgConnection,
    writes: &[&Write],
) -> Result<Appended, sqlx::Error> {
    let columns = Columns::of(writes);
    let streams = columns.stream_unit.clone();
    let commands = columns.command_unit.clone();
    let keys = columns.key_unit.clone();
    let row = sqlx::query(APPEND)
        .bind(columns.stream_partition)
        .bind(columns.stream_tenant)
        .bind(columns.stream_id)
        .bind(columns.stream_expected)
        .bind(columns.stream_version)
        .bind(columns.stream_type)
        .bind(columns.event_partition)
        .bind(columns.event_tenant)
        .bind(columns.event_stream)
        .bind(columns.event_version)
        .bind(columns.event_id)
        .bind(columns.event_type)
        .bind(columns.event_schema)
        .bind(columns.event_payload)
        .bind(columns.event_metadata)
        .bind(columns.event_occurred)
        .bind(columns.command_partition)
        .bind(columns.command_tenant)
        .bind(columns.command_request)
        .bind(columns.command_fingerprint)
        .bind(columns.command_response)
        .bind(columns.command_stream_partition)
        .bind(columns.command_stream_id)
        .bind(columns.command_stream_version)
        .bind(columns.command_retention_seconds)
        .bind(columns.key_partition)
        .bind(columns.key_tenant)
        .bind(columns.key_subject)
        .bind(columns.key_wrapped)
        .fetch_one(connection)
        .await?;
    let done = |column: &str| row.try_get::<Vec<i64>, _>(column);
    let mut failed: Vec<usize> = Vec::new();
    failed.extend(missing(&streams, &done("streams")?));
    failed.extend(missing(&commands, &done("commands")?));
    failed.extend(missing(&keys, &done("keys")?));
    if !failed.is_empty() {
        failed.sort_unstable();
        failed.dedup();
        return Ok(Appended::Conflicts(failed));
    }
    let partitions: Vec<i16> = row.try_get("partitions")?;
    let bases: Vec<i64> = row.try_get("bases")?;
    let recorded_at = row.try_get("recorded_at")?;
    let bases = partitions.into_iter().zip(bases).collect();
    Ok(Appended::All(positions(writes, bases, recorded_at)))
}

/// The units whose rows (numbered from 1) are not among those that took effect.
fn missing<'a>(units: &'a [i32], done: &'a [i64]) -> impl Iterator<Item = usize> + 'a {
    let done: std::collections::HashSet<i64> = done.iter().copied().collect();
    (1_i64..)
        .zip(units)
        .filter(move |(ordinal, _)| !done.contains(ordinal))
        .filter_map(|(_, unit)| usize::try_from(*unit).ok())
}

/// Where each write's appends came to stand: events take positions in the order in which they were given.
fn positions(
    writes: &[&Write],
    mut next: BTreeMap<i16, i64>,
    recorded_at: OffsetDateTime,
) -> Vec<Written> {
    writes
        .iter()
        .map(|write| Written {
            last_positions: write
                .appends
                .iter()
                .map(|append| {
                    let partition: Partition = append.stream.partition;
                    let position = next.entry(i16::from(partition.number())).or_insert(0);
                    *position += i64::try_from(append.events.len()).unwrap_or(i64::MAX);
                    (partition, *position)
                })
                .collect(),
            recorded_at,
        })
        .collect()
}

/// Appends within a transaction of the caller's: for reactions that move a checkpoint in the same step. Streams must differ.
///
/// Returns `None` when one of the writes stands in conflict with what is stored; roll back then, load again and decide again.
///
/// # Errors
/// When the database fails.
pub async fn append_in(
    connection: &mut PgConnection,
    writes: &[Write],
) -> Result<Option<Vec<Written>>, LogError> {
    debug_assert!(
        streams_differ(writes),
        "two appends to one stream in one statement"
    );
    let writes: Vec<&Write> = writes.iter().collect();
    match append(connection, &writes).await? {
        Appended::All(written) => Ok(Some(written)),
        Appended::Conflicts(_) => Ok(None),
    }
}

fn streams_differ(writes: &[Write]) -> bool {
    let mut seen = HashMap::new();
    writes
        .iter()
        .flat_map(|write| &write.appends)
        .all(|append| seen.insert(append.stream.clone(), ()).is_none())
}
