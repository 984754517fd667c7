//! Logs that tests write themselves.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::convert::Infallible;

use contracts::common::v1::EventMetadata;
use event_log::{Append, Committed, Decision, EventLog, Request};
use time::OffsetDateTime;

/// Appends all of it in one transaction, as a command of the tenant of the first.
pub async fn append(log: &EventLog, at: OffsetDateTime, appends: Vec<Append>) -> Committed {
    let request = Request {
        tenant: appends[0].stream.tenant.clone(),
        metadata: EventMetadata::default(),
        now: at,
        idempotency: None,
        validate_only: false,
    };
    let decision = Decision::new(appends, &());
    log.transact::<_, _, Infallible>(&request, || async { Ok(decision.clone()) })
        .await
        .unwrap()
}

/// How many events a log has.
pub async fn events(log: &EventLog) -> i64 {
    log.heads().await.unwrap().values().sum()
}
