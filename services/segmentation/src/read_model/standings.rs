//! Members, scores and valuations: rows that move in the transaction that appends their events, because the next decision rests on them.
//! The same function makes the same rows from the log.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::{CustomerId, Partition, TenantId};
use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{Change, FitId, Score, SegmentId, Standing, StandingEvent};

/// Something that happened to a customer's standing.
#[derive(Clone, Debug)]
pub(crate) struct Happened {
    pub(crate) tenant: TenantId,
    pub(crate) partition: Partition,
    pub(crate) at: OffsetDateTime,
    pub(crate) event: StandingEvent,
}

/// Takes over what happened, in order.
pub(crate) async fn apply(
    connection: &mut PgConnection,
    happened: &[Happened],
) -> Result<(), sqlx::Error> {
    let mut memberships = BTreeMap::new();
    let mut scores = BTreeMap::new();
    for happened in happened {
        let partition = i16::from(happened.partition.number());
        let tenant = happened.tenant.as_str();
        match &happened.event {
            StandingEvent::Scored(score) => {
                scores.insert((partition, tenant, score.customer, score.fit), score);
            }
            StandingEvent::Entered(change) => {
                let entered = Some((change, happened.at));
                memberships.insert(
                    (partition, tenant, change.customer, change.segment),
                    entered,
                );
            }
            StandingEvent::Left(change) => {
                memberships.insert((partition, tenant, change.customer, change.segment), None);
            }
        }
    }
    move_members(connection, memberships).await?;
    add_scores(connection, &scores).await?;
    // The last score of each customer and calibration end is the one that rules see.
    let mut valuations = BTreeMap::new();
    for happened in happened {
        if let StandingEvent::Scored(score) = &happened.event {
            let partition = i16::from(happened.partition.number());
            let key = (
                partition,
                happened.tenant.as_str(),
                score.customer,
                score.calibration_end,
            );
            valuations.insert(key, score);
        }
    }
    set_valuations(connection, &valuations).await
}

type MemberKey<'a> = (i16, &'a str, CustomerId, SegmentId);

async fn move_members(
    connection: &mut PgConnection,
    memberships: BTreeMap<MemberKey<'_>, Option<(&Change, OffsetDateTime)>>,
) -> Result<(), sqlx::Error> {
    if memberships.is_empty() {
        return Ok(());
    }
    let (mut partitions, mut tenants) = (Vec::new(), Vec::new());
    let (mut customers, mut segments) = (Vec::new(), Vec::new());
    let (mut versions, mut entered_at) = (Vec::new(), Vec::new());
    for ((partition, tenant, customer, segment), entered) in memberships {
        partitions.push(partition);
        tenants.push(tenant);
        customers.push(customer.0);
        segments.push(segment.0);
        versions.push(
            entered.map(|(change, _)| i32::try_from(change.rule_version).unwrap_or(i32::MAX)),
        );
        entered_at.push(entered.map(|(_, at)| at));
    }
    sqlx::query(
        "with change as (
            select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::integer[], $6::timestamptz[])
                as t (partition, tenant, customer_id, segment_id, rule_version, entered_at)
         ), gone as (
            delete from member m using change c
            where m.partition = c.partition and m.tenant = c.tenant and m.customer_id = c.customer_id
                and m.segment_id = c.segment_id and c.entered_at is null
         )
         insert into member (partition, tenant, customer_id, segment_id, rule_version, entered_at)
         select partition, tenant, customer_id, segment_id, rule_version, entered_at from change where entered_at is not null
         on conflict (partition, tenant, customer_id, segment_id)
            do update set rule_version = excluded.rule_version, entered_at = excluded.entered_at",
    )
    .bind(partitions)
    .bind(tenants)
    .bind(customers)
    .bind(segments)
    .bind(versions)
    .bind(entered_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Columns that `score` and `valuation` have in common.
#[derive(Default)]
struct Columns<'a> {
    partition: Vec<i16>,
    tenant: Vec<&'a str>,
    customer_id: Vec<Uuid>,
    fit_id: Vec<Uuid>,
    calibration_end: Vec<OffsetDateTime>,
    p_alive: Vec<f64>,
    expected_purchases: Vec<f64>,
    expected_value_minor: Vec<i64>,
    monetary_minor: Vec<i64>,
    rfm_r: Vec<i16>,
    rfm_f: Vec<i16>,
    rfm_m: Vec<i16>,
    tier: Vec<&'static str>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, partition: i16, tenant: &'a str, score: &Score) {
        self.partition.push(partition);
        self.tenant.push(tenant);
        self.customer_id.push(score.customer.0);
        self.fit_id.push(score.fit.0);
        self.calibration_end.push(score.calibration_end);
        self.p_alive.push(score.p_alive);
        self.expected_purchases.push(score.expected_purchases);
        self.expected_value_minor.push(score.expected_value_minor);
        self.monetary_minor.push(score.monetary_minor);
        self.rfm_r.push(score.rfm.recency.into());
        self.rfm_f.push(score.rfm.frequency.into());
        self.rfm_m.push(score.rfm.monetary.into());
        self.tier.push(score.tier.as_str());
    }

    /// Runs a statement whose first 13 parameters are the columns.
    async fn run(
        self,
        connection: &mut PgConnection,
        statement: &'static str,
    ) -> Result<(), sqlx::Error> {
        if self.partition.is_empty() {
            return Ok(());
        }
        sqlx::query(statement)
            .bind(self.partition)
            .bind(self.tenant)
            .bind(self.customer_id)
            .bind(self.fit_id)
            .bind(self.calibration_end)
            .bind(self.p_alive)
            .bind(self.expected_purchases)
            .bind(self.expected_value_minor)
            .bind(self.monetary_minor)
            .bind(self.rfm_r)
            .bind(self.rfm_f)
            .bind(self.rfm_m)
            .bind(self.tier)
            .execute(connection)
            .await?;
        Ok(())
    }
}

