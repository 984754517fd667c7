//! The rows of `campaign`.

use aggregate::TenantId;
use contracts::campaigns::v1::CampaignState as PbState;
use event_log::StoredEvent;
use sqlx::{PgConnection, PgPool, Row as _, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use super::corrupt;
use crate::{
    domain::{
        CampaignEvent, CampaignId, CampaignState, Description, HoldoutShare, Name, Offer, Plan,
        SegmentId,
    },
    wire,
};

/// A campaign as it is listed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CampaignRow {
    pub(crate) id: CampaignId,
    pub(crate) plan: Plan,
    pub(crate) state: CampaignState,
    pub(crate) created_at: OffsetDateTime,
}

/// Where a page of the newest campaigns ends: the place of its last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewestPlace {
    pub(crate) created_at: OffsetDateTime,
    pub(crate) campaign_id: Uuid,
}

/// A campaign whose decisions are still to be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DecidingCampaign {
    pub(crate) tenant: TenantId,
    pub(crate) id: CampaignId,
}

/// The next `limit` campaigns of the tenant after a place, newest first.
pub(crate) async fn newest_page(
    pool: &PgPool,
    tenant: &TenantId,
    after: Option<NewestPlace>,
    limit: u32,
) -> Result<Vec<CampaignRow>, sqlx::Error> {
    let rows = sqlx::query(
        "select campaign_id, name, goal, segment_id, offer_name, offer_description, offer_cost_minor, offer_currency_code,
            channel, purpose, holdout_share, seed, state, effective_at, retrospective, segment_rule_version, created_at
         from campaign
         where tenant = $1 and ($2::timestamptz is null or (created_at, campaign_id) < ($2, $3))
         order by created_at desc, campaign_id desc
         limit $4",
    )
    .bind(tenant.as_str())
    .bind(after.map(|place| place.created_at))
    .bind(after.map(|place| place.campaign_id))
    .bind(i64::from(limit))
    .fetch_all(pool)
    .await?;
    rows.iter().map(campaign).collect()
}

/// All campaigns whose decisions are still to be made, of all tenants.
pub(crate) async fn deciding(pool: &PgPool) -> Result<Vec<DecidingCampaign>, sqlx::Error> {
    let rows: Vec<(String, Uuid)> = sqlx::query_as(
        "select tenant, campaign_id from campaign where state = 2 order by tenant, campaign_id",
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(tenant, id)| {
            Ok(DecidingCampaign {
                tenant: TenantId::parse(&tenant).map_err(|_| corrupt("tenant"))?,
                id: CampaignId(id),
            })
        })
        .collect()
}

fn campaign(row: &PgRow) -> Result<CampaignRow, sqlx::Error> {
    let text = |column: &'static str| row.try_get::<&str, _>(column);
    let number = |column: &'static str| row.try_get::<i16, _>(column).map(i32::from);
    let name = |column| Name::parse(text(column)?).map_err(|_| corrupt(column));
    let share = HoldoutShare::parse(row.try_get("holdout_share")?);
    Ok(CampaignRow {
        id: CampaignId(row.try_get("campaign_id")?),
        plan: Plan {
            name: name("name")?,
            goal: wire::parse_goal(number("goal")?).ok_or_else(|| corrupt("goal"))?,
            segment: SegmentId(row.try_get("segment_id")?),
            offer: Offer {
                name: name("offer_name")?,
                description: Description::parse(text("offer_description")?)
                    .map_err(|_| corrupt("offer_description"))?,
                cost_minor: row.try_get("offer_cost_minor")?,
                currency_code: text("offer_currency_code")?.to_owned(),
            },
            channel: wire::parse_channel(number("channel")?).ok_or_else(|| corrupt("channel"))?,
            purpose: wire::parse_purpose(number("purpose")?).ok_or_else(|| corrupt("purpose"))?,
            holdout_share: share.map_err(|_| corrupt("holdout_share"))?,
            seed: row.try_get::<i64, _>("seed")?.cast_unsigned(),
        },
        state: state(row)?,
        created_at: row.try_get("created_at")?,
    })
}

fn state(row: &PgRow) -> Result<CampaignState, sqlx::Error> {
    let retrospective = row.try_get("retrospective")?;
    let effective_at: Option<OffsetDateTime> = row.try_get("effective_at")?;
    let rule_version: Option<i32> = row.try_get("segment_rule_version")?;
    match (effective_at, rule_version) {
        (None, _) => Ok(CampaignState::Draft),
        (Some(effective_at), None) => Ok(CampaignState::Deciding {
            effective_at,
            retrospective,
        }),
        (Some(effective_at), Some(version)) => Ok(CampaignState::Running {
            effective_at,
            retrospective,
            segment_rule_version: version.cast_unsigned(),
        }),
    }
}

/// What a batch of events changes. A campaign's life has one direction, so that the three kinds of change, written one after the
/// other, come out right whatever the batch holds.
#[derive(Default)]
pub(super) struct Changes {
    created: Created,
    started: Started,
    decided: Decided,
}

