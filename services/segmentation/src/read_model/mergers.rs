//! Who was merged into whom: the columns of `customer_fact` that say so, and the groups that follow from them.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::{CustomerId, Partition, TenantId};
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::facts::Key;

/// What a batch of events says of mergers. Of several turns the last one stands.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    survivors: BTreeMap<Key, Option<CustomerId>>,
    absorbed: BTreeMap<(Key, CustomerId), bool>,
}

impl Turns {
    /// Somebody goes on for this customer, or nobody does any more.
    pub(crate) fn goes_on(&mut self, key: Key, survivor: Option<CustomerId>) {
        self.survivors.insert(key, survivor);
    }

    /// The other counts with this customer, or does not any more.
    pub(crate) fn counts_with(&mut self, key: Key, other: CustomerId, counts: bool) {
        self.absorbed.insert((key, other), counts);
    }

    /// Writes the columns of customers who are there.
    pub(crate) async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        write_survivors(connection, self.survivors).await?;
        write_absorbed(connection, self.absorbed).await
    }
}

async fn write_survivors(
    connection: &mut PgConnection,
    turns: BTreeMap<Key, Option<CustomerId>>,
) -> Result<(), sqlx::Error> {
    if turns.is_empty() {
        return Ok(());
    }
    let expected = turns.len() as u64;
    let (mut partitions, mut tenants) = (Vec::new(), Vec::new());
    let (mut customers, mut survivors) = (Vec::new(), Vec::new());
    for ((partition, tenant, customer), survivor) in turns {
        partitions.push(i16::from(partition.number()));
        tenants.push(String::from(tenant));
        customers.push(customer.0);
        survivors.push(survivor.map(|survivor| survivor.0));
    }
    let written = sqlx::query(
        "update customer_fact c set survivor_id = t.survivor_id
         from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[]) as t (partition, tenant, customer_id, survivor_id)
         where c.partition = t.partition and c.tenant = t.tenant and c.customer_id = t.customer_id",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(customers)
    .bind(survivors)
    .execute(connection)
    .await?;
    all_there(written.rows_affected(), expected)
}

/// Ids are kept in order and once each, so that rows made anew are the same.
async fn write_absorbed(
    connection: &mut PgConnection,
    turns: BTreeMap<(Key, CustomerId), bool>,
) -> Result<(), sqlx::Error> {
    if turns.is_empty() {
        return Ok(());
    }
    let expected = turns
        .keys()
        .map(|(key, _)| key)
        .collect::<BTreeSet<_>>()
        .len() as u64;
    let (mut partitions, mut tenants) = (Vec::new(), Vec::new());
    let (mut customers, mut others, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    for (((partition, tenant, customer), other), counted) in turns {
        partitions.push(i16::from(partition.number()));
        tenants.push(String::from(tenant));
        customers.push(customer.0);
        others.push(other.0);
        counts.push(counted);
    }
    let written = sqlx::query(
        "update customer_fact c set absorbed = array(
            select id from unnest(c.absorbed || t.come) as id except select id from unnest(t.gone) as id order by id
         )
         from (
            select partition, tenant, customer_id,
                coalesce(array_agg(other_id) filter (where counts), '{}') as come,
                coalesce(array_agg(other_id) filter (where not counts), '{}') as gone
            from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::boolean[])
                as t (partition, tenant, customer_id, other_id, counts)
            group by partition, tenant, customer_id
         ) t
         where c.partition = t.partition and c.tenant = t.tenant and c.customer_id = t.customer_id",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(customers)
    .bind(others)
    .bind(counts)
    .execute(connection)
    .await?;
    all_there(written.rows_affected(), expected)
}

/// A customer is merged after the registration, in one stream: a row that is not there was lost.
fn all_there(written: u64, expected: u64) -> Result<(), sqlx::Error> {
    if written == expected {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound)
    }
}

/// What some customers have to do with mergers.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Those who go on for others, each with the others. One of the customers is among them at least.
    pub(crate) groups: Vec<(CustomerId, Vec<CustomerId>)>,
    /// Those into whom one of the customers was merged, by that one's own word, and so on: the word of those themselves may be missing.
    pub(crate) named: Vec<CustomerId>,
}

/// The groups that these customers belong to, as they are now.
pub(crate) async fn groups(
    connection: &mut PgConnection,
    tenant: &TenantId,
    customers: &[CustomerId],
) -> Result<Groups, sqlx::Error> {
    let ids: Vec<Uuid> = customers.iter().map(|customer| customer.0).collect();
    let rows: Vec<(Uuid, Option<Vec<Uuid>>)> = sqlx::query_as(
        "with recursive named as (
            select survivor_id from customer_fact
            where tenant = $1 and customer_id = any($2) and survivor_id is not null
            union
            select c.survivor_id from named n join customer_fact c on c.tenant = $1 and c.customer_id = n.survivor_id
            where c.survivor_id is not null
         )
         select survivor_id, null from named
         union all (
            select customer_id, absorbed from customer_fact
            where tenant = $1 and survivor_id is null and absorbed <> '{}' and absorbed && $2
            union
            select customer_id, absorbed from customer_fact
            where tenant = $1 and customer_id = any($2) and survivor_id is null and absorbed <> '{}'
         )",
    )
    .bind(tenant.as_str())
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let mut found = Groups::default();
    for (id, absorbed) in rows {
        match absorbed {
            Some(absorbed) => {
                let others = absorbed.into_iter().map(CustomerId).collect();
                found.groups.push((CustomerId(id), others));
            }
            None => found.named.push(CustomerId(id)),
        }
    }
    Ok(found)
}

impl Groups {
    /// The partitions whose facts tell of these groups.
    pub(crate) fn partitions(&self, tenant: &TenantId) -> BTreeSet<Partition> {
        let members = self
            .groups
            .iter()
            .flat_map(|(survivor, others)| std::iter::once(survivor).chain(others));
        members
            .chain(&self.named)
            .map(|customer| Partition::of_customer(tenant, *customer))
            .collect()
    }
}

/// For everybody who was merged into another, the one who goes on.
pub(crate) async fn survivors(
    executor: impl PgExecutor<'_>,
    tenant: &TenantId,
) -> Result<BTreeMap<CustomerId, CustomerId>, sqlx::Error> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(
        "select unnest(absorbed), customer_id from customer_fact
         where tenant = $1 and survivor_id is null and absorbed <> '{}'",
    )
    .bind(tenant.as_str())
    .fetch_all(executor)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(absorbed, survivor)| (CustomerId(absorbed), CustomerId(survivor)))
        .collect())
}

/// Who goes on for a customer: the customer, unless it was merged into another.
pub(crate) async fn who_goes_on(
    pool: &PgPool,
    tenant: &TenantId,
    customer: CustomerId,
) -> Result<CustomerId, sqlx::Error> {
    // A path of ids ends where nobody goes on, and nobody is merged into oneself; `union` ends it even if somebody were.
    let last: Option<Uuid> = sqlx::query_scalar(
        "with recursive path as (
            select customer_id, survivor_id from customer_fact where tenant = $1 and customer_id = $2
            union
            select c.customer_id, c.survivor_id from path p
            join customer_fact c on c.tenant = $1 and c.customer_id = p.survivor_id
         )
         select customer_id from path where survivor_id is null",
    )
    .bind(tenant.as_str())
    .bind(customer.0)
    .fetch_optional(pool)
    .await?;
    Ok(last.map_or(customer, CustomerId))
}
