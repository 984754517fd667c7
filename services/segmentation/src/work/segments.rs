//! Segments with a rule for which not everyone was evaluated.

use aggregate::TenantId;
use event_log::ProjectionError;

use super::{Step, Worker, customers_after, own_metadata};
use crate::{
    domain::Cause,
    evaluate::{Evaluation, Which},
    progress,
    read_model::segments::{self, SegmentRow},
};

/// Customers in one transaction.
const CUSTOMERS_MAX: i64 = 1000;

pub(super) async fn step(worker: &Worker) -> Result<Step, ProjectionError> {
    let mut outcome = Step::Idle;
    for (tenant, segment) in segments::behind(worker.log.pool()).await? {
        outcome = evaluate_everyone(worker, &tenant, &segment).await?;
        if outcome == Step::HeldUp {
            break;
        }
    }
    Ok(outcome)
}

async fn evaluate_everyone(
    worker: &Worker,
    tenant: &TenantId,
    segment: &SegmentRow,
) -> Result<Step, ProjectionError> {
    // Who is registered from now on is evaluated for this segment by that event; who was before is found below.
    progress::wait_for_registrations(worker.log.pool()).await?;
    let metadata = own_metadata();
    let mut last = None;
    loop {
        let customers = customers_after(worker, tenant, last, CUSTOMERS_MAX).await?;
        let Some(next) = customers.last() else { break };
        last = Some(*next);
        let evaluations: Vec<Evaluation> = customers
            .iter()
            .map(|customer| Evaluation::new(tenant, *customer, Cause::Rule, metadata.clone()))
            .collect();
        if worker
            .evaluate(&evaluations, Which::One(segment.segment))
            .await?
            == Step::HeldUp
        {
            return Ok(Step::HeldUp);
        }
    }
    segments::mark_evaluated(
        worker.log.pool(),
        tenant,
        segment.segment,
        segment.rule_version,
    )
    .await?;
    Ok(Step::Done)
}
