//! Queries over segments and their members.

use aggregate::{CustomerId, Partition, TenantId};
use sqlx::{PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::SegmentId;

/// A segment as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SegmentRow {
    pub(crate) segment: SegmentId,
    pub(crate) name: String,
    pub(crate) rule: String,
    pub(crate) rule_version: u32,
}

/// A member as it is recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MemberRow {
    pub(crate) customer: CustomerId,
    pub(crate) entered_at: OffsetDateTime,
    pub(crate) rule_version: u32,
}

fn version(version: i32) -> u32 {
    u32::try_from(version).unwrap_or(0)
}

/// All segments of a tenant, in the order of their ids.
pub(crate) async fn all(
    executor: impl PgExecutor<'_>,
    tenant: &TenantId,
) -> Result<Vec<SegmentRow>, sqlx::Error> {
    let rows: Vec<(Uuid, String, String, i32)> = sqlx::query_as(
        "select segment_id, name, rule, rule_version from segment where tenant = $1 order by segment_id",
    )
    .bind(tenant.as_str())
    .fetch_all(executor)
    .await?;
    Ok(rows.into_iter().map(row).collect())
}

fn row((segment, name, rule, rule_version): (Uuid, String, String, i32)) -> SegmentRow {
    SegmentRow {
        segment: SegmentId(segment),
        name,
        rule,
        rule_version: version(rule_version),
    }
}

/// The next `limit` segments by name, each with the number of its members.
pub(crate) async fn page(
    pool: &PgPool,
    tenant: &TenantId,
    after: &str,
    limit: u32,
) -> Result<Vec<(SegmentRow, u32)>, sqlx::Error> {
    let rows: Vec<(Uuid, String, String, i32, i64)> = sqlx::query_as(
        "select s.segment_id, s.name, s.rule, s.rule_version,
            (select count(*) from member m where m.tenant = s.tenant and m.segment_id = s.segment_id)
         from segment s where s.tenant = $1 and s.name > $2 collate \"C\"
         order by s.name collate \"C\" limit $3",
    )
    .bind(tenant.as_str())
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(id, name, rule, version, members)| (row((id, name, rule, version)), count(members)))
        .collect())
}

/// How many members a segment has.
pub(crate) async fn members_count(
    pool: &PgPool,
    tenant: &TenantId,
    segment: SegmentId,
) -> Result<u32, sqlx::Error> {
    let members: i64 =
        sqlx::query_scalar("select count(*) from member where tenant = $1 and segment_id = $2")
            .bind(tenant.as_str())
            .bind(segment.0)
            .fetch_one(pool)
            .await?;
    Ok(count(members))
}

pub(crate) fn count(rows: i64) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

/// The next `limit` recorded members of a segment, in the order of their ids.
pub(crate) async fn members(
    pool: &PgPool,
    tenant: &TenantId,
    segment: SegmentId,
    after: Option<CustomerId>,
    limit: u32,
) -> Result<Vec<MemberRow>, sqlx::Error> {
    let rows: Vec<(Uuid, OffsetDateTime, i32)> = sqlx::query_as(
        "select customer_id, entered_at, rule_version from member
         where tenant = $1 and segment_id = $2 and ($3::uuid is null or customer_id > $3)
         order by customer_id limit $4",
    )
    .bind(tenant.as_str())
    .bind(segment.0)
    .bind(after.map(|customer| customer.0))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(customer, entered_at, rule_version)| MemberRow {
            customer: CustomerId(customer),
            entered_at,
            rule_version: version(rule_version),
        })
        .collect())
}

/// The rule version for which all customers were evaluated; `None` when the segment is not listed.
pub(crate) async fn evaluated_version(
    pool: &PgPool,
    tenant: &TenantId,
    segment: SegmentId,
) -> Result<Option<u32>, sqlx::Error> {
    let evaluated: Option<i32> = sqlx::query_scalar(
        "select evaluated_version from segment where partition = $1 and tenant = $2 and segment_id = $3",
    )
    .bind(partition(tenant, segment.0))
    .bind(tenant.as_str())
    .bind(segment.0)
    .fetch_optional(pool)
    .await?;
    Ok(evaluated.map(version))
}

/// Notes that all customers were evaluated for a rule version.
pub(crate) async fn mark_evaluated(
    executor: impl PgExecutor<'_>,
    tenant: &TenantId,
    segment: SegmentId,
    rule_version: u32,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update segment set evaluated_version = $4
         where partition = $1 and tenant = $2 and segment_id = $3 and rule_version = $4",
    )
    .bind(partition(tenant, segment.0))
    .bind(tenant.as_str())
    .bind(segment.0)
    .bind(i32::try_from(rule_version).unwrap_or(i32::MAX))
    .execute(executor)
    .await?;
    Ok(())
}

/// Segments whose present rule was not evaluated for everyone.
pub(crate) async fn behind(pool: &PgPool) -> Result<Vec<(TenantId, SegmentRow)>, sqlx::Error> {
    let rows: Vec<(String, Uuid, String, String, i32)> = sqlx::query_as(
        "select tenant, segment_id, name, rule, rule_version from segment
         where evaluated_version < rule_version order by tenant, segment_id",
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(tenant, id, name, rule, version)| {
            Ok((parsed_tenant(tenant)?, row((id, name, rule, version))))
        })
        .collect()
}

/// A tenant's name as it stands in a row.
pub(crate) fn parsed_tenant(tenant: String) -> Result<TenantId, sqlx::Error> {
    TenantId::try_from(tenant).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// Partition of what belongs to no customer.
pub(crate) fn partition(tenant: &TenantId, id: Uuid) -> i16 {
    Partition::of_key(tenant, id.as_bytes()).number().into()
}
