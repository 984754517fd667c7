//! Queries over fits and the scores that they gave.

use aggregate::{CustomerId, TenantId};
use contracts::segmentation::v1 as pb;
use prost::Message as _;
use sqlx::{PgExecutor, PgPool, Row as _, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::segments::{parsed_tenant, partition};
use crate::{
    codec,
    domain::{Fit, FitId, Rfm, Tier},
};

fn fit_of_row(bytes: &[u8]) -> Result<Fit, sqlx::Error> {
    let message = pb::Fit::decode(bytes).map_err(|error| sqlx::Error::Decode(error.into()))?;
    codec::fit::of_message(&message)
        .ok_or_else(|| sqlx::Error::Decode("a fit lacks its parameters".into()))
}

/// The newest fit by calibration end that has scored everyone.
pub(crate) async fn newest_fit(
    pool: &PgPool,
    tenant: &TenantId,
) -> Result<Option<Fit>, sqlx::Error> {
    let fit: Option<Vec<u8>> = sqlx::query_scalar(
        "select fit from fit where tenant = $1 and scored order by calibration_end desc, fitted_at desc, fit_id desc limit 1",
    )
    .bind(tenant.as_str())
    .fetch_optional(pool)
    .await?;
    fit.as_deref().map(fit_of_row).transpose()
}

/// Whether a fit has scored everyone.
pub(crate) async fn is_scored(
    pool: &PgPool,
    tenant: &TenantId,
    fit: FitId,
) -> Result<bool, sqlx::Error> {
    let scored: Option<bool> = sqlx::query_scalar(
        "select scored from fit where partition = $1 and tenant = $2 and fit_id = $3",
    )
    .bind(partition(tenant, fit.0))
    .bind(tenant.as_str())
    .bind(fit.0)
    .fetch_optional(pool)
    .await?;
    Ok(scored == Some(true))
}

/// Notes that a fit has scored everyone.
pub(crate) async fn mark_scored(
    executor: impl PgExecutor<'_>,
    tenant: &TenantId,
    fit: FitId,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update fit set scored = true where partition = $1 and tenant = $2 and fit_id = $3",
    )
    .bind(partition(tenant, fit.0))
    .bind(tenant.as_str())
    .bind(fit.0)
    .execute(executor)
    .await?;
    Ok(())
}

/// Fits whose scores have not reached everyone, oldest first.
pub(crate) async fn unscored(pool: &PgPool) -> Result<Vec<(TenantId, Fit)>, sqlx::Error> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "select tenant, fit from fit where not scored order by tenant, fitted_at, fit_id",
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(tenant, fit)| Ok((parsed_tenant(tenant)?, fit_of_row(&fit)?)))
        .collect()
}

/// What a fit said of a customer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScoreRow {
    pub(crate) customer: CustomerId,
    pub(crate) p_alive: f64,
    pub(crate) expected_purchases: f64,
    pub(crate) expected_value_minor: i64,
    pub(crate) value_at_risk_minor: i64,
    pub(crate) rfm: Rfm,
    pub(crate) tier: Tier,
}

const COLUMNS: &str = "customer_id, p_alive, expected_purchases, expected_value_minor, value_at_risk_minor, rfm_r, rfm_f, rfm_m, tier";

fn score_of_row(row: &PgRow) -> Result<ScoreRow, sqlx::Error> {
    let of_five = |column| {
        let score: i16 = row.try_get(column)?;
        u8::try_from(score).map_err(|error| sqlx::Error::Decode(error.into()))
    };
    let tier: &str = row.try_get("tier")?;
    Ok(ScoreRow {
        customer: CustomerId(row.try_get("customer_id")?),
        p_alive: row.try_get("p_alive")?,
        expected_purchases: row.try_get("expected_purchases")?,
        expected_value_minor: row.try_get("expected_value_minor")?,
        value_at_risk_minor: row.try_get("value_at_risk_minor")?,
        rfm: Rfm {
            recency: of_five("rfm_r")?,
            frequency: of_five("rfm_f")?,
            monetary: of_five("rfm_m")?,
        },
        tier: Tier::named(tier)
            .ok_or_else(|| sqlx::Error::Decode(format!("{tier} is no tier").into()))?,
    })
}

/// By which amount scored customers are ordered, largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    ExpectedValue,
    ValueAtRisk,
}

impl Order {
    fn column(self) -> &'static str {
        match self {
            Self::ExpectedValue => "expected_value_minor",
            Self::ValueAtRisk => "value_at_risk_minor",
        }
    }

    /// The amount by which a row is ordered.
    pub(crate) fn amount_minor(self, row: &ScoreRow) -> i64 {
        match self {
            Self::ExpectedValue => row.expected_value_minor,
            Self::ValueAtRisk => row.value_at_risk_minor,
        }
    }
}

/// The next `limit` customers that a fit scored, largest amount first, equal ones by id.
pub(crate) async fn page(
    pool: &PgPool,
    tenant: &TenantId,
    fit: FitId,
    order: Order,
    after: Option<(i64, Uuid)>,
    limit: u32,
) -> Result<Vec<ScoreRow>, sqlx::Error> {
    let amount = order.column();
    // Only the two column names above are put into the text.
    let sql = format!(
        "select {COLUMNS} from score where tenant = $1 and fit_id = $2
            and ($3::bigint is null or {amount} < $3 or ({amount} = $3 and customer_id > $4))
         order by {amount} desc, customer_id limit $5"
    );
    let (amount_minor, customer) = after.unzip();
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(tenant.as_str())
        .bind(fit.0)
        .bind(amount_minor)
        .bind(customer)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    rows.iter().map(score_of_row).collect()
}

/// The scores of a customer by the newest calibration end that is not after a moment.
pub(crate) async fn newest_score(
    pool: &PgPool,
    tenant: &TenantId,
    customer: CustomerId,
    by: OffsetDateTime,
) -> Result<Option<ScoreRow>, sqlx::Error> {
    let row = sqlx::query(
        "select s.customer_id, s.p_alive, s.expected_purchases, s.expected_value_minor, s.value_at_risk_minor, s.rfm_r,
            s.rfm_f, s.rfm_m, s.tier
         from valuation v
         join score s on s.partition = v.partition and s.tenant = v.tenant and s.fit_id = v.fit_id
            and s.customer_id = v.customer_id
         where v.tenant = $1 and v.customer_id = $2 and v.calibration_end <= $3
         order by v.calibration_end desc limit 1",
    )
    .bind(tenant.as_str())
    .bind(customer.0)
    .bind(by)
    .fetch_optional(pool)
    .await?;
    row.as_ref().map(score_of_row).transpose()
}

/// Customers and expected value of each tier that a fit gave.
pub(crate) async fn tiers(
    pool: &PgPool,
    tenant: &TenantId,
    fit: FitId,
) -> Result<Vec<(Tier, i64, i64)>, sqlx::Error> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "select tier, count(*), sum(expected_value_minor)::bigint from score
         where tenant = $1 and fit_id = $2 group by tier",
    )
    .bind(tenant.as_str())
    .bind(fit.0)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(tier, customers, value_minor)| {
            let known = Tier::named(&tier)
                .ok_or_else(|| sqlx::Error::Decode(format!("{tier} is no tier").into()))?;
            Ok((known, customers, value_minor))
        })
        .collect()
}
