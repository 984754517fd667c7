//! The one statement by which everything is appended.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aggregate::{Partition, TenantId};
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    broken,
    command::IdempotencyKey,
    erasure::{erase, erased_by},
    error::LogError,
    event::{Append, Stream, Write, Written},
};

/// One statement for any number of writes. Its order of locks is: command records and keys, then partition heads in ascending order, which are held for the
/// rest of the transaction only. What is appended to a stream waits for its partition's head, so that of two appends at one version the second
/// finds the first. It writes no event unless all of its writes are free of conflict; the caller then rolls back and leaves out those that are not.
const APPEND: &str = include_str!("append.sql");

/// What keeps two events of a stream from having one version.
const STREAM_VERSION_KEY: &str = "event_partition_tenant_stream_id_version_key";

/// How the writes of one statement fared.
pub(crate) enum Appended {
    /// All are in, once the transaction commits.
    All(Vec<Written>),
    /// Nothing is in. Roll back; these writes (by index) stand in conflict with what is stored.
    Conflicts(Vec<usize>),
}

/// What becomes of a statement that meets a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnConflict {
    /// It tells what is in conflict, and the caller rolls its transaction back.
    Tell,
    /// It fails ([`is_conflict`]) and leaves nothing, so that it can be a transaction of its own.
    Fail,
}

/// Whether a statement failed as [`OnConflict::Fail`] asked it to.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code == "22012") || was_overtaken(error)
}

/// Whether somebody else appended to one of the streams after the statement had looked at them.
pub(crate) fn was_overtaken(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::constraint)
        .is_some_and(|constraint| constraint == STREAM_VERSION_KEY)
}

