//! Reading the log in order: for projections, for those who follow from elsewhere, and for checks.

use std::collections::BTreeMap;

use aggregate::{Partition, StreamId, TenantId};
use sqlx::{PgExecutor, Row as _, postgres::PgRow};
use tokio::time::Instant;

use crate::{EventLog, checkpoint::LEASES, error::LogError, event::StoredEvent};

pub(crate) fn partition_of(number: i16) -> Result<Partition, sqlx::Error> {
    u32::try_from(number)
        .ok()
        .and_then(|number| Partition::parse(number).ok())
        .ok_or_else(|| sqlx::Error::Decode(format!("{number} is no partition").into()))
}

/// The event in a row of `partition, position, tenant, stream_id, version, event_id, type, schema_version, payload, metadata,
/// occurred_at, recorded_at`. By place, since looking up a column's name takes longer than reading its value.
pub(crate) fn event_of_row(row: &PgRow) -> Result<StoredEvent, sqlx::Error> {
    let tenant: &str = row.try_get(2)?;
    Ok(StoredEvent {
        partition: partition_of(row.try_get(0)?)?,
        position: row.try_get(1)?,
        tenant: TenantId::parse(tenant).map_err(|error| sqlx::Error::Decode(error.into()))?,
        stream_id: StreamId(row.try_get(3)?),
        version: row.try_get(4)?,
        event_id: row.try_get(5)?,
        type_: row.try_get(6)?,
        schema_version: row.try_get(7)?,
        payload: row.try_get::<Vec<u8>, _>(8)?.into(),
        metadata: row.try_get::<Vec<u8>, _>(9)?.into(),
        occurred_at: row.try_get(10)?,
        recorded_at: row.try_get(11)?,
    })
}

/// Events behind each of `after`, in order of partition and position, at most `limit` for each partition.
pub(crate) async fn read_after(
    executor: impl PgExecutor<'_>,
    after: &[(Partition, i64)],
    limit: i64,
) -> Result<Vec<StoredEvent>, sqlx::Error> {
    let (partitions, positions): (Vec<i16>, Vec<i64>) = after
        .iter()
        .map(|(partition, position)| (i16::from(partition.number()), *position))
        .unzip();
    let rows = sqlx::query(
        "select e.partition, e.position, e.tenant, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.payload,
            e.metadata, e.occurred_at, e.recorded_at
         from unnest($1::smallint[], $2::bigint[]) as behind (partition, position)
         cross join lateral (
            select * from event where event.partition = behind.partition and event.position > behind.position
            order by event.position limit $3
         ) e
         order by e.partition, e.position",
    )
    .bind(&partitions)
    .bind(&positions)
    .bind(limit)
    .fetch_all(executor)
    .await?;
    rows.iter().map(event_of_row).collect()
}

impl EventLog {
    /// Events behind each of `after`, in order of partition and position, at most `limit` for each partition.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_after(
        &self,
        after: &[(Partition, i64)],
        limit: i64,
    ) -> Result<Vec<StoredEvent>, LogError> {
        Ok(read_after(self.pool(), after, limit).await?)
    }

    /// As [`EventLog::read_after`], for those who follow the log closely: what this process appended a moment ago is not read back from the database. It
    /// may be fewer events than there are, but none only where there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn follow_after(
        &self,
        after: &[(Partition, i64)],
        limit: i64,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let recent_max = usize::try_from(limit).unwrap_or(0);
        let mut events = Vec::new();
        let mut elsewhere = Vec::new();
        let now = Instant::now();
        for (partition, position) in after {
            match self
                .inner
                .recent
                .after(*partition, *position, recent_max, now)
            {
                Some(recent) => events.extend(recent),
                None => elsewhere.push((*partition, *position)),
            }
        }
        if !elsewhere.is_empty() {
            events.extend(read_after(self.pool(), &elsewhere, limit).await?);
            events.sort_by_key(|event| (event.partition, event.position));
        }
        Ok(events)
    }

    /// The last position of every partition.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heads(&self) -> Result<BTreeMap<Partition, i64>, LogError> {
        let rows: Vec<(i16, i64, i32)> = sqlx::query_as(
            "select partition, position, (select epoch from log_epoch) from log_head order by partition",
        )
        .fetch_all(self.pool())
        .await?;
        if let Some((_, _, epoch)) = rows.first() {
            self.note_epoch(*epoch);
        }
        Ok(rows
            .into_iter()
            .map(|(partition, position, _)| Ok((partition_of(partition)?, position)))
            .collect::<Result<_, sqlx::Error>>()?)
    }

    /// How many events each projection has applied, summed over partitions, by name. The relay and the timers are none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn progress(&self) -> Result<BTreeMap<String, i64>, LogError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "select projection, sum(position)::bigint from checkpoint
             where projection <> all($1) group by projection order by projection",
        )
        .bind(LEASES)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().collect())
    }
}
