//! Purchases as the value models take them, and the measures of customers.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use aggregate::{CustomerId, TenantId};
use futures::TryStreamExt as _;
use sqlx::{PgExecutor, PgPool, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

use super::mergers;
use crate::domain::{History, models::Purchase};

/// The purchases of all customers of a tenant.
#[derive(Debug, Default)]
pub(crate) struct Histories {
    /// In the order of customer ids.
    pub(crate) histories: Vec<History>,
    /// Currencies of purchases and returns by the end of calibration.
    pub(crate) currencies: BTreeSet<String>,
}

/// Purchases up to and including `until`, with sums by `calibration_end`; those of whoever was merged into another stand under the one who
/// goes on. The day on which calibration ends is calibration: what
/// was bought on it, but later, is left out.
pub(crate) async fn histories(
    pool: &PgPool,
    tenant: &TenantId,
    calibration_end: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Histories, sqlx::Error> {
    let mut rows = sqlx::query_as::<_, (Uuid, bool, OffsetDateTime, i64, Option<i64>, String)>(
        "select customer_id, kind = 'return', occurred_at, amount_minor, margin_minor, currency
         from purchase_fact where tenant = $1 and occurred_at <= $2 order by customer_id, occurred_at, purchase_id",
    )
    .bind(tenant.as_str())
    .bind(until)
    .fetch(pool);
    let end_day = calibration_end.to_julian_day();
    let mut found = Histories::default();
    while let Some((customer, is_return, occurred_at, amount_minor, margin_minor, currency)) =
        rows.try_next().await?
    {
        let customer = CustomerId(customer);
        if found
            .histories
            .last()
            .is_none_or(|last| last.customer != customer)
        {
            found.histories.push(History {
                customer,
                purchases: Vec::new(),
                monetary_minor: 0,
                margin_minor: Some(0),
            });
        }
        let history = found.histories.last_mut().expect("one was just put there");
        let day = occurred_at.to_offset(time::UtcOffset::UTC).to_julian_day();
        let in_time = occurred_at <= calibration_end;
        if in_time {
            let sign = if is_return { -1 } else { 1 };
            history.monetary_minor = history.monetary_minor.saturating_add(sign * amount_minor);
            history.margin_minor = history
                .margin_minor
                .zip(margin_minor)
                .map(|(sum, margin)| sum.saturating_add(sign * margin));
            if !found.currencies.contains(&currency) {
                found.currencies.insert(currency);
            }
        }
        if !is_return && (in_time || day > end_day) {
            history.purchases.push(Purchase { day, amount_minor });
        }
    }
    drop(rows);
    found.histories = joined(found.histories, &mergers::survivors(pool, tenant).await?);
    found
        .histories
        .retain(|history| !history.purchases.is_empty());
    Ok(found)
}

/// The same histories, one of each group. They are joined here and not by the query, which reads by the index, in order.
fn joined(histories: Vec<History>, survivors: &BTreeMap<CustomerId, CustomerId>) -> Vec<History> {
    if survivors.is_empty() {
        return histories;
    }
    let mut joined: BTreeMap<CustomerId, History> = BTreeMap::new();
    for mut history in histories {
        if let Some(survivor) = survivors.get(&history.customer) {
            history.customer = *survivor;
        }
        match joined.entry(history.customer) {
            Entry::Vacant(vacant) => {
                vacant.insert(history);
            }
            Entry::Occupied(mut occupied) => {
                let all = occupied.get_mut();
                all.monetary_minor = all.monetary_minor.saturating_add(history.monetary_minor);
                let margins = all.margin_minor.zip(history.margin_minor);
                all.margin_minor = margins.map(|(sum, margin)| sum.saturating_add(margin));
                all.purchases.extend(history.purchases);
                all.purchases.sort_by_key(|purchase| purchase.day);
            }
        }
    }
    joined.into_values().collect()
}

/// What a customer has bought by a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Measures {
    pub(crate) first_purchase_at: Option<OffsetDateTime>,
    pub(crate) last_purchase_at: Option<OffsetDateTime>,
    pub(crate) purchases: i64,
    pub(crate) purchase_days: i64,
    pub(crate) monetary_minor: i64,
    pub(crate) margin_minor: Option<i64>,
    /// Empty when there are several, or none.
    pub(crate) currency_code: String,
}

/// Measures of these customers by a moment, those who were merged into one of them counted with it; those without purchases and returns are
/// left out.
pub(crate) async fn measures(
    executor: impl PgExecutor<'_>,
    tenant: &TenantId,
    customers: &[CustomerId],
    by: OffsetDateTime,
) -> Result<BTreeMap<CustomerId, Measures>, sqlx::Error> {
    let ids: Vec<Uuid> = customers.iter().map(|customer| customer.0).collect();
    let rows = sqlx::query(
        "select asked.customer_id,
            min(occurred_at) filter (where p.kind = 'purchase') as first_purchase_at,
            max(occurred_at) filter (where p.kind = 'purchase') as last_purchase_at,
            count(*) filter (where p.kind = 'purchase') as purchases,
            count(distinct (occurred_at at time zone 'UTC')::date) filter (where p.kind = 'purchase') as purchase_days,
            sum(case p.kind when 'return' then -amount_minor else amount_minor end)::bigint as monetary_minor,
            case when bool_and(margin_minor is not null)
                then sum(case p.kind when 'return' then -margin_minor else margin_minor end)::bigint end as margin_minor,
            case when min(currency) = max(currency) then min(currency) else '' end as currency_code
         from unnest($2::uuid[]) as asked (customer_id)
         left join customer_fact c on c.tenant = $1 and c.customer_id = asked.customer_id
         join purchase_fact p on p.tenant = $1 and p.customer_id = any(asked.customer_id || coalesce(c.absorbed, '{}'))
            and p.occurred_at <= $3
         group by asked.customer_id",
    )
    .bind(tenant.as_str())
    .bind(ids)
    .bind(by)
    .fetch_all(executor)
    .await?;
    rows.iter()
        .map(|row| {
            let measures = Measures {
                first_purchase_at: row.try_get("first_purchase_at")?,
                last_purchase_at: row.try_get("last_purchase_at")?,
                purchases: row.try_get("purchases")?,
                purchase_days: row.try_get("purchase_days")?,
                monetary_minor: row.try_get("monetary_minor")?,
                margin_minor: row.try_get("margin_minor")?,
                currency_code: row.try_get("currency_code")?,
            };
            Ok((CustomerId(row.try_get("customer_id")?), measures))
        })
        .collect()
}

/// Whether anything is known of a customer.
pub(crate) async fn is_known(
    pool: &PgPool,
    tenant: &TenantId,
    customer: CustomerId,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from customer_fact where tenant = $1 and customer_id = $2)
            or exists (select from purchase_fact where tenant = $1 and customer_id = $2)",
    )
    .bind(tenant.as_str())
    .bind(customer.0)
    .fetch_one(pool)
    .await
}
