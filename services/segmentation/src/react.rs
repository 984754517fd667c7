//! What follows from the logs of customers and interactions: rows of facts, and in the same step the memberships that they change.

mod customers;
mod interactions;
mod mergers;

use std::collections::{BTreeMap, BTreeSet};

use aggregate::{CustomerId, Partition, TenantId};
use contracts::common::v1::EventMetadata;
use event_log::{DecodeError, ProjectionError, StoredEvent};
use service::clock;
use sqlx::PgConnection;
use uuid::Uuid;

pub(crate) use customers::CustomerFacts;
pub(crate) use interactions::InteractionFacts;

use crate::{
    domain::Cause,
    evaluate::{self, ACTOR, Evaluated, Evaluation, Which},
    progress::{self, Behind},
};

/// A customer whom an event is about, and what it may have changed.
#[derive(Clone, Debug)]
struct Touch<'a> {
    event: &'a StoredEvent,
    customer: CustomerId,
    backfill: bool,
    /// Whether the customer was erased, or merged into another.
    gone: bool,
    changes: Which,
}

/// Evaluates whoever the events touched that were never evaluated before; the others only rebuild rows.
async fn evaluate_touched(
    connection: &mut PgConnection,
    source: &str,
    events: &[StoredEvent],
    touches: &[Touch<'_>],
) -> Result<(), ProjectionError> {
    let evaluated = progress::evaluated(connection, source, events).await?;
    let is_new = |event: &StoredEvent| {
        let partition = i16::from(event.partition.number());
        event.position > evaluated.get(&partition).copied().unwrap_or(0)
    };
    let touches: Vec<&Touch<'_>> = touches.iter().filter(|touch| is_new(touch.event)).collect();
    evaluate_all(connection, source, &touches).await?;
    progress::moved(connection, source, events).await?;
    Ok(())
}

/// Evaluates whoever the events touched, though events behind them have been evaluated: these were parked then.
async fn evaluate_late(
    connection: &mut PgConnection,
    source: &str,
    events: &[StoredEvent],
    touches: &[Touch<'_>],
) -> Result<(), ProjectionError> {
    // Locked like by every other reaction, so that whoever waits for those under way waits for this one.
    progress::evaluated(connection, source, events).await?;
    evaluate_all(connection, source, &touches.iter().collect::<Vec<_>>()).await
}

async fn evaluate_all(
    connection: &mut PgConnection,
    source: &str,
    touches: &[&Touch<'_>],
) -> Result<(), ProjectionError> {
    if touches.is_empty() {
        return Ok(());
    }
    let partitions: BTreeSet<Partition> =
        touches.iter().map(|touch| touch.event.partition).collect();
    let behind = Behind::read(connection, Some((source, &partitions))).await?;
    let which = touches
        .iter()
        .fold(Which::none(), |which, touch| which.and(&touch.changes));
    let evaluations = evaluations(touches);
    match evaluate::evaluate(connection, clock::now(), &evaluations, &which, &behind).await? {
        Evaluated::All => Ok(()),
        // The other facts or the segments are being rebuilt. The batch comes again.
        Evaluated::HeldUp => Err(ProjectionError::Overtaken),
    }
}

/// Each customer once, with the last event that was not history as the cause; where all were, the last of them.
fn evaluations(touches: &[&Touch<'_>]) -> Vec<Evaluation> {
    let mut last: BTreeMap<(&TenantId, CustomerId), &Touch<'_>> = BTreeMap::new();
    let mut gone = BTreeSet::new();
    for touch in touches {
        let entry = last
            .entry((&touch.event.tenant, touch.customer))
            .or_insert(touch);
        if !touch.backfill || entry.backfill {
            *entry = touch;
        }
        if touch.gone {
            gone.insert((&touch.event.tenant, touch.customer));
        }
    }
    last.into_iter()
        .map(|((tenant, customer), touch)| {
            let event = touch.event;
            let cause = if touch.backfill {
                Cause::Backfill(event.event_id)
            } else {
                Cause::Event(event.event_id)
            };
            let evaluation = Evaluation::new(tenant, customer, cause, metadata(event));
            if gone.contains(&(tenant, customer)) {
                evaluation.gone()
            } else {
                evaluation
            }
        })
        .collect()
}

/// The reaction goes on with the correlation and the trace of what caused it.
fn metadata(event: &StoredEvent) -> EventMetadata {
    // Metadata that cannot be read is none: it is for tracing, and nothing depends on it.
    let cause = event.metadata().unwrap_or_default();
    EventMetadata {
        actor: ACTOR.to_owned(),
        correlation_id: cause.correlation_id,
        causation_id: event.event_id.to_string(),
        traceparent: cause.traceparent,
        on_behalf_of: cause.on_behalf_of,
    }
}

fn uuid(event: &StoredEvent, field: &'static str, text: &str) -> Result<Uuid, DecodeError> {
    Uuid::try_parse(text).map_err(|_| DecodeError::invalid(event, field))
}

fn moment(
    event: &StoredEvent,
    field: &'static str,
    moment: Option<prost_types::Timestamp>,
) -> Result<time::OffsetDateTime, DecodeError> {
    moment
        .and_then(|moment| event_log::timestamp::from_proto(&moment).ok())
        .ok_or_else(|| DecodeError::invalid(event, field))
}

/// An empty text is a missing value.
fn given(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use aggregate::StreamId;
    use time::macros::datetime;

    use super::*;

    fn event(n: u128) -> StoredEvent {
        let at = datetime!(2026-11-23 10:00 UTC);
        StoredEvent {
            tenant: TenantId::parse("demo").unwrap(),
            partition: Partition::parse(1).unwrap(),
            position: i64::try_from(n).unwrap(),
            stream_id: StreamId(Uuid::from_u128(n)),
            version: 1,
            event_id: Uuid::from_u128(n),
            type_: String::new(),
            schema_version: 1,
            payload: bytes::Bytes::new(),
            metadata: bytes::Bytes::new(),
            occurred_at: at,
            recorded_at: at,
        }
    }

    fn cause_of(backfills: &[bool]) -> Cause {
        let events: Vec<_> = (1..)
            .zip(backfills)
            .map(|(n, backfill)| (event(n), *backfill))
            .collect();
        let touches: Vec<_> = events
            .iter()
            .map(|(event, backfill)| Touch {
                event,
                customer: CustomerId(Uuid::from_u128(7)),
                backfill: *backfill,
                gone: false,
                changes: Which::All,
            })
            .collect();
        let evaluations = evaluations(&touches.iter().collect::<Vec<_>>());
        assert_eq!(evaluations.len(), 1);
        evaluations[0].cause
    }

    #[test]
    fn the_cause_is_the_last_event_that_is_not_history() {
        assert_eq!(cause_of(&[false, false]), Cause::Event(Uuid::from_u128(2)));
        assert_eq!(cause_of(&[false, true]), Cause::Event(Uuid::from_u128(1)));
        assert_eq!(cause_of(&[true, false]), Cause::Event(Uuid::from_u128(2)));
        assert_eq!(cause_of(&[true, true]), Cause::Backfill(Uuid::from_u128(2)));
    }
}