async fn add_scores(
    connection: &mut PgConnection,
    scores: &BTreeMap<(i16, &str, CustomerId, FitId), &Score>,
) -> Result<(), sqlx::Error> {
    let mut columns = Columns::default();
    for ((partition, tenant, _, _), score) in scores {
        columns.push(*partition, tenant, score);
    }
    columns
        .run(
            connection,
            "insert into score (partition, tenant, customer_id, fit_id, calibration_end, p_alive, expected_purchases,
                expected_value_minor, monetary_minor, rfm_r, rfm_f, rfm_m, tier)
             select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::float8[],
                $7::float8[], $8::bigint[], $9::bigint[], $10::smallint[], $11::smallint[], $12::smallint[], $13::text[])
             on conflict do nothing",
        )
        .await
}

async fn set_valuations(
    connection: &mut PgConnection,
    valuations: &BTreeMap<(i16, &str, CustomerId, OffsetDateTime), &Score>,
) -> Result<(), sqlx::Error> {
    let mut columns = Columns::default();
    for ((partition, tenant, _, _), score) in valuations {
        columns.push(*partition, tenant, score);
    }
    columns
        .run(
            connection,
            "insert into valuation (partition, tenant, customer_id, fit_id, calibration_end, p_alive, expected_purchases,
                expected_value_minor, rfm_r, rfm_f, rfm_m, tier)
             select partition, tenant, customer_id, fit_id, calibration_end, p_alive, expected_purchases,
                expected_value_minor, rfm_r, rfm_f, rfm_m, tier
             from unnest($1::smallint[], $2::text[], $3::uuid[], $4::uuid[], $5::timestamptz[], $6::float8[],
                $7::float8[], $8::bigint[], $9::bigint[], $10::smallint[], $11::smallint[], $12::smallint[], $13::text[])
                as t (partition, tenant, customer_id, fit_id, calibration_end, p_alive, expected_purchases,
                    expected_value_minor, monetary_minor, rfm_r, rfm_f, rfm_m, tier)
             on conflict (partition, tenant, customer_id, calibration_end) do update set fit_id = excluded.fit_id,
                p_alive = excluded.p_alive, expected_purchases = excluded.expected_purchases,
                expected_value_minor = excluded.expected_value_minor, rfm_r = excluded.rfm_r, rfm_f = excluded.rfm_f,
                rfm_m = excluded.rfm_m, tier = excluded.tier",
        )
        .await
}

