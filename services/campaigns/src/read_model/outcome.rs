//! What the arms of a campaign did: decisions joined with the purchases that followed.

use aggregate::TenantId;
use contracts::campaigns::v1 as pb;
use sqlx::{PgPool, Row as _};
use time::OffsetDateTime;

use super::{corrupt, count};
use crate::{domain::CampaignId, react::KIND_PURCHASE, wire};

/// What one arm did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ArmTotals {
    pub(crate) customers: u32,
    pub(crate) buyers: u32,
    pub(crate) purchases: u32,
    /// Purchases less returns.
    pub(crate) revenue_minor: i64,
}

/// What both arms did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) contacted: ArmTotals,
    pub(crate) held_out: ArmTotals,
    /// Currency of all amounts; empty when there were none.
    pub(crate) currency_code: String,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutcomeError {
    /// Amounts of different currencies have no sum.
    #[error("the purchases are in several currencies: {} and {}", .0[0], .0[1])]
    MixedCurrencies([String; 2]),
    /// PostgreSQL refused or did not answer.
    #[error("the outcome cannot be read")]
    Database(#[from] sqlx::Error),
}

/// Purchases and returns after `after` and up to and including `until`, by arm. Those of whoever was merged into a recipient are the
/// recipient's, unless the campaign decided for that one too: then they stay where they were decided about, so that none counts twice.
pub(crate) async fn outcome(
    pool: &PgPool,
    tenant: &TenantId,
    campaign: CampaignId,
    after: OffsetDateTime,
    until: OffsetDateTime,
) -> Result<Outcome, OutcomeError> {
    let contact = wire::number(pb::Verdict::Contact);
    let holdout = wire::number(pb::Verdict::Holdout);
    let rows = sqlx::query(
        "select d.verdict, count(*) as customers, count(*) filter (where p.purchases > 0) as buyers,
            coalesce(sum(p.purchases), 0)::bigint as purchases, coalesce(sum(p.revenue_minor), 0)::bigint as revenue_minor,
            min(p.first_currency) as first_currency, max(p.last_currency) as last_currency
         from decision d
         cross join lateral (
            select count(*) filter (where kind = $7) as purchases,
                sum(case when kind = $7 then amount_minor else -amount_minor end) as revenue_minor,
                min(currency_code) as first_currency, max(currency_code) as last_currency
            from (
                select d.partition, d.customer_id
                union all
                select a.absorbed_partition, a.absorbed_id from absorbed a
                where a.partition = d.partition and a.tenant = d.tenant and a.customer_id = d.customer_id
                    and not exists (
                        select from decision o
                        where o.partition = a.absorbed_partition and o.tenant = d.tenant and o.campaign_id = d.campaign_id
                            and o.customer_id = a.absorbed_id and o.verdict in ($5, $6)
                    )
                    and not coalesce((
                        select m.survivor_id is not null from merger m
                        where m.partition = d.partition and m.tenant = d.tenant and m.customer_id = d.customer_id
                        order by m.effective_at desc, m.position desc limit 1
                    ), false)
            ) g
            join purchase b on b.partition = g.partition and b.tenant = d.tenant and b.customer_id = g.customer_id
                and b.occurred_at > $3 and b.occurred_at <= $4
         ) p
         where d.tenant = $1 and d.campaign_id = $2 and d.verdict in ($5, $6)
         group by d.verdict",
    )
    .bind(tenant.as_str())
    .bind(campaign.0)
    .bind(after)
    .bind(until)
    .bind(contact)
    .bind(holdout)
    .bind(KIND_PURCHASE)
    .fetch_all(pool)
    .await?;
    let mut outcome = Outcome::default();
    let mut currencies = std::collections::BTreeSet::new();
    for row in &rows {
        let number = |column: &str| count(row.try_get(column)?);
        let totals = ArmTotals {
            customers: number("customers")?,
            buyers: number("buyers")?,
            purchases: number("purchases")?,
            revenue_minor: row.try_get("revenue_minor")?,
        };
        match row.try_get::<i16, _>("verdict")? {
            verdict if verdict == contact => outcome.contacted = totals,
            verdict if verdict == holdout => outcome.held_out = totals,
            _ => return Err(corrupt("verdict").into()),
        }
        for column in ["first_currency", "last_currency"] {
            currencies.extend(row.try_get::<Option<String>, _>(column)?);
        }
    }
    let mut currencies = currencies.into_iter();
    match (currencies.next(), currencies.next()) {
        (Some(one), Some(other)) => Err(OutcomeError::MixedCurrencies([one, other])),
        (one, _) => {
            outcome.currency_code = one.unwrap_or_default();
            Ok(outcome)
        }
    }
}
