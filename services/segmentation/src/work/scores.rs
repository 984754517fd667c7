//! Fits whose scores have not reached everyone.

use aggregate::TenantId;
use event_log::ProjectionError;

use super::{Step, Worker, own_metadata};
use crate::{
    domain::{self, Fit, rule::Dependencies},
    evaluate::{Evaluation, Which},
    progress::Behind,
    read_model::{histories::histories, values},
};

/// Customers in one transaction.
const CUSTOMERS_MAX: usize = 500;

pub(super) async fn step(worker: &Worker) -> Result<Step, ProjectionError> {
    let mut outcome = Step::Idle;
    for (tenant, fit) in values::unscored(worker.log.pool()).await? {
        outcome = score_everyone(worker, &tenant, fit).await?;
        if outcome == Step::HeldUp {
            break;
        }
    }
    Ok(outcome)
}

/// Scores follow from the fit and the purchases alone, so that a scoring that was interrupted begins again; whom it had reached keeps
/// the scores that they have.
async fn score_everyone(
    worker: &Worker,
    tenant: &TenantId,
    fit: Fit,
) -> Result<Step, ProjectionError> {
    let pool = worker.log.pool();
    let behind = Behind::read(&mut *pool.acquire().await?, None).await?;
    if behind.is_anything() {
        return Ok(Step::HeldUp);
    }
    let (id, calibration_end) = (fit.id, fit.calibration_end);
    let found = histories(pool, tenant, calibration_end, calibration_end).await?;
    let scores = tokio::task::spawn_blocking(move || domain::score(&fit, &found.histories))
        .await
        .expect("scoring does not panic and is not cancelled")
        .map_err(|error| sqlx::Error::Decode(error.into()))?;
    let changed = Which::Changed(Dependencies {
        valuation: true,
        ..Dependencies::default()
    });
    let metadata = own_metadata();
    for scores in scores.chunks(CUSTOMERS_MAX) {
        let evaluations: Vec<Evaluation> = scores
            .iter()
            .map(|score| Evaluation::scored(tenant, score.clone(), metadata.clone()))
            .collect();
        if worker.evaluate(&evaluations, changed).await? == Step::HeldUp {
            return Ok(Step::HeldUp);
        }
    }
    values::mark_scored(pool, tenant, id).await?;
    Ok(Step::Done)
}