/// The standings of these customers, as far as these segments and this fit go.
pub(crate) async fn of_customers(
    connection: &mut PgConnection,
    tenant: &TenantId,
    customers: &[CustomerId],
    segments: &[SegmentId],
    fit: Option<FitId>,
) -> Result<BTreeMap<CustomerId, Standing>, sqlx::Error> {
    let (partitions, ids): (Vec<i16>, Vec<Uuid>) = customers
        .iter()
        .map(|customer| {
            let partition = Partition::of_customer(tenant, *customer);
            (i16::from(partition.number()), customer.0)
        })
        .unzip();
    let members = members(connection, tenant, &partitions, &ids, segments).await?;
    let scored = match fit {
        Some(fit) => scored_by(connection, tenant, &partitions, &ids, fit).await?,
        None => BTreeSet::new(),
    };
    let mut memberships: BTreeMap<CustomerId, Vec<(SegmentId, u32)>> = BTreeMap::new();
    for (customer, segment, rule_version) in members {
        let version = u32::try_from(rule_version).unwrap_or(0);
        memberships
            .entry(CustomerId(customer))
            .or_default()
            .push((SegmentId(segment), version));
    }
    Ok(customers
        .iter()
        .map(|customer| {
            let members = memberships.remove(customer).unwrap_or_default();
            let scored_by = fit.filter(|_| scored.contains(customer));
            (*customer, Standing::of(members, scored_by))
        })
        .collect())
}

/// Memberships of these customers in these segments. Rows are looked up customer by customer: given as lists, PostgreSQL would look up every
/// combination of partition, customer and segment. Of several segments all are read, and the others left out here.
async fn members(
    connection: &mut PgConnection,
    tenant: &TenantId,
    partitions: &[i16],
    customers: &[Uuid],
    segments: &[SegmentId],
) -> Result<Vec<(Uuid, Uuid, i32)>, sqlx::Error> {
    let mut rows: Vec<(Uuid, Uuid, i32)> = match segments {
        [segment] => {
            sqlx::query_as(
                "select m.customer_id, m.segment_id, m.rule_version
                 from unnest($1::smallint[], $2::uuid[]) as c (partition, customer_id)
                 join member m on m.partition = c.partition and m.tenant = $3 and m.customer_id = c.customer_id
                    and m.segment_id = $4",
            )
            .bind(partitions)
            .bind(customers)
            .bind(tenant.as_str())
            .bind(segment.0)
            .fetch_all(connection)
            .await?
        }
        _ => {
            sqlx::query_as(
                "select m.customer_id, m.segment_id, m.rule_version
                 from unnest($1::smallint[], $2::uuid[]) as c (partition, customer_id)
                 join member m on m.partition = c.partition and m.tenant = $3 and m.customer_id = c.customer_id",
            )
            .bind(partitions)
            .bind(customers)
            .bind(tenant.as_str())
            .fetch_all(connection)
            .await?
        }
    };
    let wanted: BTreeSet<SegmentId> = segments.iter().copied().collect();
    rows.retain(|(_, segment, _)| wanted.contains(&SegmentId(*segment)));
    Ok(rows)
}

async fn scored_by(
    executor: impl PgExecutor<'_>,
    tenant: &TenantId,
    partitions: &[i16],
    customers: &[Uuid],
    fit: FitId,
) -> Result<BTreeSet<CustomerId>, sqlx::Error> {
    let scored: Vec<Uuid> = sqlx::query_scalar(
        "select s.customer_id from unnest($1::smallint[], $2::uuid[]) as c (partition, customer_id)
         join score s on s.partition = c.partition and s.tenant = $3 and s.fit_id = $4 and s.customer_id = c.customer_id",
    )
    .bind(partitions)
    .bind(customers)
    .bind(tenant.as_str())
    .bind(fit.0)
    .fetch_all(executor)
    .await?;
    Ok(scored.into_iter().map(CustomerId).collect())
}
