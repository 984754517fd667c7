//! Who may be the same as a customer: whoever stands in a block with it, by name, by sound or by identifier.

use std::collections::BTreeMap;

use aggregate::{CustomerId, TenantId};
use event_log::{EventLog, LogError};
use sqlx::Row as _;

use super::search::{IDENTIFIER_BLOCK, customer_of, identifier_blocks, sound_block};
use crate::domain::{
    Customer,
    matching::NameWords,
    profile::{Kind, Profile},
};

/// Most customers that are compared of one block: a block of more is of a name that says little by itself.
const BLOCK_MEMBERS_MAX: i64 = 500;
/// Letters of the second name by which two names are in one block.
const SECOND_NAME_CHARS: usize = 2;

/// The customers who share a block with one, and whether that is the block of an identifier.
pub(crate) async fn candidates(
    log: &EventLog,
    tenant: &TenantId,
    id: CustomerId,
    customer: &Customer,
) -> Result<BTreeMap<CustomerId, bool>, LogError> {
    let Some(registration) = customer.registration() else {
        return Ok(BTreeMap::new());
    };
    let profile = customer.profile();
    let mut blocks: Vec<String> = sound_block(registration.kind, profile)
        .into_iter()
        .collect();
    for owned in customer.identifiers() {
        if let Some(identifier) = &owned.identifier {
            blocks.extend(identifier_blocks(log, tenant, identifier).await?);
        }
    }
    let (starts, ends): (Vec<String>, Vec<String>) =
        name_blocks(registration.kind, profile).into_iter().unzip();
    let rows = sqlx::query(
        "select shared.customer_id, wanted.block from unnest($2::text[]) as wanted (block)
         cross join lateral (select b.customer_id from customer_block b
            where b.tenant = $1 and b.block = wanted.block and b.customer_id <> $5 order by b.customer_id limit $6) as shared
         union all
         select named.customer_id, '' from unnest($3::text[], $4::text[]) as name (low, high)
         cross join lateral (select n.customer_id from customer_name n
            where n.tenant = $1 and n.rotation >= name.low and n.rotation < name.high and n.customer_id <> $5
            order by n.rotation, n.customer_id limit $6) as named",
    )
    .bind(tenant.as_str())
    .bind(blocks)
    .bind(starts)
    .bind(ends)
    .bind(id.0)
    .bind(BLOCK_MEMBERS_MAX)
    .fetch_all(log.pool())
    .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let block: String = row.try_get("block")?;
        *found.entry(customer_of(&row)?).or_default() |= block.starts_with(IDENTIFIER_BLOCK);
    }
    Ok(found)
}

/// What rotations of names that may be the same are between: one name as it is, and how the other begins. A typing error in one of the two
/// leaves one of these.
fn name_blocks(kind: Kind, profile: &Profile) -> Vec<(String, String)> {
    let pairs = match kind {
        Kind::Person => {
            let given = NameWords::of_name(profile.given_name.as_ref());
            let family = NameWords::of_name(profile.family_name.as_ref());
            let (given, family) = (given.as_slice(), family.as_slice());
            match (given.first(), family.last()) {
                (Some(given), Some(family)) => {
                    vec![
                        (family.clone(), given.clone()),
                        (given.clone(), family.clone()),
                    ]
                }
                (Some(only), None) | (None, Some(only)) => vec![(only.clone(), String::new())],
                (None, None) => Vec::new(),
            }
        }
        Kind::Business => {
            let legal = NameWords::of_name(profile.legal_name.as_ref());
            let mut words = legal.as_slice().iter().cloned();
            let first = words.next();
            first
                .map(|first| (first, words.next().unwrap_or_default()))
                .into_iter()
                .collect()
        }
    };
    let range = |(first, second): (String, String)| {
        let begun: String = second.chars().take(SECOND_NAME_CHARS).collect();
        (
            format!("{first} {begun}"),
            format!("{first} {begun}\u{10ffff}"),
        )
    };
    pairs.into_iter().map(range).collect()
}
