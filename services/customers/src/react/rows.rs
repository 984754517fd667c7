//! The rows of `customer_purchases`: when each customer bought first and last, and whether a further purchase moves it.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::{CustomerId, Partition, TenantId};
use event_log::ProjectionError;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::lifecycle::Purchases;

/// Whom a row is about.
pub(super) type Key = (TenantId, CustomerId);

/// A row, as it was when somebody looked at it.
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) purchases: Purchases,
    pub(super) settled: bool,
}

/// Customers as columns, in the order of their rows' keys, in which everybody locks them.
#[derive(Default)]
struct Columns {
    partitions: Vec<i16>,
    tenants: Vec<String>,
    ids: Vec<Uuid>,
}

impl Columns {
    fn of<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Self {
        let mut columns = Self::default();
        for (tenant, customer) in keys {
            let partition = Partition::of_customer(tenant, *customer);
            columns.partitions.push(partition.number().into());
            columns.tenants.push(tenant.as_str().to_owned());
            columns.ids.push(customer.0);
        }
        columns
    }
}

fn key_of(tenant: String, customer: Uuid) -> Result<Key, sqlx::Error> {
    let tenant = TenantId::try_from(tenant);
    let tenant = tenant.map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok((tenant, CustomerId(customer)))
}

/// Those of these customers whom a further purchase leaves where they are.
pub(super) async fn settled<'a>(
    connection: &mut PgConnection,
    keys: impl IntoIterator<Item = &'a Key>,
) -> Result<BTreeSet<Key>, sqlx::Error> {
    let of = Columns::of(keys);
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "select p.tenant, p.customer_id
         from unnest($1::smallint[], $2::text[], $3::uuid[]) as t (partition, tenant, customer_id)
         join customer_purchases p using (partition, tenant, customer_id)
         where p.settled",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(tenant, customer)| key_of(tenant, customer))
        .collect()
}

/// Writes the rows; tells which of them are not settled.
pub(super) async fn save(
    connection: &mut PgConnection,
    bought: &[(&Key, Purchases)],
) -> Result<BTreeSet<Key>, sqlx::Error> {
    if bought.is_empty() {
        return Ok(BTreeSet::new());
    }
    let of = Columns::of(bought.iter().map(|(key, _)| *key));
    let spans = bought.iter().map(|(_, span)| (span.first_at, span.last_at));
    let (first, last): (Vec<_>, Vec<_>) = spans.unzip();
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "with saved as (
            insert into customer_purchases as p (partition, tenant, customer_id, first_at, last_at)
            select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[])
                as t (partition, tenant, customer_id, first_at, last_at)
            order by partition, tenant, customer_id
            on conflict (partition, tenant, customer_id) do update set
                first_at = least(p.first_at, excluded.first_at), last_at = greatest(p.last_at, excluded.last_at)
            returning tenant, customer_id, settled
         )
         select tenant, customer_id from saved where not settled",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .bind(first)
    .bind(last)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(tenant, customer)| key_of(tenant, customer))
        .collect()
}

/// What these customers have bought.
pub(super) async fn load(
    connection: &mut PgConnection,
    keys: &BTreeSet<Key>,
) -> Result<BTreeMap<Key, Purchases>, sqlx::Error> {
    let of = Columns::of(keys);
    let rows: Vec<(String, Uuid, OffsetDateTime, OffsetDateTime)> = sqlx::query_as(
        "select p.tenant, p.customer_id, p.first_at, p.last_at
         from unnest($1::smallint[], $2::text[], $3::uuid[]) as t (partition, tenant, customer_id)
         join customer_purchases p using (partition, tenant, customer_id)",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(tenant, customer, first_at, last_at)| {
            Ok((key_of(tenant, customer)?, Purchases { first_at, last_at }))
        })
        .collect()
}

/// Notes of customers whether a further purchase leaves them where they are.
///
/// # Errors
/// [`ProjectionError::Overtaken`] when more has been bought meanwhile.
pub(super) async fn settle(
    connection: &mut PgConnection,
    rows: Vec<Row>,
) -> Result<(), ProjectionError> {
    if rows.is_empty() {
        return Ok(());
    }
    let of = Columns::of(rows.iter().map(|row| &row.key));
    let last: Vec<_> = rows.iter().map(|row| row.purchases.last_at).collect();
    let settled: Vec<_> = rows.iter().map(|row| row.settled).collect();
    let done = sqlx::query(
        "with mine as (
            select p.partition, p.tenant, p.customer_id, t.settled
            from customer_purchases p
            join unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::boolean[])
                as t (partition, tenant, customer_id, last_at, settled)
                on p.partition = t.partition and p.tenant = t.tenant and p.customer_id = t.customer_id
            where p.last_at = t.last_at
            order by p.partition, p.tenant, p.customer_id
            for update of p
         )
         update customer_purchases p set settled = mine.settled from mine
         where p.partition = mine.partition and p.tenant = mine.tenant and p.customer_id = mine.customer_id",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .bind(last)
    .bind(settled)
    .execute(connection)
    .await?;
    if done.rows_affected() < rows.len() as u64 {
        return Err(ProjectionError::Overtaken);
    }
    Ok(())
}
