//! What an operator asks of a projection. It is recorded in the database of the projection, so that it reaches whichever process has
//! the lease: the lease's number is raised in the same transaction, which fences the holder and makes it look again.

use aggregate::{Partition, StreamId, TenantId};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::read::partition_of;

/// A projection by its name and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name.
    pub projection: &'static str,
    /// Version.
    pub version: i32,
}

/// A stream that is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedStream {
    /// Partition.
    pub partition: Partition,
    /// Tenant.
    pub tenant: TenantId,
    /// Stream.
    pub stream: StreamId,
    /// Position of the event that could not be applied; 0 when the stream was parked by hand.
    pub position: i64,
    /// Events that wait.
    pub events: i64,
    /// Why; nothing personal.
    pub error: String,
    /// Since when.
    pub parked_at: OffsetDateTime,
    /// Whether it was asked to be applied.
    pub replay: bool,
}

/// Makes a projection stand still at the end of a batch until [`resume`]. Reads are still answered.
///
/// # Errors
/// When the database fails.
pub async fn pause(pool: &PgPool, target: Target, reason: &str) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "insert into paused as p (partition, projection, version, paused_by, reason)
         select n, $1, $2, 'operator', $3 from generate_series(0, 63) as n
         on conflict (partition, projection, version) do update
            set paused_by = 'operator', reason = excluded.reason, position = 0, paused_at = excluded.paused_at
            where p.paused_by <> 'operator'",
    )
    .bind(target.projection)
    .bind(target.version)
    .bind(reason)
    .execute(&mut *transaction)
    .await?;
    fence(&mut transaction, target, None).await?;
    transaction.commit().await
}

/// Lets a paused projection go on, whatever paused it; whether it was paused. Where an event is not known it pauses again.
///
/// # Errors
/// When the database fails.
pub async fn resume(pool: &PgPool, target: Target) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let resumed = sqlx::query("delete from paused where projection = $1 and version = $2")
        .bind(target.projection)
        .bind(target.version)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(resumed.rows_affected() > 0)
}

/// Parks a stream by hand: nothing more of it is applied until it is replayed.
///
/// # Errors
/// When the database fails.
pub async fn park(
    pool: &PgPool,
    target: Target,
    (partition, tenant, stream): (Partition, &TenantId, StreamId),
    reason: &str,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "insert into parked (partition, projection, version, tenant, stream_id, position, error, parked_at)
         values ($1, $2, $3, $4, $5, 0, $6, now()) on conflict do nothing",
    )
    .bind(i16::from(partition.number()))
    .bind(target.projection)
    .bind(target.version)
    .bind(tenant.as_str())
    .bind(stream.0)
    .bind(reason)
    .execute(&mut *transaction)
    .await?;
    fence(&mut transaction, target, Some(partition)).await?;
    transaction.commit().await
}

/// Asks for parked streams to be applied, one or all; returns how many streams.
///
/// # Errors
/// When the database fails.
pub async fn replay(
    pool: &PgPool,
    target: Target,
    stream: Option<StreamId>,
) -> Result<usize, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let asked: Vec<(i16, String, Uuid)> = sqlx::query_as(
        "update parked set replay = true where projection = $1 and version = $2 and ($3::uuid is null or stream_id = $3)
         returning partition, tenant, stream_id",
    )
    .bind(target.projection)
    .bind(target.version)
    .bind(stream.map(|stream| stream.0))
    .fetch_all(&mut *transaction)
    .await?;
    let asked: std::collections::BTreeSet<_> = asked.into_iter().collect();
    fence(&mut transaction, target, None).await?;
    transaction.commit().await?;
    Ok(asked.len())
}

/// The parked streams of a projection, by partition.
///
/// # Errors
/// When the database fails.
pub async fn parked(pool: &PgPool, target: Target) -> Result<Vec<ParkedStream>, sqlx::Error> {
    type Row = (i16, String, Uuid, i64, i64, String, OffsetDateTime, bool);
    let rows: Vec<Row> = sqlx::query_as(
        "select partition, tenant, stream_id, min(position), count(*) filter (where position > 0),
            (array_agg(error order by position))[1], min(parked_at), bool_or(replay)
         from parked where projection = $1 and version = $2
         group by partition, tenant, stream_id order by partition, tenant, stream_id",
    )
    .bind(target.projection)
    .bind(target.version)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(
            |(partition, tenant, stream, position, events, error, parked_at, replay)| {
                Ok(ParkedStream {
                    partition: partition_of(partition)?,
                    tenant: TenantId::try_from(tenant)
                        .map_err(|error| sqlx::Error::Decode(error.into()))?,
                    stream: StreamId(stream),
                    position,
                    events,
                    error,
                    parked_at,
                    replay,
                })
            },
        )
        .collect()
}

/// Where a stream of a log lives: its partition and tenant. None when the log has no such stream; several when tenants share its id.
///
/// # Errors
/// When the database fails.
pub async fn find_stream(
    pool: &PgPool,
    stream: StreamId,
) -> Result<Vec<(Partition, TenantId)>, sqlx::Error> {
    let rows: Vec<(i16, String)> =
        sqlx::query_as("select distinct partition, tenant from event where stream_id = $1")
            .bind(stream.0)
            .fetch_all(pool)
            .await?;
    rows.into_iter()
        .map(|(partition, tenant)| {
            let tenant =
                TenantId::try_from(tenant).map_err(|error| sqlx::Error::Decode(error.into()))?;
            Ok((partition_of(partition)?, tenant))
        })
        .collect()
}

/// Forgets what was parked and where the projection diverged: its rows were made anew.
pub(crate) async fn clear(
    connection: &mut PgConnection,
    target: Target,
) -> Result<(), sqlx::Error> {
    for statement in [
        "delete from parked where projection = $1 and version = $2",
        "delete from divergence where projection = $1 and version = $2",
    ] {
        sqlx::query(statement)
            .bind(target.projection)
            .bind(target.version)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn fence(
    connection: &mut PgConnection,
    target: Target,
    partition: Option<Partition>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update checkpoint set epoch = epoch + 1
         where projection = $1 and version = $2 and ($3::smallint is null or partition = $3)",
    )
    .bind(target.projection)
    .bind(target.version)
    .bind(partition.map(|partition| i16::from(partition.number())))
    .execute(connection)
    .await?;
    Ok(())
}
