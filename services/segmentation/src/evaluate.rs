//! The one evaluator: what the rules say of some customers, what that changes, and the events and rows of it, all in the caller's
//! transaction.
//!
//! # Invariants
//! - Facts are read and memberships moved under a lock on the customer, so that of two evaluations the later one sees the facts of the
//!   earlier one, whichever log they came from.
//! - Segments are read after the lock is held, so that an evaluation for everyone that begins after a segment is visible and an
//!   evaluation because of an event cannot both miss a customer.
//! - Locks are taken in one order everywhere: facts, customers by key, those who go on for them by key, partition heads.
//! - Whatever is told of somebody who was merged into another evaluates whoever goes on. Who that is is asked after the lock on the first is
//!   held, and an absorption locks those who come too. So of a purchase of the one and the absorption by the other, the later one to get
//!   that lock sees what the earlier one wrote: either the purchase finds who goes on, or the absorption counts the purchase. Of two
//!   batches that lock those who go on, each for somebody whom the other touches, PostgreSQL ends one, and it comes again.
//! - The facts of a group lie in several partitions: nobody of it is evaluated while one of them is incomplete.

mod append;
mod compiled;
mod lock;
pub(crate) mod statement;
mod survivors;
mod which;

use std::{collections::BTreeMap, sync::Arc};

use aggregate::{Aggregate as _, CustomerId, Partition, TenantId};
use contracts::common::v1::EventMetadata;
use event_log::ProjectionError;
use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::{
    domain::{
        Cause, FitId, Score, SegmentId, Standing, StandingCommand, StandingEvent, Verdict,
        rule::Rule,
    },
    progress::Behind,
    read_model::{
        segments::{self, SegmentRow},
        standings::{self, Happened},
    },
};

pub(crate) use which::Which;

/// Who appends what follows from events, from time and from rules.
pub(crate) const ACTOR: &str = "service:segmentation";

/// Whom to evaluate and why.
#[derive(Clone, Debug)]
pub(crate) struct Evaluation {
    tenant: TenantId,
    customer: CustomerId,
    partition: Partition,
    pub(crate) cause: Cause,
    metadata: EventMetadata,
    score: Option<Score>,
    gone: bool,
}

impl Evaluation {
    pub(crate) fn new(
        tenant: &TenantId,
        customer: CustomerId,
        cause: Cause,
        metadata: EventMetadata,
    ) -> Self {
        Self {
            tenant: tenant.clone(),
            customer,
            partition: Partition::of_customer(tenant, customer),
            cause,
            metadata,
            score: None,
            gone: false,
        }
    }

    /// The same, erased or merged into another: no rule selects it, whatever it says.
    pub(crate) fn gone(self) -> Self {
        Self { gone: true, ..self }
    }

    /// An evaluation of another customer of the same tenant, for the same reason.
    fn of(&self, customer: CustomerId) -> Self {
        Self::new(&self.tenant, customer, self.cause, self.metadata.clone())
    }

    /// Somebody who gets scores by a fit.
    pub(crate) fn scored(tenant: &TenantId, score: Score, metadata: EventMetadata) -> Self {
        let customer = score.customer;
        Self {
            score: Some(score),
            ..Self::new(tenant, customer, Cause::Fit, metadata)
        }
    }

    fn happened(&self, at: OffsetDateTime, event: StandingEvent) -> Happened {
        Happened {
            tenant: self.tenant.clone(),
            partition: self.partition,
            at,
            event,
        }
    }
}

/// Whether evaluations were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evaluated {
    /// All of them.
    All,
    /// None, because of rows that are being rebuilt. Locks are held; roll back.
    HeldUp,
}

/// Makes these evaluations (one of each customer at most) and those of whoever goes on for them, appends what changes and moves the rows. A
/// customer whose registration has not arrived is not evaluated; the registration will.
///
/// # Errors
/// [`ProjectionError::Overtaken`] when somebody else has appended to one of the customers' streams; roll back then and try again.
pub(crate) async fn evaluate(
    connection: &mut PgConnection,
    now: OffsetDateTime,
    evaluations: &[Evaluation],
    which: &Which,
    behind: &Behind,
) -> Result<Evaluated, ProjectionError> {
    let held_up = |partition: Partition| behind.holds_up(partition);
    if evaluations
        .iter()
        .any(|evaluation| held_up(evaluation.partition))
    {
        return Ok(Evaluated::HeldUp);
    }
    lock::lock(connection, evaluations).await?;
    let survivors = survivors::survivors(connection, &by_tenant(evaluations)).await?;
    if survivors.partitions.iter().copied().any(held_up) {
        return Ok(Evaluated::HeldUp);
    }
    lock::lock(connection, &survivors.evaluations).await?;
    let mut changes = Vec::new();
    for (tenant, evaluations) in &by_tenant(evaluations.iter().chain(&survivors.evaluations)) {
        changes.extend(changes_of_tenant(connection, now, tenant, evaluations, which).await?);
    }
    // One append for all tenants: the heads of partitions are locked in one order.
    append::append(connection, now, &changes).await?;
    let memberships: Vec<Happened> = changes
        .iter()
        .flat_map(|(evaluation, events)| {
            events
                .iter()
                .map(|event| evaluation.happened(now, event.clone()))
        })
        .filter(|happened| !matches!(happened.event, StandingEvent::Scored(_)))
        .collect();
    standings::apply(connection, &memberships).await?;
    Ok(Evaluated::All)
}

