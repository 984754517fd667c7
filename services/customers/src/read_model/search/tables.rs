//! The statements on the tables by which customers are found: one for any number of rows.

use std::collections::BTreeSet;

use aggregate::TenantId;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::{
    domain::{identifier::ClaimId, matching::segments},
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

/// Leaves these customers with no other rotations than these, and no words that nobody has any more. Tells how many rotations went.
pub(super) async fn delete_names(
    connection: &mut PgConnection,
    keys: &BTreeSet<Key>,
    wanted: &BTreeSet<(Key, String)>,
) -> Result<u64, sqlx::Error> {
    if keys.is_empty() {
        return Ok(0);
    }
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
    .bind(stay.ids)
    .bind(stay.tenants)
    .bind(rotations)
    .fetch_all(&mut *connection)
    .await?;
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

/// Gives customers these rotations.
pub(super) async fn insert_names(
    connection: &mut PgConnection,
    wanted: &BTreeSet<(Key, String)>,
) -> Result<(), sqlx::Error> {
    if wanted.is_empty() {
        return Ok(());
    }
    let of = Customers::of(wanted.iter().map(|(key, _)| key));
    let rotations: Vec<&str> = wanted
        .iter()
        .map(|(_, rotation)| rotation.as_str())
        .collect();
    sqlx::query(
        "insert into customer_name (partition, tenant, customer_id, rotation)
         select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::text[])
         on conflict do nothing",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .bind(rotations)
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts customers into these blocks.
pub(super) async fn insert_blocks(
    connection: &mut PgConnection,
    wanted: &BTreeSet<(Key, String, ClaimId)>,
) -> Result<(), sqlx::Error> {
    if wanted.is_empty() {
        return Ok(());
    }
    let of = Customers::of(wanted.iter().map(|(key, _, _)| key));
    let blocks: Vec<&str> = wanted.iter().map(|(_, block, _)| block.as_str()).collect();
    let claims: Vec<Uuid> = wanted.iter().map(|(_, _, claim)| claim.0).collect();
    sqlx::query(
        "insert into customer_block (partition, tenant, customer_id, block, claim_id)
         select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::text[], $5::uuid[])
         on conflict do nothing",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .bind(blocks)
    .bind(claims)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes customers out of the blocks that follow from identifiers that they no longer have.
pub(super) async fn delete_claims(
    connection: &mut PgConnection,
    removed: &BTreeSet<(Key, ClaimId)>,
) -> Result<(), sqlx::Error> {
    if removed.is_empty() {
        return Ok(());
    }
    let of = Customers::of(removed.iter().map(|(key, _)| key));
    let claims: Vec<Uuid> = removed.iter().map(|(_, claim)| claim.0).collect();
    sqlx::query(
        "delete from customer_block b
         using unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[]) as gone (partition, tenant, customer_id, claim_id)
         where b.partition = gone.partition and b.tenant = gone.tenant and b.customer_id = gone.customer_id
            and b.claim_id = gone.claim_id",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .bind(claims)
    .execute(connection)
    .await?;
    Ok(())
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

/// Writes the segments of words that are new to their partition. A word comes and goes with all of its segments, so that one look at each
/// word is enough: most names are of words that many have.
pub(super) async fn insert_segments(
    connection: &mut PgConnection,
    words: &BTreeSet<(i16, TenantId, String)>,
) -> Result<(), sqlx::Error> {
    let new = new_words(connection, words).await?;
    let (mut partitions, mut tenants, mut texts, mut parts) = (vec![], vec![], vec![], vec![]);
    for (partition, tenant, word) in &new {
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

/// Those of these words that nobody of their partition has yet.
async fn new_words(
    connection: &mut PgConnection,
    words: &BTreeSet<(i16, TenantId, String)>,
) -> Result<Vec<(i16, String, String)>, sqlx::Error> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let (mut partitions, mut tenants, mut texts) = (vec![], vec![], vec![]);
    for (partition, tenant, word) in words {
        partitions.push(*partition);
        tenants.push(tenant.as_str());
        texts.push(word.as_str());
    }
    sqlx::query_as(
        "select * from unnest($1::smallint[], $2::text[], $3::text[]) as t (partition, tenant, word)
         where not exists (select from name_segment s
            where s.partition = t.partition and s.tenant = t.tenant and s.word = t.word)",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(texts)
    .fetch_all(connection)
    .await
}

/// Leaves these customers with no other block of sounds than these.
pub(super) async fn delete_sounds(
    connection: &mut PgConnection,
    keys: &BTreeSet<Key>,
    wanted: &BTreeSet<(Key, String, ClaimId)>,
) -> Result<(), sqlx::Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let of = Customers::of(keys);
    let stay = Customers::of(wanted.iter().map(|(key, _, _)| key));
    let blocks: Vec<&str> = wanted.iter().map(|(_, block, _)| block.as_str()).collect();
    sqlx::query(
        "delete from customer_block b using unnest($1::smallint[], $2::text[], $3::uuid[]) as named (partition, tenant, customer_id)
         where b.partition = named.partition and b.tenant = named.tenant and b.customer_id = named.customer_id
            and b.block like 's:%' and (b.customer_id, b.tenant, b.block) not in
                (select * from unnest($4::uuid[], $5::text[], $6::text[]) as stays (customer_id, tenant, block))",
    )
    .bind(of.partitions)
    .bind(of.tenants)
    .bind(of.ids)
    .bind(stay.ids)
    .bind(stay.tenants)
    .bind(blocks)
    .execute(connection)
    .await?;
    Ok(())
}
