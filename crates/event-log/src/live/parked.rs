//! The streams that a projection has parked.

use std::{borrow::Cow, collections::BTreeMap};

use aggregate::{Partition, StreamId, TenantId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{broken, event::StoredEvent, read::partition_of};

/// A stream.
pub(super) type Key = (Partition, TenantId, StreamId);

/// Streams that wait, and whether an operator asked for them to be applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parked(BTreeMap<Key, bool>);

type Split<'a> = (Cow<'a, [StoredEvent]>, Vec<(&'a StoredEvent, String)>);

fn key(event: &StoredEvent) -> Key {
    (event.partition, event.tenant.clone(), event.stream_id)
}

impl Parked {
    pub(super) async fn load(
        connection: &mut PgConnection,
        projection: &str,
        version: i32,
    ) -> Result<Self, sqlx::Error> {
        let rows: Vec<(i16, String, Uuid, bool)> = sqlx::query_as(
            "select partition, tenant, stream_id, bool_or(replay) from parked
             where projection = $1 and version = $2 group by partition, tenant, stream_id",
        )
        .bind(projection)
        .bind(version)
        .fetch_all(connection)
        .await?;
        let rows = rows.into_iter().map(|(partition, tenant, stream, replay)| {
            let tenant =
                TenantId::try_from(tenant).map_err(|error| sqlx::Error::Decode(error.into()))?;
            Ok(((partition_of(partition)?, tenant, StreamId(stream)), replay))
        });
        rows.collect::<Result<_, sqlx::Error>>().map(Self)
    }

    /// Forgets streams of other partitions.
    pub(super) fn keep(&mut self, keeps: impl Fn(Partition) -> bool) {
        self.0.retain(|(partition, _, _), _| keeps(*partition));
    }

    /// The events whose streams are not parked, and those that have to wait. Costs nothing while nothing is parked.
    pub(super) fn split<'a>(&self, events: &'a [StoredEvent]) -> Split<'a> {
        let waits = |event: &StoredEvent| self.0.contains_key(&key(event)) && !broken::parked();
        if self.0.is_empty() || !events.iter().any(waits) {
            return (Cow::Borrowed(events), Vec::new());
        }
        let (behind, fresh): (Vec<_>, Vec<_>) = events.iter().partition(|event| waits(event));
        let behind = behind.into_iter().map(|event| (event, String::new()));
        (fresh.into_iter().cloned().collect(), behind.collect())
    }

    /// Takes out those of partitions from `first` on.
    pub(super) fn split_off(&mut self, first: Partition) -> Self {
        let (rest, kept) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|((partition, _, _), _)| *partition >= first);
        self.0 = kept;
        Self(rest)
    }

    pub(super) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    #[cfg(test)]
    pub(super) fn of_partition(partition: Partition) -> Self {
        let tenant = TenantId::parse("demo").expect("it is a name");
        let stream = StreamId(Uuid::from_u128(partition.number().into()));
        Self(BTreeMap::from([((partition, tenant, stream), false)]))
    }

    pub(super) fn add(&mut self, event: &StoredEvent) {
        self.0.insert(key(event), false);
    }

    pub(super) fn remove(&mut self, stream: &Key) {
        self.0.remove(stream);
    }

    /// Takes an operator's wish as dealt with.
    pub(super) fn answered(&mut self, stream: &Key) {
        if let Some(replay) = self.0.get_mut(stream) {
            *replay = false;
        }
    }

    /// Streams that an operator wants to be applied.
    pub(super) fn asked_for(&self) -> Vec<Key> {
        let asked = self.0.iter().filter(|(_, replay)| **replay);
        asked.map(|(stream, _)| stream.clone()).collect()
    }
}

/// Writes down events that were not applied, with their errors.
pub(super) async fn park(
    connection: &mut PgConnection,
    projection: &str,
    version: i32,
    left: &[(&StoredEvent, String)],
) -> Result<(), sqlx::Error> {
    if left.is_empty() {
        return Ok(());
    }
    let (mut partitions, mut tenants, mut streams) = (Vec::new(), Vec::new(), Vec::new());
    let (mut positions, mut errors) = (Vec::new(), Vec::new());
    for (event, error) in left {
        partitions.push(i16::from(event.partition.number()));
        tenants.push(event.tenant.as_str());
        streams.push(event.stream_id.0);
        positions.push(event.position);
        errors.push(error.as_str());
    }
    sqlx::query(
        "insert into parked (partition, projection, version, tenant, stream_id, position, error, parked_at)
         select partition, $1, $2, tenant, stream_id, position, error, now()
         from unnest($3::smallint[], $4::text[], $5::uuid[], $6::bigint[], $7::text[])
            as left_over (partition, tenant, stream_id, position, error)
         on conflict do nothing",
    )
    .bind(projection)
    .bind(version)
    .bind(partitions)
    .bind(tenants)
    .bind(streams)
    .bind(positions)
    .bind(errors)
    .execute(connection)
    .await?;
    Ok(())
}
