//! What goes on in the background: evaluation of whoever is due, of segments with a new rule, and the scores of a new fit. All of it
//! begins where it stopped, whatever happens: the rows say what is left to do.

mod due;
mod scores;
mod segments;

use std::{sync::Arc, time::Duration};

use aggregate::{CustomerId, TenantId};
use contracts::common::v1::EventMetadata;
use event_log::{EventLog, ProjectionError};
use service::clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    domain::{FitId, SegmentId},
    evaluate::{self, ACTOR, Evaluated, Evaluation, Which},
    progress::Behind,
    read_model,
};

/// How often somebody who is due is looked for. They are evaluated within a second.
const DUE_INTERVAL: Duration = Duration::from_millis(200);
/// How often other work is looked for when nothing wakes it.
const WORK_INTERVAL: Duration = Duration::from_millis(200);
/// How long to wait after a failure.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How often a caller looks whether its work is done.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The background work of this service.
#[derive(Clone)]
pub(crate) struct Worker {
    log: EventLog,
    wake: Arc<Notify>,
}

/// What a step of work led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Something was done; there may be more.
    Done,
    /// There is nothing to do.
    Idle,
    /// Rows are being rebuilt; nothing can be done until they have caught up.
    HeldUp,
}

impl Worker {
    pub(crate) fn new(log: &EventLog) -> Self {
        Self {
            log: log.clone(),
            wake: Arc::default(),
        }
    }

    /// Evaluates whoever is due, until `shutdown`.
    pub(crate) async fn run_due(
        self,
        shutdown: CancellationToken,
    ) -> Result<(), std::convert::Infallible> {
        self.run("evaluation by time", DUE_INTERVAL, &shutdown, || {
            due::step(&self)
        })
        .await;
        Ok(())
    }

    /// Evaluates new rules and scores new fits, until `shutdown`.
    pub(crate) async fn run_new(
        self,
        shutdown: CancellationToken,
    ) -> Result<(), std::convert::Infallible> {
        let step = || async {
            match scores::step(&self).await? {
                Step::Idle => segments::step(&self).await,
                step @ (Step::Done | Step::HeldUp) => Ok(step),
            }
        };
        self.run(
            "evaluation of new rules and fits",
            WORK_INTERVAL,
            &shutdown,
            step,
        )
        .await;
        Ok(())
    }

    async fn run<F, Fut>(
        &self,
        name: &str,
        interval: Duration,
        shutdown: &CancellationToken,
        step: F,
    ) where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Step, ProjectionError>>,
    {
        while !shutdown.is_cancelled() {
            let pause = match step().await {
                Ok(Step::Done) => continue,
                Ok(Step::Idle | Step::HeldUp) => interval,
                Err(ProjectionError::Overtaken) => Duration::ZERO,
                Err(error) => {
                    tracing::error!(
                        work = name,
                        error = &error as &(dyn std::error::Error + 'static),
                        "background work failed and tries again"
                    );
                    RETRY_DELAY
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks for work at once.
    pub(crate) fn wake(&self) {
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    /// Resolves when all customers have been evaluated for the rule version, or a later one.
    pub(crate) async fn evaluated(
        &self,
        tenant: &TenantId,
        segment: SegmentId,
        rule_version: u32,
    ) -> Result<(), sqlx::Error> {
        self.wake();
        loop {
            let evaluated =
                read_model::segments::evaluated_version(self.log.pool(), tenant, segment).await?;
            if evaluated.is_some_and(|evaluated| evaluated >= rule_version) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Resolves when the fit has scored everyone.
    pub(crate) async fn scored(&self, tenant: &TenantId, fit: FitId) -> Result<(), sqlx::Error> {
        self.wake();
        while !read_model::values::is_scored(self.log.pool(), tenant, fit).await? {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Evaluates some customers in a transaction of its own.
    async fn evaluate(
        &self,
        evaluations: &[Evaluation],
        which: Which,
    ) -> Result<Step, ProjectionError> {
        let mut transaction = self.log.pool().begin().await?;
        let behind = Behind::read(&mut transaction, None).await?;
        match evaluate::evaluate(&mut transaction, clock::now(), evaluations, &which, &behind)
            .await?
        {
            Evaluated::All => {}
            Evaluated::HeldUp => return Ok(Step::HeldUp),
        }
        transaction.commit().await?;
        self.log.notify_appended();
        Ok(Step::Done)
    }
}

/// Metadata of what the service does by itself.
fn own_metadata() -> EventMetadata {
    EventMetadata {
        actor: ACTOR.to_owned(),
        correlation_id: Uuid::now_v7().to_string(),
        traceparent: telemetry::current_traceparent().unwrap_or_default(),
        ..EventMetadata::default()
    }
}

/// The next customers of a tenant with a profile who go on by themselves, in the order of their ids. Somebody whose merger is undone is
/// evaluated by that event.
async fn customers_after(
    worker: &Worker,
    tenant: &TenantId,
    after: Option<CustomerId>,
    limit: i64,
) -> Result<Vec<CustomerId>, sqlx::Error> {
    let customers: Vec<Uuid> = sqlx::query_scalar(
        "select customer_id from customer_fact
         where tenant = $1 and survivor_id is null and ($2::uuid is null or customer_id > $2) order by customer_id limit $3",
    )
    .bind(tenant.as_str())
    .bind(after.map(|customer| customer.0))
    .bind(limit)
    .fetch_all(worker.log.pool())
    .await?;
    Ok(customers.into_iter().map(CustomerId).collect())
}