type ByTenant<'a> = BTreeMap<&'a TenantId, Vec<&'a Evaluation>>;

fn by_tenant<'a>(evaluations: impl IntoIterator<Item = &'a Evaluation>) -> ByTenant<'a> {
    let mut by_tenant = ByTenant::new();
    for evaluation in evaluations {
        by_tenant
            .entry(&evaluation.tenant)
            .or_default()
            .push(evaluation);
    }
    by_tenant
}

type Changes<'a> = Vec<(&'a Evaluation, Vec<StandingEvent>)>;

/// What changes for the customers of one tenant. Scores are written already, because rules look at them.
async fn changes_of_tenant<'a>(
    connection: &mut PgConnection,
    now: OffsetDateTime,
    tenant: &TenantId,
    evaluations: &[&'a Evaluation],
    which: &Which,
) -> Result<Changes<'a>, ProjectionError> {
    let all = parsed(segments::all(&mut *connection, tenant).await?)?;
    let meant: Vec<&(SegmentRow, Arc<Rule>)> = all
        .iter()
        .filter(|(row, rule)| which.means(row.segment, rule))
        .collect();
    let fit: Option<FitId> = evaluations
        .iter()
        .find_map(|evaluation| evaluation.score.as_ref())
        .map(|score| score.fit);
    if meant.is_empty() && fit.is_none() {
        return Ok(Vec::new());
    }
    let customers: Vec<CustomerId> = evaluations
        .iter()
        .map(|evaluation| evaluation.customer)
        .collect();
    let segment_ids: Vec<SegmentId> = meant.iter().map(|(row, _)| row.segment).collect();
    let mut standings =
        standings::of_customers(connection, tenant, &customers, &segment_ids, fit).await?;
    let mut changes = Vec::new();
    let mut scored = Vec::new();
    for evaluation in evaluations {
        let standing = standings.entry(evaluation.customer).or_default();
        let mut events = Vec::new();
        if let Some(score) = &evaluation.score {
            decide(
                standing,
                &StandingCommand::Score(score.clone()),
                &mut events,
            );
        }
        scored.extend(
            events
                .iter()
                .map(|event| evaluation.happened(now, event.clone())),
        );
        changes.push((*evaluation, events));
    }
    standings::apply(connection, &scored).await?;
    if meant.is_empty() {
        return Ok(changes);
    }
    let rules: Vec<&Rule> = meant.iter().map(|(_, rule)| &**rule).collect();
    let mut answers = statement::answers(connection, tenant, now, &customers, &rules).await?;
    let mut dues = Vec::new();
    for (evaluation, events) in &mut changes {
        let answer = answers.remove(&evaluation.customer);
        dues.push((
            evaluation.partition,
            evaluation.customer,
            answer.as_ref().and_then(|answer| answer.next_due),
        ));
        let matches = match answer {
            Some(answer) => answer.matches,
            None if evaluation.gone => vec![false; meant.len()],
            None => continue,
        };
        let verdicts = meant.iter().zip(matches).map(|((row, _), member)| Verdict {
            segment: row.segment,
            rule_version: row.rule_version,
            member,
        });
        let place = StandingCommand::Place {
            customer: evaluation.customer,
            verdicts: verdicts.collect(),
            cause: evaluation.cause,
        };
        let standing = standings.entry(evaluation.customer).or_default();
        decide(standing, &place, events);
    }
    // What only some rules said does not tell that the others have nothing due.
    let complete = meant.len() == all.len();
    set_due(connection, tenant, &dues, complete).await?;
    Ok(changes)
}

fn decide(standing: &mut Standing, command: &StandingCommand, events: &mut Vec<StandingEvent>) {
    let Ok(decided) = standing.decide(command);
    for event in &decided {
        standing.evolve(event);
    }
    events.extend(decided);
}

/// The rules of stored segments. They were checked before they were stored, and the same text gives the same result for ever.
fn parsed(rows: Vec<SegmentRow>) -> Result<Vec<(SegmentRow, Arc<Rule>)>, sqlx::Error> {
    rows.into_iter()
        .map(|row| match compiled::rule(&row.rule) {
            Ok(rule) => Ok((row, rule)),
            Err(error) => Err(sqlx::Error::Decode(error.into())),
        })
        .collect()
}

async fn set_due(
    connection: &mut PgConnection,
    tenant: &TenantId,
    dues: &[(Partition, CustomerId, Option<OffsetDateTime>)],
    complete: bool,
) -> Result<(), sqlx::Error> {
    let (mut partitions, mut customers, mut next) = (Vec::new(), Vec::new(), Vec::new());
    for (partition, customer, next_due) in dues {
        partitions.push(i16::from(partition.number()));
        customers.push(customer.0);
        next.push(*next_due);
    }
    sqlx::query(
        "update customer_due d set next_due = n.next_due
         from (
            select o.partition, o.tenant, o.customer_id,
                case when $2 then t.next_due else least(o.next_due, t.next_due) end as next_due
            from unnest($3::smallint[], $4::uuid[], $5::timestamptz[]) as t (partition, customer_id, next_due)
            join customer_due o on o.partition = t.partition and o.tenant = $1 and o.customer_id = t.customer_id
         ) n
         where d.partition = n.partition and d.tenant = n.tenant and d.customer_id = n.customer_id
            and d.next_due is distinct from n.next_due",
    )
    .bind(tenant.as_str())
    .bind(complete)
    .bind(partitions)
    .bind(customers)
    .bind(next)
    .execute(connection)
    .await?;
    Ok(())
}
