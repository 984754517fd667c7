//! Customers who are one and the same: whoever asks for one of them asks for all.

use std::collections::BTreeSet;

use aggregate::{CustomerId, Partition, TenantId};
use sqlx::PgPool;
use uuid::Uuid;

/// A customer with those who are one and the same, each once. Somebody of whom the log of customers has told nothing is alone.
pub(crate) async fn group(
    pool: &PgPool,
    tenant: &TenantId,
    customer: CustomerId,
) -> Result<BTreeSet<CustomerId>, sqlx::Error> {
    let mut group = BTreeSet::new();
    let mut next = Some(customer);
    let mut came: Vec<Uuid> = Vec::new();
    // Nobody is merged into oneself, not through others either, so that a path ends. Whoever is on it counts: that the last one tells of
    // all others may not have been heard yet.
    while let Some(member) = next.take().filter(|member| group.insert(*member)) {
        let row: Option<(Option<Uuid>, Vec<Uuid>)> = sqlx::query_as(
            "select survivor_id, absorbed from known_customer where partition = $1 and tenant = $2 and customer_id = $3",
        )
        .bind(i16::from(Partition::of_customer(tenant, member).number()))
        .bind(tenant.as_str())
        .bind(member.0)
        .fetch_optional(pool)
        .await?;
        let (survivor, absorbed) = row.unwrap_or_default();
        came.extend(absorbed);
        next = survivor.map(CustomerId);
    }
    group.extend(came.into_iter().map(CustomerId));
    Ok(group)
}
