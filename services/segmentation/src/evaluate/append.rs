//! What changed, as events on the streams of the customers.

use std::collections::BTreeMap;

use aggregate::StreamId;
use bytes::Bytes;
use event_log::{
    Append, LogError, NewEvent, ProjectionError, Seal, Stored as _, Stream, SubjectCipher, Write,
    append_in,
};
use prost::Message as _;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Evaluation;
use crate::domain::{Standing, StandingEvent};

/// Appends the events of each customer to the customer's stream; returns how many there were. The customers are locked, so that nobody
/// else appends to their streams meanwhile.
pub(super) async fn append(
    connection: &mut PgConnection,
    now: OffsetDateTime,
    changes: &[(&Evaluation, Vec<StandingEvent>)],
) -> Result<usize, ProjectionError> {
    let changes: Vec<_> = changes
        .iter()
        .filter(|(_, events)| !events.is_empty())
        .collect();
    if changes.is_empty() {
        return Ok(0);
    }
    let heads = heads(
        connection,
        changes.iter().map(|(evaluation, _)| *evaluation),
    )
    .await?;
    let mut appended = 0;
    let mut appends = Vec::with_capacity(changes.len());
    for (evaluation, events) in changes {
        appended += events.len();
        let stream = Stream::of_customer(&evaluation.tenant, evaluation.customer).without_subject();
        let expected_version = heads
            .get(&(evaluation.tenant.as_str(), stream.id.0))
            .copied()
            .unwrap_or(0);
        appends.push(Append {
            stream,
            expected_version,
            events: encoded(evaluation, events, now)?,
            new_key: None,
            erases: false,
        });
    }
    let write = Write {
        idempotency: None,
        appends,
    };
    match append_in(connection, &[write]).await? {
        Some(_) => Ok(appended),
        None => Err(ProjectionError::Overtaken),
    }
}

fn encoded(
    evaluation: &Evaluation,
    events: &[StandingEvent],
    now: OffsetDateTime,
) -> Result<Vec<NewEvent>, LogError> {
    let cipher = SubjectCipher::none(&evaluation.tenant);
    let metadata = Bytes::from(evaluation.metadata.encode_to_vec());
    events
        .iter()
        .map(|event| {
            let event_id = Uuid::now_v7();
            let encoded = Standing::encode(event, &Seal::new(&cipher, event_id))?;
            Ok(NewEvent {
                event_id,
                type_: encoded.type_,
                schema_version: encoded.schema_version,
                payload: encoded.payload.into(),
                metadata: metadata.clone(),
                occurred_at: now,
            })
        })
        .collect()
}

/// Versions of the customers' streams, for those that exist.
async fn heads<'a>(
    connection: &mut PgConnection,
    evaluations: impl Iterator<Item = &'a Evaluation>,
) -> Result<BTreeMap<(&'a str, Uuid), i64>, sqlx::Error> {
    let evaluations: Vec<&Evaluation> = evaluations.collect();
    let (mut partitions, mut tenants, mut streams) = (Vec::new(), Vec::new(), Vec::new());
    for evaluation in &evaluations {
        partitions.push(i16::from(evaluation.partition.number()));
        tenants.push(evaluation.tenant.as_str());
        streams.push(StreamId::from(evaluation.customer).0);
    }
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select t.ordinal, last.version
         from unnest($1::smallint[], $2::text[], $3::uuid[]) with ordinality as t (partition, tenant, stream_id, ordinal)
         cross join lateral (
            select e.version from event e
            where e.partition = t.partition and e.tenant = t.tenant and e.stream_id = t.stream_id
            order by e.version desc limit 1
         ) last",
    )
    .bind(&partitions)
    .bind(&tenants)
    .bind(&streams)
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(ordinal, version)| {
            let evaluation = evaluations.get(usize::try_from(ordinal - 1).ok()?)?;
            Some(((evaluation.tenant.as_str(), evaluation.customer.0), version))
        })
        .collect())
}
