//! The statements on the tables by which customers are found: one for any number of rows.

use std::collections::BTreeSet;

use aggregate::TenantId;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::{
    domain::matching::segments,
    read_model::{Key, rows::partition_of},
};

/// Customers as columns.
#[derive(Default)]
struct Customers<'a> {
    partitions: Vec<i16>,
    tenants: Vec<&'a str>,
    ids: Vec<Uuid>,
}

impl<'a> Customers<'a> {
    fn of(keys: impl IntoIterator<Item = &'a Key>) -> Self {
        let mut columns = Self::default();
        for (tenant, customer) in keys {
            columns.partitions.push(partition_of(tenant, *customer));
            columns.tenants.push(tenant.as_str());
            columns.ids.push(customer.0);
        }
        columns
    }
}

/// Leaves these customers with these rotations and no others, and no words that nobody has any more. Tells how many rotations went.
pub(super) async fn replace_names(
    connection: &mut PgConnection,
    keys: &BTreeSet<Key>,
    wanted: &BTreeSet<(Key, String)>,
) -> Result<u64, sqlx::Error> {
    let of = Customers::of(keys);
    let stay = Customers::of(wanted.iter().map(|(key, _)| key));
    let rotations: Vec<&str> = wanted
        .iter()
        .map(|(_, rotation)| rotation.as_str())
        .collect();
    let gone = sqlx::query(
        "delete from customer_name n using unnest($1::smallint[], $2::text[], $3::uuid[]) as named (partition, tenant, customer_id)
         where n.partition = named.partition and n.tenant = named.tenant and n.customer_id = named.customer_id
            and (n.customer_id, n.tenant, n.rotation) not in
                (select * from unnest($4::uuid[], $5::text[], $6::text[]) as stays (customer_id, tenant, rotation))
         returning n.partition, n.tenant, n.rotation",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .bind(&stay.ids)
    .bind(&stay.tenants)
    .bind(&rotations)
    .fetch_all(&mut *connection)
    .await?;
    if !rotations.is_empty() {
        sqlx::query(
            "insert into customer_name (partition, tenant, customer_id, rotation)
             select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::text[])
             on conflict do nothing",
        )
        .bind(stay.partitions)
        .bind(stay.tenants)
        .bind(stay.ids)
        .bind(rotations)
        .execute(&mut *connection)
        .await?;
    }
    let mut words = BTreeSet::new();
    for row in &gone {
        let rotation: String = row.try_get("rotation")?;
        let (word, _) = rotation.split_once(' ').unwrap_or((&rotation, ""));
        let partition: i16 = row.try_get("partition")?;
        let tenant: String = row.try_get("tenant")?;
        words.insert((partition, tenant, word.to_owned()));
    }
    delete_unused_words(connection, &words).await?;
    Ok(gone.len() as u64)
}

/// Removes the words that nobody of their partition has.
async fn delete_unused_words(
    connection: &mut PgConnection,
    words: &BTreeSet<(i16, String, String)>,
) -> Result<(), sqlx::Error> {
    if words.is_empty() {
        return Ok(());
    }
    let partitions: Vec<i16> = words.iter().map(|(partition, _, _)| *partition).collect();
    let tenants: Vec<&str> = words.iter().map(|(_, tenant, _)| tenant.as_str()).collect();
    let texts: Vec<&str> = words.iter().map(|(_, _, word)| word.as_str()).collect();
    sqlx::query(
        "delete from name_segment s using unnest($1::smallint[], $2::text[], $3::text[]) as gone (partition, tenant, word)
         where s.partition = gone.partition and s.tenant = gone.tenant and s.word = gone.word
            and not exists (select from customer_name n
                where n.partition = gone.partition and n.tenant = gone.tenant
                    and n.rotation >= gone.word || ' ' and n.rotation < gone.word || '!')",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(texts)
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn insert_segments(
    connection: &mut PgConnection,
    words: &BTreeSet<(i16, TenantId, String)>,
) -> Result<(), sqlx::Error> {
    let (mut partitions, mut tenants, mut texts, mut parts) = (vec![], vec![], vec![], vec![]);
    for (partition, tenant, word) in words {
        for segment in segments(word) {
            partitions.push(*partition);
            tenants.push(tenant.as_str());
            texts.push(word.as_str());
            parts.push(segment);
        }
    }
    if parts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into name_segment (partition, tenant, word, segment)
         select * from unnest($1::smallint[], $2::text[], $3::text[], $4::text[])
         on conflict do nothing",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(texts)
    .bind(parts)
    .execute(connection)
    .await?;
    Ok(())
}

/// Leaves those who were named with no other block of sounds than these, and adds the others.
pub(super) async fn replace_blocks(
    connection: &mut PgConnection,
    named: &BTreeSet<Key>,
    wanted: &BTreeSet<(Key, String)>,
) -> Result<(), sqlx::Error> {
    let of = Customers::of(named);
    let stay = Customers::of(wanted.iter().map(|(key, _)| key));
    let blocks: Vec<&str> = wanted.iter().map(|(_, block)| block.as_str()).collect();
    if !of.ids.is_empty() {
        sqlx::query(
            "delete from customer_block b using unnest($1::smallint[], $2::text[], $3::uuid[]) as named (partition, tenant, customer_id)
             where b.partition = named.partition and b.tenant = named.tenant and b.customer_id = named.customer_id
                and b.block like 's:%' and (b.customer_id, b.tenant, b.block) not in
                    (select * from unnest($4::uuid[], $5::text[], $6::text[]) as stays (customer_id, tenant, block))",
        )
        .bind(of.partitions)
        .bind(of.tenants)
        .bind(of.ids)
        .bind(&stay.ids)
        .bind(&stay.tenants)
        .bind(&blocks)
        .execute(&mut *connection)
        .await?;
    }
    if blocks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into customer_block (partition, tenant, customer_id, block)
         select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::text[])
         on conflict do nothing",
    )
    .bind(stay.partitions)
    .bind(stay.tenants)
    .bind(stay.ids)
    .bind(blocks)
    .execute(connection)
    .await?;
    Ok(())
}

/// Leaves these customers without a block; tells how many they had.
pub(super) async fn delete_blocks(
    connection: &mut PgConnection,
    keys: &BTreeSet<Key>,
) -> Result<u64, sqlx::Error> {
    let of = Customers::of(keys);
    sqlx::query(
        "delete from customer_block b using unnest($1::smallint[], $2::text[], $3::uuid[]) as gone (partition, tenant, customer_id)
         where b.partition = gone.partition and b.tenant = gone.tenant and b.customer_id = gone.customer_id",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .execute(connection)
    .await
    .map(|gone| gone.rows_affected())
}
