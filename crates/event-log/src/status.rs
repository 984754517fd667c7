//! How a projection stands, as it is recorded: for whoever looks from outside.

use std::collections::BTreeMap;

use aggregate::Partition;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    EventLog,
    control::{self, ParkedStream, Target},
    error::LogError,
    read::partition_of,
    rebuild,
};

/// How a projection stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Events that it has applied or parked.
    pub applied: i64,
    /// Events of its log that it has not.
    pub behind: i64,
    /// When the oldest of these was recorded.
    pub behind_since: Option<OffsetDateTime>,
    /// Who has the leases.
    pub owners: Vec<Owner>,
    /// Why it stands still, if it does.
    pub paused: Option<Paused>,
    /// Its parked streams.
    pub parked: Vec<ParkedStream>,
    /// A rebuild that is under way, or was killed.
    pub rebuild: Option<rebuild::Standing>,
}

/// A process that has leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// A number that the process gave itself.
    pub id: Uuid,
    /// Partitions.
    pub partitions: i64,
    /// When the leases run out, in milliseconds; negative when they have.
    pub lease_left_ms: i64,
}

/// Why a projection stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// An operator, or else an event that is not known.
    pub by_operator: bool,
    /// Why; nothing personal.
    pub reason: String,
    /// Since when.
    pub since: OffsetDateTime,
}

/// How a projection stands whose rows are in `live` and that follows the log `source`.
///
/// # Errors
/// When one of the databases fails.
pub async fn status(live: &PgPool, source: &EventLog, target: Target) -> Result<Status, LogError> {
    let heads = source.heads().await?;
    let positions = positions(live, target).await?;
    let behind = heads
        .iter()
        .map(|(partition, head)| head - positions.get(partition).copied().unwrap_or(0))
        // A log that was restored is behind its follower until that has learnt of it.
        .map(|behind| behind.max(0))
        .sum();
    let mut connection = live.acquire().await?;
    let rebuild = rebuild::standing(&mut connection, target.projection, target.version).await?;
    drop(connection);
    Ok(Status {
        applied: positions.values().sum(),
        behind,
        behind_since: behind_since(source, &positions).await?,
        owners: owners(live, target).await?,
        paused: paused(live, target).await?,
        parked: control::parked(live, target).await?,
        rebuild,
    })
}

async fn positions(live: &PgPool, target: Target) -> Result<BTreeMap<Partition, i64>, sqlx::Error> {
    let rows: Vec<(i16, i64)> = sqlx::query_as(
        "select partition, position from checkpoint where projection = $1 and version = $2",
    )
    .bind(target.projection)
    .bind(target.version)
    .fetch_all(live)
    .await?;
    rows.into_iter()
        .map(|(partition, position)| Ok((partition_of(partition)?, position)))
        .collect()
}

async fn behind_since(
    source: &EventLog,
    positions: &BTreeMap<Partition, i64>,
) -> Result<Option<OffsetDateTime>, sqlx::Error> {
    let (partitions, next): (Vec<i16>, Vec<i64>) = Partition::all()
        .map(|partition| {
            let position = positions.get(&partition).copied().unwrap_or(0);
            (i16::from(partition.number()), position + 1)
        })
        .unzip();
    sqlx::query_scalar(
        "select min(e.recorded_at) from unnest($1::smallint[], $2::bigint[]) as next (partition, position)
         join event e on e.partition = next.partition and e.position = next.position",
    )
    .bind(partitions)
    .bind(next)
    .fetch_one(source.pool())
    .await
}

async fn owners(live: &PgPool, target: Target) -> Result<Vec<Owner>, sqlx::Error> {
    let rows: Vec<(Uuid, i64, i64)> = sqlx::query_as(
        "select owner, count(*), (extract(epoch from min(lease_until) - now()) * 1000)::bigint
         from checkpoint where projection = $1 and version = $2 and owner is not null group by owner order by owner",
    )
    .bind(target.projection)
    .bind(target.version)
    .fetch_all(live)
    .await?;
    let owner = |(id, partitions, lease_left_ms)| Owner {
        id,
        partitions,
        lease_left_ms,
    };
    Ok(rows.into_iter().map(owner).collect())
}

async fn paused(live: &PgPool, target: Target) -> Result<Option<Paused>, sqlx::Error> {
    let row: Option<(bool, String, OffsetDateTime)> = sqlx::query_as(
        "select paused_by = 'operator', reason, paused_at from paused
         where projection = $1 and version = $2 order by paused_by, partition limit 1",
    )
    .bind(target.projection)
    .bind(target.version)
    .fetch_optional(live)
    .await?;
    Ok(row.map(|(by_operator, reason, since)| Paused {
        by_operator,
        reason,
        since,
    }))
}
