//! Customers whose names are some typing errors away from what is looked for, nearest first.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
};

use aggregate::{CustomerId, TenantId};
use sqlx::{PgPool, Postgres, QueryBuilder, Row as _};
use uuid::Uuid;

use super::{Found, Rank};
use crate::{
    domain::matching::{NameWords, query_segments, typos},
    read_model::{ListedCustomer, filter::Condition, rows::some, search::customer_of},
};

/// Most customers that are ranked by typing errors: pages of a search end there.
const RANKED_MAX: u32 = 1000;
/// As many of a word are counted to find out which of several words fewer customers have.
const COUNTED_MAX: i64 = 10_000;

/// The words of the tenant's names that may be meant by each word that is looked for, with the typing errors between.
type Meant = Vec<BTreeMap<String, usize>>;

/// The next `count` customers after a rank, of the first [`RANKED_MAX`] each of whose names has, for every word that is looked for, a word that
/// may be meant by it.
pub(crate) async fn by_typos(
    pool: &PgPool,
    tenant: &TenantId,
    looked_for: &NameWords,
    filter: Option<&Condition>,
    after: Option<&Rank>,
    count: u32,
) -> Result<Vec<Found>, sqlx::Error> {
    let ranked = ranked(pool, tenant, looked_for, filter).await?;
    let ranked = ranked
        .into_iter()
        .filter(|rank| after.is_none_or(|after| rank > after));
    let ranks: Vec<Rank> = ranked.take(count as usize).collect();
    let ids: Vec<CustomerId> = ranks.iter().map(|rank| CustomerId(rank.customer)).collect();
    let rows = some(pool, tenant, &ids).await?;
    let mut rows: HashMap<Uuid, ListedCustomer> =
        rows.into_iter().map(|row| (row.customer.0, row)).collect();
    let found = ranks.into_iter().filter_map(|rank| {
        let customer = rows.remove(&rank.customer)?;
        Some(Found { customer, rank })
    });
    Ok(found.collect())
}

/// At most [`RANKED_MAX`] of those who may be meant, in their order.
async fn ranked(
    pool: &PgPool,
    tenant: &TenantId,
    looked_for: &NameWords,
    filter: Option<&Condition>,
) -> Result<Vec<Rank>, sqlx::Error> {
    let meant = meant(pool, tenant, looked_for).await?;
    if meant.iter().any(BTreeMap::is_empty) {
        return Ok(Vec::new());
    }
    let driver = fewest(pool, tenant, &meant).await?;
    let most = meant[driver].values().max().copied().unwrap_or(0);
    let mut best: HashMap<Uuid, Rank> = HashMap::new();
    for errors in 0..=most {
        for rank in of_level(pool, tenant, &meant, driver, errors, filter).await? {
            match best.get(&rank.customer) {
                Some(other) if *other <= rank => {}
                Some(_) | None => drop(best.insert(rank.customer, rank)),
            }
        }
        if best.len() >= RANKED_MAX as usize {
            break;
        }
    }
    let mut ranked: Vec<Rank> = best.into_values().collect();
    ranked.sort_unstable();
    ranked.truncate(RANKED_MAX as usize);
    Ok(ranked)
}

async fn meant(
    pool: &PgPool,
    tenant: &TenantId,
    looked_for: &NameWords,
) -> Result<Meant, sqlx::Error> {
    let segments: BTreeSet<String> = looked_for
        .as_slice()
        .iter()
        .flat_map(|word| query_segments(word))
        .collect();
    let segments: Vec<String> = segments.into_iter().collect();
    let words: Vec<String> = sqlx::query_scalar(
        "select distinct word from name_segment where tenant = $1 and segment = any($2)",
    )
    .bind(tenant.as_str())
    .bind(segments)
    .fetch_all(pool)
    .await?;
    let of = |looked_for: &String| {
        let near = words
            .iter()
            .filter_map(|word| Some((word.clone(), typos(looked_for, word)?)));
        near.collect()
    };
    Ok(looked_for.as_slice().iter().map(of).collect())
}

