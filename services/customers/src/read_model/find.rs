//! Customers who are looked for: those whose names begin so, in the order of an index; those whose names are some typing errors away; one by its id.

mod typos;

use std::ops::Range;

use aggregate::{CustomerId, TenantId};
use sqlx::{PgPool, Postgres, QueryBuilder, Row as _};
use uuid::Uuid;

use super::{
    ListedCustomer,
    filter::Condition,
    rows::{COLUMNS, listed, partition_of},
};
use crate::domain::matching::NameWords;

pub(crate) use typos::by_typos;

/// A customer who was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) customer: ListedCustomer,
    /// Where it stands among those who are found.
    pub(crate) rank: Rank,
}

/// The order of those who are found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// Typing errors between what is looked for and the name.
    pub(crate) typos: usize,
    pub(crate) rotation: String,
    pub(crate) customer: Uuid,
}

/// What the rotations that begin with this text are between.
fn beginning(text: &str) -> Range<String> {
    text.to_owned()..format!("{text}\u{10ffff}")
}

/// The next `count` customers after a rank each of whose names has a word that begins with a word of what is looked for, in whatever order.
pub(crate) async fn by_prefix(
    pool: &PgPool,
    tenant: &TenantId,
    looked_for: &NameWords,
    filter: Option<&Condition>,
    after: Option<&Rank>,
    count: u32,
) -> Result<Vec<Found>, sqlx::Error> {
    // Fewer customers have a long word than a short one.
    let words = looked_for.as_slice().iter().enumerate();
    let Some((driver, longest)) = words.max_by_key(|(_, word)| word.chars().count()) else {
        return Ok(Vec::new());
    };
    let Range { start, end } = beginning(longest);
    let mut sql = QueryBuilder::<Postgres>::new("select n.rotation, ");
    sql.push(COLUMNS);
    sql.push(" from customer_name n join customer_list list using (partition, tenant, customer_id) where n.tenant = ");
    sql.push_bind(tenant.as_str().to_owned());
    sql.push(" and n.rotation >= ").push_bind(start.clone());
    sql.push(" and n.rotation < ").push_bind(end);
    for (number, word) in looked_for.as_slice().iter().enumerate() {
        if number != driver {
            // Folded words have letters and digits alone, so nothing in them is a pattern.
            sql.push(" and ' ' || n.rotation like ")
                .push_bind(format!("% {word}%"));
        }
    }
    if let Some(after) = after {
        sql.push(" and n.rotation >= ")
            .push_bind(after.rotation.clone());
        sql.push(" and (n.rotation > ")
            .push_bind(after.rotation.clone());
        sql.push(" or n.customer_id > ")
            .push_bind(after.customer)
            .push(")");
    }
    // Whoever has two words that begin so stands in the order with the first of them alone.
    sql.push(
        " and not exists (select from customer_name first where first.partition = n.partition and first.tenant = n.tenant
            and first.customer_id = n.customer_id and first.rotation < n.rotation and first.rotation >= ",
    );
    sql.push_bind(start).push(")");
    if let Some(filter) = filter {
        sql.push(" and ");
        filter.push_to(&mut sql);
    }
    sql.push(" order by n.rotation, n.customer_id limit ")
        .push_bind(i64::from(count));
    let rows = sql.build().fetch_all(pool).await?;
    rows.iter()
        .map(|row| {
            let customer = listed(row)?;
            let rank = Rank {
                typos: 0,
                rotation: row.try_get("rotation")?,
                customer: customer.customer.0,
            };
            Ok(Found { customer, rank })
        })
        .collect()
}

/// A customer by its id, if the filter takes it.
pub(crate) async fn by_id(
    pool: &PgPool,
    tenant: &TenantId,
    customer: CustomerId,
    filter: Option<&Condition>,
) -> Result<Vec<Found>, sqlx::Error> {
    let mut sql = QueryBuilder::<Postgres>::new("select ");
    sql.push(COLUMNS)
        .push(" from customer_list list where list.partition = ");
    sql.push_bind(partition_of(tenant, customer))
        .push(" and list.tenant = ");
    sql.push_bind(tenant.as_str().to_owned())
        .push(" and list.customer_id = ");
    sql.push_bind(customer.0);
    if let Some(filter) = filter {
        sql.push(" and ");
        filter.push_to(&mut sql);
    }
    let rows = sql.build().fetch_all(pool).await?;
    let found = |row| {
        let rank = Rank {
            typos: 0,
            rotation: String::new(),
            customer: customer.0,
        };
        Ok(Found {
            customer: listed(row)?,
            rank,
        })
    };
    rows.iter().map(found).collect()
}
