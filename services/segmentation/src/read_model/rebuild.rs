//! Members, scores and valuations from the log, by the function that keeps them.

use std::collections::BTreeMap;

use aggregate::Partition;
use event_log::{DecodeError, EventLog, ProjectionError, Stored as _, StoredEvent, SubjectCipher};

use super::standings::{Happened, apply};
use crate::{
    codec::{
        CUSTOMER_SCORED, MODELS_FITTED, SEGMENT_DEFINED, SEGMENT_ENTERED, SEGMENT_LEFT,
        SEGMENT_NAME_CLAIMED, SEGMENT_RULE_CHANGED,
    },
    domain::Standing,
};

/// Events read at once, of each partition.
const EVENTS_MAX: i64 = 100;

/// Makes the rows anew from the log, in one step. Whoever wants to evaluate waits meanwhile.
///
/// # Errors
/// When the database fails or an event cannot be read; the rows are as before then.
pub async fn rebuild_standings(log: &EventLog) -> Result<(), ProjectionError> {
    let mut transaction = log.pool().begin().await?;
    // Those who evaluate append first and move rows then: either they are in the log that is read below, or they wait here.
    sqlx::query("lock table member, score, valuation in exclusive mode")
        .execute(&mut *transaction)
        .await?;
    for statement in [
        "delete from member",
        "delete from score",
        "delete from valuation",
    ] {
        sqlx::query(statement).execute(&mut *transaction).await?;
    }
    let mut after: BTreeMap<Partition, i64> =
        Partition::all().map(|partition| (partition, 0)).collect();
    loop {
        let positions: Vec<(Partition, i64)> = after
            .iter()
            .map(|(partition, position)| (*partition, *position))
            .collect();
        let events = log.read_after(&positions, EVENTS_MAX).await?;
        if events.is_empty() {
            break;
        }
        let mut happened = Vec::with_capacity(events.len());
        for event in &events {
            after.insert(event.partition, event.position);
            happened.extend(standing_event(event)?);
        }
        apply(&mut transaction, &happened).await?;
    }
    transaction.commit().await?;
    Ok(())
}

fn standing_event(event: &StoredEvent) -> Result<Option<Happened>, DecodeError> {
    match (event.type_.as_str(), event.schema_version) {
        (CUSTOMER_SCORED | SEGMENT_ENTERED | SEGMENT_LEFT, _) => Ok(Some(Happened {
            tenant: event.tenant.clone(),
            partition: event.partition,
            at: event.occurred_at,
            event: Standing::decode(event, &SubjectCipher::none(&event.tenant))?,
        })),
        (SEGMENT_DEFINED | SEGMENT_RULE_CHANGED | SEGMENT_NAME_CLAIMED | MODELS_FITTED, 1) => {
            Ok(None)
        }
        _ => Err(DecodeError::unknown(event)),
    }
}
