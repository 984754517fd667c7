//! An event as a NATS message and back: CloudEvents in binary mode, plus what Vefa needs to follow a log.

use std::str::FromStr;

use aggregate::{Partition, StreamId, TenantId};
use async_nats::{HeaderMap, Subject};
use bytes::Bytes;
use contracts::common::v1::EventMetadata;
use event_log::StoredEvent;
use prost::Message as _;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::bus::Bus;

/// The last token of an event's subject: the message name without its package.
#[must_use]
pub fn event_type_token(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}

/// A message that is not an event.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvelopeError {
    #[error("header {0} is missing or malformed")]
    Header(&'static str),
    #[error("the subject {0} is not an event's")]
    Subject(String),
}

/// An event with its place in the stream.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) event: StoredEvent,
    pub(crate) epoch: i32,
    pub(crate) sequence: u64,
}

pub(crate) fn subject(bus: &Bus, service: &str, event: &StoredEvent) -> String {
    let token = event_type_token(&event.type_);
    bus.subject(event.tenant.as_str(), service, event.partition, token)
}

pub(crate) fn headers(service: &str, epoch: i32, event: &StoredEvent) -> HeaderMap {
    // Metadata is ours; should it ever be unreadable, the event still goes out, without those headers.
    let metadata = event.metadata().unwrap_or_default();
    let mut headers = HeaderMap::new();
    let rfc3339 = |moment: OffsetDateTime| {
        moment
            .format(&Rfc3339)
            .expect("a moment between the years 1 and 9999 has an RFC 3339 form")
    };
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", event.event_id.to_string());
    headers.insert("ce-type", event.type_.as_str());
    headers.insert("ce-source", format!("/vefa/{service}"));
    headers.insert("ce-subject", event.stream_id.to_string());
    headers.insert("ce-time", rfc3339(event.occurred_at));
    headers.insert(
        "ce-dataschema",
        format!("{}#v{}", event.type_, event.schema_version),
    );
    headers.insert("content-type", "application/protobuf");
    headers.insert("Vefa-Epoch", epoch.to_string());
    headers.insert("Vefa-Position", event.position.to_string());
    headers.insert("Vefa-Stream", event.stream_id.to_string());
    headers.insert("Vefa-Version", event.version.to_string());
    headers.insert("Vefa-Recorded", rfc3339(event.recorded_at));
    for (name, value) in [
        ("traceparent", metadata.traceparent),
        ("Vefa-Correlation", metadata.correlation_id),
        ("Vefa-Causation", metadata.causation_id),
        ("Vefa-Actor", metadata.actor),
        ("Vefa-On-Behalf-Of", metadata.on_behalf_of),
    ] {
        if !value.is_empty() {
            headers.insert(name, value);
        }
    }
    headers
}

pub(crate) fn receive(
    subject: &Subject,
    headers: Option<&HeaderMap>,
    payload: Bytes,
    sequence: u64,
) -> Result<Received, EnvelopeError> {
    let unlike = || EnvelopeError::Subject(subject.to_string());
    let mut tokens = subject.as_str().split('.').skip(1);
    let tenant = tokens.next().ok_or_else(unlike)?;
    let partition = tokens
        .nth(1)
        .and_then(|token| token.strip_prefix('p'))
        .and_then(|number| number.parse().ok())
        .ok_or_else(unlike)?;
    let headers = headers.ok_or(EnvelopeError::Header("ce-id"))?;
    let schema: String = parse(headers, "ce-dataschema")?;
    let schema_version = schema
        .rsplit_once("#v")
        .and_then(|(_, version)| version.parse().ok())
        .ok_or(EnvelopeError::Header("ce-dataschema"))?;
    let optional = |name| text(headers, name).unwrap_or_default().to_owned();
    let metadata = EventMetadata {
        actor: optional("Vefa-Actor"),
        correlation_id: optional("Vefa-Correlation"),
        causation_id: optional("Vefa-Causation"),
        traceparent: optional("traceparent"),
        on_behalf_of: optional("Vefa-On-Behalf-Of"),
    };
    let event = StoredEvent {
        tenant: TenantId::parse(tenant).map_err(|_| unlike())?,
        partition: Partition::parse(partition).map_err(|_| unlike())?,
        position: parse(headers, "Vefa-Position")?,
        stream_id: StreamId(parse::<Uuid>(headers, "Vefa-Stream")?),
        version: parse(headers, "Vefa-Version")?,
        event_id: parse(headers, "ce-id")?,
        type_: parse(headers, "ce-type")?,
        schema_version,
        payload,
        metadata: metadata.encode_to_vec().into(),
        occurred_at: moment(headers, "ce-time")?,
        recorded_at: moment(headers, "Vefa-Recorded")?,
    };
    Ok(Received {
        event,
        epoch: parse(headers, "Vefa-Epoch")?,
        sequence,
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

fn parse<T: FromStr>(headers: &HeaderMap, name: &'static str) -> Result<T, EnvelopeError> {
    text(headers, name)
        .and_then(|text| text.parse().ok())
        .ok_or(EnvelopeError::Header(name))
}

fn moment(headers: &HeaderMap, name: &'static str) -> Result<OffsetDateTime, EnvelopeError> {
    text(headers, name)
        .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok())
        .ok_or(EnvelopeError::Header(name))
}
