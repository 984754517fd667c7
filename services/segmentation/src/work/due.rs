//! Whoever is due: a window has run out, or a fact has come to count.

use aggregate::CustomerId;
use event_log::ProjectionError;
use service::clock;
use uuid::Uuid;

use super::{Step, Worker, own_metadata};
use crate::{
    domain::Cause,
    evaluate::{Evaluation, Which},
    progress::Behind,
    read_model::segments::parsed_tenant,
};

/// Customers in one transaction.
const CUSTOMERS_MAX: i64 = 500;

pub(super) async fn step(worker: &Worker) -> Result<Step, ProjectionError> {
    let mut connection = worker.log.pool().acquire().await?;
    let behind = Behind::read(&mut connection, None).await?;
    let due: Vec<(String, Uuid)> = sqlx::query_as(
        "select tenant, customer_id from customer_due
         where next_due <= $1 and partition <> all($2) order by next_due limit $3",
    )
    .bind(clock::now())
    .bind(behind.partitions())
    .bind(CUSTOMERS_MAX)
    .fetch_all(&mut *connection)
    .await?;
    drop(connection);
    if due.is_empty() {
        return Ok(Step::Idle);
    }
    let metadata = own_metadata();
    let mut evaluations = Vec::with_capacity(due.len());
    for (tenant, customer) in due {
        let tenant = parsed_tenant(tenant)?;
        evaluations.push(Evaluation::new(
            &tenant,
            CustomerId(customer),
            Cause::Time,
            metadata.clone(),
        ));
    }
    // All segments, so that what is due next is known for all of them.
    worker.evaluate(&evaluations, Which::All).await
}