#[derive(Default)]
struct Created {
    partition: Vec<i16>,
    tenant: Vec<String>,
    campaign_id: Vec<Uuid>,
    name: Vec<String>,
    goal: Vec<i16>,
    segment_id: Vec<Uuid>,
    offer_name: Vec<String>,
    offer_description: Vec<String>,
    offer_cost_minor: Vec<i64>,
    offer_currency_code: Vec<String>,
    channel: Vec<i16>,
    purpose: Vec<i16>,
    holdout_share: Vec<f64>,
    seed: Vec<i64>,
    created_at: Vec<OffsetDateTime>,
}

#[derive(Default)]
struct Started {
    partition: Vec<i16>,
    tenant: Vec<String>,
    campaign_id: Vec<Uuid>,
    effective_at: Vec<OffsetDateTime>,
    retrospective: Vec<bool>,
}

#[derive(Default)]
struct Decided {
    partition: Vec<i16>,
    tenant: Vec<String>,
    campaign_id: Vec<Uuid>,
    segment_rule_version: Vec<i32>,
}

impl Changes {
    pub(super) fn add(&mut self, stored: &StoredEvent, event: &CampaignEvent) {
        let partition = i16::from(stored.partition.number());
        let tenant = stored.tenant.as_str().to_owned();
        match event {
            CampaignEvent::Created { id, plan } => {
                let rows = &mut self.created;
                rows.partition.push(partition);
                rows.tenant.push(tenant);
                rows.campaign_id.push(id.0);
                rows.name.push(plan.name.as_str().to_owned());
                rows.goal.push(wire::number(wire::goal(plan.goal)));
                rows.segment_id.push(plan.segment.0);
                rows.offer_name.push(plan.offer.name.as_str().to_owned());
                rows.offer_description
                    .push(plan.offer.description.as_str().to_owned());
                rows.offer_cost_minor.push(plan.offer.cost_minor);
                rows.offer_currency_code
                    .push(plan.offer.currency_code.clone());
                rows.channel.push(wire::number(wire::channel(plan.channel)));
                rows.purpose.push(wire::number(wire::purpose(plan.purpose)));
                rows.holdout_share.push(plan.holdout_share.value());
                rows.seed.push(plan.seed.cast_signed());
                rows.created_at.push(stored.occurred_at);
            }
            CampaignEvent::Started {
                id,
                effective_at,
                retrospective,
            } => {
                let rows = &mut self.started;
                rows.partition.push(partition);
                rows.tenant.push(tenant);
                rows.campaign_id.push(id.0);
                rows.effective_at.push(*effective_at);
                rows.retrospective.push(*retrospective);
            }
            CampaignEvent::AudienceDecided {
                id,
                segment_rule_version,
                ..
            } => {
                let rows = &mut self.decided;
                rows.partition.push(partition);
                rows.tenant.push(tenant);
                rows.campaign_id.push(id.0);
                rows.segment_rule_version
                    .push(segment_rule_version.cast_signed());
            }
        }
    }

    pub(super) async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.created.tenant.is_empty() {
            self.created.write(connection).await?;
        }
        if !self.started.tenant.is_empty() {
            self.started.write(connection).await?;
        }
        if !self.decided.tenant.is_empty() {
            self.decided.write(connection).await?;
        }
        Ok(())
    }
}

impl Created {
    async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "insert into campaign (partition, tenant, campaign_id, name, goal, segment_id, offer_name, offer_description,
                offer_cost_minor, offer_currency_code, channel, purpose, holdout_share, seed, created_at, state)
             select *, $16 from unnest($1::smallint[], $2::text[], $3::uuid[], $4::text[], $5::smallint[], $6::uuid[],
                $7::text[], $8::text[], $9::bigint[], $10::text[], $11::smallint[], $12::smallint[],
                $13::double precision[], $14::bigint[], $15::timestamptz[])
             on conflict do nothing",
        )
        .bind(self.partition)
        .bind(self.tenant)
        .bind(self.campaign_id)
        .bind(self.name)
        .bind(self.goal)
        .bind(self.segment_id)
        .bind(self.offer_name)
        .bind(self.offer_description)
        .bind(self.offer_cost_minor)
        .bind(self.offer_currency_code)
        .bind(self.channel)
        .bind(self.purpose)
        .bind(self.holdout_share)
        .bind(self.seed)
        .bind(self.created_at)
        .bind(wire::number(PbState::Draft))
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Started {
    async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update campaign c
             set effective_at = s.effective_at, retrospective = s.retrospective, state = greatest(c.state, $6::smallint)
             from unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::boolean[])
                as s (partition, tenant, campaign_id, effective_at, retrospective)
             where c.partition = s.partition and c.tenant = s.tenant and c.campaign_id = s.campaign_id",
        )
        .bind(self.partition)
        .bind(self.tenant)
        .bind(self.campaign_id)
        .bind(self.effective_at)
        .bind(self.retrospective)
        .bind(wire::number(PbState::Deciding))
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Decided {
    async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update campaign c set segment_rule_version = d.segment_rule_version, state = $5
             from unnest($1::smallint[], $2::text[], $3::uuid[], $4::integer[])
                as d (partition, tenant, campaign_id, segment_rule_version)
             where c.partition = d.partition and c.tenant = d.tenant and c.campaign_id = d.campaign_id",
        )
        .bind(self.partition)
        .bind(self.tenant)
        .bind(self.campaign_id)
        .bind(self.segment_rule_version)
        .bind(wire::number(PbState::Running))
        .execute(connection)
        .await?;
        Ok(())
    }
}
