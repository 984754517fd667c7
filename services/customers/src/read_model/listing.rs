//! Pages of the list: which customers, in which order, and where a page goes on.

use aggregate::{CustomerId, TenantId};
use sqlx::{PgPool, Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::{
    ListedCustomer,
    filter::Condition,
    rows::{COLUMNS, listed},
};

/// By what a list is ordered. Both are there for every customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    RegisteredAt,
    StageSince,
}

impl Sort {
    fn column(self) -> &'static str {
        match self {
            Self::RegisteredAt => "registered_at",
            Self::StageSince => "stage_since",
        }
    }

    fn of(self, customer: &ListedCustomer) -> OffsetDateTime {
        match self {
            Self::RegisteredAt => customer.registered_at,
            Self::StageSince => customer.lifecycle.since,
        }
    }
}

/// The order of a list. Those who are equal in it follow their ids, in the direction of the last field, so that every order is total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    fields: Vec<Ordered>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ordered {
    sort: Sort,
    descending: bool,
}

/// Where a page ends: what its last customer has in the order's fields, and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) moments: Vec<OffsetDateTime>,
    pub(crate) customer: CustomerId,
}

impl Default for Order {
    fn default() -> Self {
        Self::by([(Sort::RegisteredAt, false)])
    }
}

impl Order {
    /// By these fields, each descending or not.
    pub(crate) fn by(fields: impl IntoIterator<Item = (Sort, bool)>) -> Self {
        let ordered = |(sort, descending)| Ordered { sort, descending };
        Self {
            fields: fields.into_iter().map(ordered).collect(),
        }
    }

    /// The place of a customer.
    pub(crate) fn place(&self, customer: &ListedCustomer) -> Place {
        let moments = self.fields.iter().map(|field| field.sort.of(customer));
        Place {
            moments: moments.collect(),
            customer: customer.customer,
        }
    }

    /// Whether a place is one of this order.
    pub(crate) fn has(&self, place: &Place) -> bool {
        self.fields.len() == place.moments.len()
    }

    fn ids_descend(&self) -> bool {
        self.fields.last().is_some_and(|field| field.descending)
    }

    /// Adds the condition that a row comes after `place`: it is beyond it in a field, and equal in those before. The first field bounds
    /// the scan of an index by itself.
    fn push_after(&self, sql: &mut QueryBuilder<Postgres>, place: &Place) {
        let beyond = |descending: bool| if descending { "<" } else { ">" };
        let fields = || self.fields.iter().zip(&place.moments);
        if let Some((first, moment)) = fields().next() {
            sql.push(" and list.").push(first.sort.column());
            sql.push(" ").push(beyond(first.descending)).push("= ");
            sql.push_bind(*moment);
        }
        sql.push(" and (");
        for last in 0..=self.fields.len() {
            sql.push(if last == 0 { "(" } else { " or (" });
            for (field, moment) in fields().take(last) {
                sql.push("list.").push(field.sort.column()).push(" = ");
                sql.push_bind(*moment).push(" and ");
            }
            if let Some((field, moment)) = fields().nth(last) {
                sql.push("list.").push(field.sort.column()).push(" ");
                sql.push(beyond(field.descending)).push(" ");
                sql.push_bind(*moment);
            } else {
                sql.push("list.customer_id ")
                    .push(beyond(self.ids_descend()));
                sql.push(" ").push_bind(place.customer.0);
            }
            sql.push(")");
        }
        sql.push(")");
    }

    fn push_order(&self, sql: &mut QueryBuilder<Postgres>) {
        let direction = |descending: bool| if descending { " desc" } else { "" };
        sql.push(" order by ");
        for field in &self.fields {
            sql.push("list.").push(field.sort.column());
            sql.push(direction(field.descending)).push(", ");
        }
        sql.push("list.customer_id")
            .push(direction(self.ids_descend()));
    }
}

/// The next `count` customers of a tenant after a place.
pub(crate) async fn page(
    pool: &PgPool,
    tenant: &TenantId,
    filter: Option<&Condition>,
    order: &Order,
    after: Option<&Place>,
    count: u32,
) -> Result<Vec<ListedCustomer>, sqlx::Error> {
    let mut sql = QueryBuilder::new("select ");
    sql.push(COLUMNS)
        .push(" from customer_list list where list.erased_at is null and list.survivor_id is null and list.tenant = ");
    sql.push_bind(tenant.as_str().to_owned());
    if let Some(place) = after {
        order.push_after(&mut sql, place);
    }
    if let Some(filter) = filter {
        sql.push(" and ");
        filter.push_to(&mut sql);
    }
    order.push_order(&mut sql);
    sql.push(" limit ").push_bind(i64::from(count));
    let rows = sql.build().fetch_all(pool).await?;
    rows.iter().map(listed).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_page_goes_on_beyond_its_place_in_every_direction() {
        let order = Order::by([(Sort::StageSince, true), (Sort::RegisteredAt, false)]);
        let moment = datetime!(2026-01-01 00:00 UTC);
        let place = Place {
            moments: vec![moment, moment],
            customer: CustomerId(Uuid::from_u128(1)),
        };
        assert!(order.has(&place) && !Order::default().has(&place));
        let mut sql = QueryBuilder::new("");
        order.push_after(&mut sql, &place);
        order.push_order(&mut sql);
        assert_eq!(
            sql.sql().as_str(),
            " and list.stage_since <= $1 and ((list.stage_since < $2) or (list.stage_since = $3 and list.registered_at > $4) \
             or (list.stage_since = $5 and list.registered_at = $6 and list.customer_id > $7)) \
             order by list.stage_since desc, list.registered_at, list.customer_id"
        );
    }
}