/// What a statement is given: borrowed from the writes, a column for each parameter.
#[derive(Default)]
struct Columns<'a> {
    /// The writes that each stream row stands for: several when they follow each other on one stream.
    stream_units: Vec<Vec<usize>>,
    stream_partition: Vec<i16>,
    stream_tenant: Vec<&'a str>,
    stream_id: Vec<Uuid>,
    stream_expected: Vec<i64>,
    stream_version: Vec<i64>,
    head_partition: Vec<i16>,
    head_events: Vec<i64>,
    event_partition: Vec<i16>,
    event_nth: Vec<i64>,
    event_tenant: Vec<&'a str>,
    event_stream: Vec<Uuid>,
    event_version: Vec<i64>,
    event_id: Vec<Uuid>,
    event_type: Vec<&'static str>,
    event_schema: Vec<i16>,
    event_payload: Vec<&'a [u8]>,
    event_metadata: Vec<&'a [u8]>,
    event_occurred: Vec<OffsetDateTime>,
    command_units: Vec<Vec<usize>>,
    command_partition: Vec<i16>,
    command_tenant: Vec<&'a str>,
    command_request: Vec<&'a str>,
    command_fingerprint: Vec<&'a [u8]>,
    command_response: Vec<&'a [u8]>,
    command_stream_partition: Vec<Option<i16>>,
    command_stream_id: Vec<Option<Uuid>>,
    command_stream_version: Vec<Option<i64>>,
    command_retention_seconds: Vec<Option<i64>>,
    key_units: Vec<Vec<usize>>,
    key_partition: Vec<i16>,
    key_tenant: Vec<&'a str>,
    key_subject: Vec<Uuid>,
    key_wrapped: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(writes: &[&'a Write]) -> Self {
        let mut columns = Self::default();
        let mut rows = HashMap::new();
        let mut events_of = BTreeMap::new();
        let appends_max = if broken::whole() { 1 } else { usize::MAX };
        for (unit, write) in writes.iter().enumerate() {
            for append in write.appends.iter().take(appends_max) {
                columns.add_append(unit, append, &mut rows, &mut events_of);
            }
            if let Some((tenant, key, response)) = &write.idempotency
                && !broken::record()
            {
                columns.add_command(unit, tenant, key, response, write.appends.first());
            }
        }
        if broken::version() {
            // Without these nothing is stale.
            columns.stream_expected.clear();
        }
        let skipped = i64::from(broken::positions());
        (columns.head_partition, columns.head_events) = events_of
            .into_iter()
            .map(|(partition, events)| (partition, events + skipped))
            .unzip();
        columns
    }

    fn add_append(
        &mut self,
        unit: usize,
        append: &'a Append,
        rows: &mut HashMap<&'a Stream, usize>,
        events_of: &mut BTreeMap<i16, i64>,
    ) {
        let stream = &append.stream;
        let partition = i16::from(stream.partition.number());
        let follows = rows
            .get(stream)
            .copied()
            .filter(|row: &usize| self.stream_version[*row] == append.expected_version);
        let row = follows.unwrap_or_else(|| {
            // One that follows nothing gets a row of its own, which then stands in conflict with the other.
            self.stream_units.push(Vec::new());
            self.stream_partition.push(partition);
            self.stream_tenant.push(stream.tenant.as_str());
            self.stream_id.push(stream.id.0);
            self.stream_expected.push(append.expected_version);
            self.stream_version.push(append.expected_version);
            self.stream_units.len() - 1
        });
        rows.insert(stream, row);
        self.stream_units[row].push(unit);
        let nth = events_of.entry(partition).or_insert(0);
        for event in &append.events {
            *nth += 1;
            self.stream_version[row] += 1;
            self.event_partition.push(partition);
            self.event_nth.push(*nth);
            self.event_tenant.push(stream.tenant.as_str());
            self.event_stream.push(stream.id.0);
            self.event_version.push(self.stream_version[row]);
            self.event_id.push(event.event_id);
            self.event_type.push(event.type_);
            self.event_schema.push(event.schema_version);
            self.event_payload.push(&event.payload);
            self.event_metadata.push(&event.metadata);
            self.event_occurred.push(event.occurred_at);
        }
        if let Some(key) = &append.new_key {
            self.key_units.push(vec![unit]);
            self.key_partition.push(i16::from(key.partition.number()));
            self.key_tenant.push(key.tenant.as_str());
            self.key_subject.push(key.subject);
            self.key_wrapped.push(&key.wrapped);
        }
    }

    fn add_command(
        &mut self,
        unit: usize,
        tenant: &'a TenantId,
        key: &'a IdempotencyKey,
        response: &'a [u8],
        first: Option<&Append>,
    ) {
        self.command_units.push(vec![unit]);
        self.command_partition
            .push(i16::from(key.partition(tenant).number()));
        self.command_tenant.push(tenant.as_str());
        self.command_request.push(&key.request_id);
        self.command_fingerprint.push(&key.fingerprint);
        self.command_response
            .push(if broken::response() { &[] } else { response });
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

/// Appends within the caller's transaction, or as one of its own where there is none. On conflicts the transaction must be rolled back.
pub(crate) async fn append(
    connection: &mut PgConnection,
    writes: &[&Write],
    on_conflict: OnConflict,
) -> Result<Appended, sqlx::Error> {
    let columns = Columns::of(writes);
    let row = sqlx::query(APPEND)
        .bind(&columns.stream_partition)
        .bind(&columns.stream_tenant)
        .bind(&columns.stream_id)
        .bind(&columns.stream_expected)
        .bind(&columns.command_partition)
        .bind(&columns.command_tenant)
        .bind(&columns.command_request)
        .bind(&columns.command_fingerprint)
        .bind(&columns.command_response)
        .bind(&columns.command_stream_partition)
        .bind(&columns.command_stream_id)
        .bind(&columns.command_stream_version)
        .bind(&columns.command_retention_seconds)
        .bind(&columns.key_partition)
        .bind(&columns.key_tenant)
        .bind(&columns.key_subject)
        .bind(&columns.key_wrapped)
        .bind(&columns.head_partition)
        .bind(&columns.head_events)
        .bind(&columns.event_partition)
        .bind(&columns.event_nth)
        .bind(&columns.event_tenant)
        .bind(&columns.event_stream)
        .bind(&columns.event_version)
        .bind(&columns.event_id)
        .bind(&columns.event_type)
        .bind(&columns.event_schema)
        .bind(&columns.event_payload)
        .bind(&columns.event_metadata)
        .bind(&columns.event_occurred)
        .bind(on_conflict == OnConflict::Fail)
        .fetch_one(connection)
        .await?;
    if !row.try_get::<bool, _>("settled")? {
        let done = |column: &str| row.try_get::<Vec<i64>, _>(column);
        let mut failed = BTreeSet::new();
        for ordinal in done("stale")? {
            let row = usize::try_from(ordinal - 1).unwrap_or_default();
            failed.extend(columns.stream_units[row].iter().copied());
        }
        failed.extend(missing(&columns.command_units, &done("commands")?));
        failed.extend(missing(&columns.key_units, &done("keys")?));
        return Ok(Appended::Conflicts(failed.into_iter().collect()));
    }
    let partitions: Vec<i16> = row.try_get("partitions")?;
    let bases: Vec<i64> = row.try_get("bases")?;
    let recorded_at = row.try_get("recorded_at")?;
    let bases = partitions.into_iter().zip(bases).collect();
    Ok(Appended::All(positions(writes, bases, recorded_at)))
}

/// The writes whose rows (numbered from 1) are not among those that took effect.
fn missing<'a>(units: &'a [Vec<usize>], done: &'a [i64]) -> impl Iterator<Item = usize> + 'a {
    let done: HashSet<i64> = done.iter().copied().collect();
    (1_i64..)
        .zip(units)
        .filter(move |(ordinal, _)| !done.contains(ordinal))
        .flat_map(|(_, units)| units.iter().copied())
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

/// Appends within a transaction of the caller's: for reactions that move a checkpoint in the same step. Of two appends to one stream the second
/// must follow the first.
///
/// Returns `None` when one of the writes stands in conflict with what is stored; roll back then, load again and decide again.
///
/// # Errors
/// When the database fails.
pub async fn append_in(
    connection: &mut PgConnection,
    writes: &[Write],
) -> Result<Option<Vec<Written>>, LogError> {
    let writes: Vec<&Write> = writes.iter().collect();
    match append(connection, &writes, OnConflict::Tell).await {
        Ok(Appended::All(written)) => {
            let erased = erased_by(writes.iter().flat_map(|write| &write.appends));
            erase(connection, &erased).await?;
            Ok(Some(written))
        }
        Ok(Appended::Conflicts(_)) => Ok(None),
        Err(error) if was_overtaken(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