/// Which of the words that are looked for fewer customers have than any other, about.
async fn fewest(pool: &PgPool, tenant: &TenantId, meant: &Meant) -> Result<usize, sqlx::Error> {
    if meant.len() < 2 {
        return Ok(0);
    }
    let (mut numbers, mut starts, mut ends) = (vec![], vec![], vec![]);
    for (number, words) in meant.iter().enumerate() {
        for word in words.keys() {
            let Range { start, end } = whole(word);
            numbers.push(i32::try_from(number).unwrap_or(i32::MAX));
            starts.push(start);
            ends.push(end);
        }
    }
    let number: Option<i32> = sqlx::query_scalar(
        "select number from unnest($2::int[], $3::text[], $4::text[]) as word (number, low, high)
         cross join lateral (select count(*) as count from
            (select from customer_name n where n.tenant = $1 and n.rotation >= low and n.rotation < high limit $5) as counted) as counts
         group by number order by sum(counts.count), number limit 1",
    )
    .bind(tenant.as_str())
    .bind(numbers)
    .bind(starts)
    .bind(ends)
    .bind(COUNTED_MAX)
    .fetch_optional(pool)
    .await?;
    Ok(number
        .and_then(|number| usize::try_from(number).ok())
        .unwrap_or(0))
}

/// Those in whose name the driving word has so many errors and every other word is one that may be meant.
async fn of_level(
    pool: &PgPool,
    tenant: &TenantId,
    meant: &Meant,
    driver: usize,
    errors: usize,
    filter: Option<&Condition>,
) -> Result<Vec<Rank>, sqlx::Error> {
    let words = meant[driver]
        .iter()
        .filter(|(_, of_word)| **of_word == errors);
    let (starts, ends): (Vec<String>, Vec<String>) = words
        .map(|(word, _)| whole(word))
        .map(|Range { start, end }| (start, end))
        .unzip();
    if starts.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql =
        QueryBuilder::<Postgres>::new("select found.rotation, found.customer_id from unnest(");
    sql.push_bind(starts).push("::text[], ").push_bind(ends);
    sql.push("::text[]) as word (low, high) cross join lateral (select n.rotation, n.customer_id from customer_name n");
    if filter.is_some() {
        sql.push(" join customer_list list using (partition, tenant, customer_id)");
    }
    sql.push(" where n.tenant = ")
        .push_bind(tenant.as_str().to_owned());
    sql.push(" and n.rotation >= word.low and n.rotation < word.high");
    for (number, words) in meant.iter().enumerate() {
        if number != driver {
            let words: Vec<String> = words.keys().cloned().collect();
            sql.push(" and string_to_array(n.rotation, ' ') && ")
                .push_bind(words);
        }
    }
    if let Some(filter) = filter {
        sql.push(" and ");
        filter.push_to(&mut sql);
    }
    sql.push(" order by n.rotation, n.customer_id limit ")
        .push_bind(i64::from(RANKED_MAX));
    sql.push(") as found limit ")
        .push_bind(i64::from(RANKED_MAX));
    let rows = sql.build().fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let rotation: String = row.try_get("rotation")?;
            Ok(Rank {
                typos: errors_of(meant, driver, &rotation),
                customer: customer_of(row)?.0,
                rotation,
            })
        })
        .collect()
}

/// The typing errors between all that is looked for and a name that begins with the driving word.
fn errors_of(meant: &Meant, driver: usize, rotation: &str) -> usize {
    let of = |number: usize, words: &BTreeMap<String, usize>| {
        let named = rotation.split(' ').filter(|word| !word.is_empty());
        let looked_at = if number == driver { 1 } else { usize::MAX };
        named
            .take(looked_at)
            .filter_map(|word| words.get(word))
            .min()
            .copied()
    };
    meant
        .iter()
        .enumerate()
        .map(|(number, words)| of(number, words).unwrap_or(0))
        .sum()
}

/// What the rotations that begin with this whole word are between: behind the space comes the exclamation mark.
fn whole(word: &str) -> Range<String> {
    format!("{word} ")..format!("{word}!")
}
