//! The rows of `decision` and `decision_count`.

use std::collections::BTreeMap;

use aggregate::{CustomerId, TenantId};
use contracts::campaigns::v1 as pb;
use event_log::StoredEvent;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{corrupt, count};
use crate::{
    domain::{CampaignId, RecipientEvent, RefusalReason, Verdict},
    wire,
};

/// How many customers were decided on, by what was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) contacted: u32,
    pub(crate) held_out: u32,
    pub(crate) refused: BTreeMap<RefusalReason, u32>,
}

impl Counts {
    /// All customers decided on.
    pub(crate) fn decided(&self) -> u32 {
        self.contacted + self.held_out + self.refused.values().sum::<u32>()
    }
}

/// A decision as it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecisionRow {
    pub(crate) customer: CustomerId,
    pub(crate) verdict: Verdict,
    pub(crate) consent_event: Option<Uuid>,
    pub(crate) event_id: Uuid,
    pub(crate) decided_at: OffsetDateTime,
}

/// The counts of these campaigns; one without decisions is absent.
pub(crate) async fn counts(
    pool: &PgPool,
    tenant: &TenantId,
    campaigns: &[CampaignId],
) -> Result<BTreeMap<CampaignId, Counts>, sqlx::Error> {
    let ids: Vec<Uuid> = campaigns.iter().map(|id| id.0).collect();
    let rows: Vec<(Uuid, i16, i16, i64)> = sqlx::query_as(
        "select campaign_id, verdict, refusal_reason, sum(customers)::bigint from decision_count
         where tenant = $1 and campaign_id = any($2)
         group by campaign_id, verdict, refusal_reason",
    )
    .bind(tenant.as_str())
    .bind(ids)
    .fetch_all(pool)
    .await?;
    let mut counted: BTreeMap<CampaignId, Counts> = BTreeMap::new();
    for (id, verdict, reason, customers) in rows {
        let counts = counted.entry(CampaignId(id)).or_default();
        let customers = count(customers)?;
        match parse_verdict(verdict, reason)? {
            Verdict::Contact => counts.contacted = customers,
            Verdict::HoldOut => counts.held_out = customers,
            Verdict::Refused(reason) => {
                counts.refused.insert(reason, customers);
            }
        }
    }
    Ok(counted)
}

/// The next `limit` decisions of a campaign after a customer, in order of customer id.
pub(crate) async fn decision_page(
    pool: &PgPool,
    tenant: &TenantId,
    campaign: CampaignId,
    after: Option<CustomerId>,
    limit: u32,
) -> Result<Vec<DecisionRow>, sqlx::Error> {
    let rows: Vec<(Uuid, i16, i16, Option<Uuid>, Uuid, OffsetDateTime)> = sqlx::query_as(
        "select customer_id, verdict, refusal_reason, consent_event_id, event_id, decided_at from decision
         where tenant = $1 and campaign_id = $2 and ($3::uuid is null or customer_id > $3)
         order by customer_id
         limit $4",
    )
    .bind(tenant.as_str())
    .bind(campaign.0)
    .bind(after.map(|customer| customer.0))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(
            |(customer, verdict, reason, consent_event, event_id, decided_at)| {
                Ok(DecisionRow {
                    customer: CustomerId(customer),
                    verdict: parse_verdict(verdict, reason)?,
                    consent_event,
                    event_id,
                    decided_at,
                })
            },
        )
        .collect()
}

fn parse_verdict(verdict: i16, reason: i16) -> Result<Verdict, sqlx::Error> {
    match pb::Verdict::try_from(i32::from(verdict)) {
        Ok(pb::Verdict::Contact) => Ok(Verdict::Contact),
        Ok(pb::Verdict::Holdout) => Ok(Verdict::HoldOut),
        Ok(pb::Verdict::Refused) => wire::parse_refusal(reason.into())
            .map(Verdict::Refused)
            .ok_or_else(|| corrupt("refusal_reason")),
        Ok(pb::Verdict::Unspecified) | Err(_) => Err(corrupt("verdict")),
    }
}

/// The decisions of a batch of events.
#[derive(Default)]
pub(super) struct Changes {
    partition: Vec<i16>,
    tenant: Vec<String>,
    campaign_id: Vec<Uuid>,
    customer_id: Vec<Uuid>,
    verdict: Vec<i16>,
    refusal_reason: Vec<i16>,
    consent_event_id: Vec<Option<Uuid>>,
    event_id: Vec<Uuid>,
    decided_at: Vec<OffsetDateTime>,
}

impl Changes {
    pub(super) fn add(&mut self, stored: &StoredEvent, event: &RecipientEvent) {
        let decision = event.decision();
        let (verdict, reason) = wire::verdict(event.verdict());
        self.partition.push(stored.partition.number().into());
        self.tenant.push(stored.tenant.as_str().to_owned());
        self.campaign_id.push(decision.campaign.0);
        self.customer_id.push(decision.customer.0);
        self.verdict.push(wire::number(verdict));
        self.refusal_reason.push(wire::number(reason));
        self.consent_event_id.push(decision.evidence.consent_event);
        self.event_id.push(stored.event_id);
        self.decided_at.push(decision.decided_at);
    }

    /// Only rows that are new are counted, so that a batch that comes again changes nothing.
    pub(super) async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.tenant.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "with written as (
                insert into decision (partition, tenant, campaign_id, customer_id, verdict, refusal_reason, consent_event_id,
                    event_id, decided_at)
                select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::smallint[], $6::smallint[],
                    $7::uuid[], $8::uuid[], $9::timestamptz[])
                on conflict do nothing
                returning partition, tenant, campaign_id, verdict, refusal_reason
             )
             insert into decision_count as c (partition, tenant, campaign_id, verdict, refusal_reason, customers)
             select partition, tenant, campaign_id, verdict, refusal_reason, count(*)
             from written
             group by partition, tenant, campaign_id, verdict, refusal_reason
             order by partition, tenant, campaign_id, verdict, refusal_reason
             on conflict (partition, tenant, campaign_id, verdict, refusal_reason)
                do update set customers = c.customers + excluded.customers",
        )
        .bind(self.partition)
        .bind(self.tenant)
        .bind(self.campaign_id)
        .bind(self.customer_id)
        .bind(self.verdict)
        .bind(self.refusal_reason)
        .bind(self.consent_event_id)
        .bind(self.event_id)
        .bind(self.decided_at)
        .execute(connection)
        .await?;
        Ok(())
    }
}
