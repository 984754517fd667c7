//! Histories of what holds of a customer: of all that took effect by a moment the latest counts, and of the same moment what was told later.

use std::collections::HashSet;

use aggregate::{CustomerId, Partition, TenantId};
use sqlx::{PgPool, Postgres, QueryBuilder};
use time::OffsetDateTime;
use uuid::Uuid;

/// A table with `partition`, `tenant`, `customer_id`, `effective_at`, `position`, and what says whether it holds from then on.
#[derive(Clone, Copy, Debug)]
pub(super) struct History {
    pub(super) table: &'static str,
    /// True of a row `latest` from which on it holds.
    pub(super) holds: &'static str,
}

impl History {
    /// Those of these customers of whom it holds, by all that is known or by what was in effect at a moment (inclusive).
    pub(super) async fn holds_at(
        self,
        pool: &PgPool,
        tenant: &TenantId,
        customers: &[CustomerId],
        moment: Option<OffsetDateTime>,
    ) -> Result<HashSet<CustomerId>, sqlx::Error> {
        let partitions: Vec<i16> = customers
            .iter()
            .map(|customer| Partition::of_customer(tenant, *customer).number().into())
            .collect();
        let ids: Vec<Uuid> = customers.iter().map(|customer| customer.0).collect();
        let mut sql = QueryBuilder::<Postgres>::new("select asked.customer_id from unnest(");
        sql.push_bind(partitions).push("::smallint[], ");
        sql.push_bind(ids)
            .push("::uuid[]) as asked (partition, customer_id) cross join lateral (select * from ")
            .push(self.table)
            .push(" where partition = asked.partition and customer_id = asked.customer_id and tenant = ")
            .push_bind(tenant.as_str().to_owned());
        if let Some(moment) = moment {
            sql.push(" and effective_at <= ").push_bind(moment);
        }
        sql.push(" order by effective_at desc, position desc limit 1) latest where ")
            .push(self.holds);
        let rows: Vec<Uuid> = sql.build_query_scalar().fetch_all(pool).await?;
        Ok(rows.into_iter().map(CustomerId).collect())
    }
}
