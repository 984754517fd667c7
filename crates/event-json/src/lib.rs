//! The public form of an event as JSON, wherever one is told: the lines of `vefa events tail`, the bodies of webhooks. What is sealed in an
//! event stays so: nothing is decrypted here, and a sealed field is what it is everywhere, bytes.

mod types;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::common::v1::{EventMetadata, LoggedEvent};
use event_log::{StoredEvent, timestamp};
use prost_reflect::DynamicMessage;
use prost_types::Timestamp;
use serde::Serialize;
use time::format_description::well_known::Rfc3339;

pub use prost_reflect::DescriptorError;
pub use types::{EventTypes, UnknownType};

/// An event in the JSON format of CloudEvents 1.0; names of extensions are lowercase letters there.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    #[serde(rename = "type")]
    type_: &'a str,
    source: String,
    subject: &'a str,
    time: String,
    dataschema: String,
    tenant: &'a str,
    service: &'static str,
    partition: u32,
    position: u64,
    epoch: u32,
    stream: &'a str,
    version: u64,
    recordedtime: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    actor: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    onbehalfof: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    correlation: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    causation: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    traceparent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<DynamicMessage>,
    /// The payload of an event of a type that this program does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// As JSON in the form of CloudEvents, on one line and without its end.
///
/// # Errors
/// When the payload has what JSON cannot say.
pub fn json(
    service: &'static str,
    event: &LoggedEvent,
    types: &EventTypes,
) -> serde_json::Result<String> {
    let data = types.decode(event);
    let unknown = data.is_none();
    let nothing = EventMetadata::default();
    let metadata = event.metadata.as_ref().unwrap_or(&nothing);
    serde_json::to_string(&CloudEvent {
        specversion: "1.0",
        id: &event.event_id,
        type_: &event.r#type,
        source: source(service),
        subject: &event.stream_id,
        time: moment(event.occurred_time.as_ref()),
        dataschema: format!("{}#v{}", event.r#type, event.schema_version),
        tenant: &event.tenant,
        service,
        partition: event.partition,
        position: event.position,
        epoch: event.epoch,
        stream: &event.stream_id,
        version: event.version,
        recordedtime: moment(event.recorded_time.as_ref()),
        actor: &metadata.actor,
        onbehalfof: &metadata.on_behalf_of,
        correlation: &metadata.correlation_id,
        causation: &metadata.causation_id,
        traceparent: &metadata.traceparent,
        data,
        data_base64: unknown.then(|| BASE64_STANDARD.encode(&event.payload)),
    })
}

/// What CloudEvents call the source.
#[must_use]
pub fn source(service: &str) -> String {
    format!("/vefa/{service}")
}

/// A moment in RFC 3339; empty when there is none.
#[must_use]
pub fn moment(moment: Option<&Timestamp>) -> String {
    moment
        .and_then(|moment| timestamp::from_proto(moment).ok())
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// A stored event as its log would tell it, in this epoch.
#[must_use]
pub fn logged(event: StoredEvent, epoch: u32) -> LoggedEvent {
    LoggedEvent {
        metadata: event.metadata().ok(),
        tenant: event.tenant.into(),
        partition: event.partition.number().into(),
        position: event.position.unsigned_abs(),
        stream_id: event.stream_id.to_string(),
        version: event.version.unsigned_abs(),
        epoch,
        event_id: event.event_id.to_string(),
        r#type: event.type_,
        schema_version: u32::try_from(event.schema_version).unwrap_or_default(),
        payload: event.payload,
        occurred_time: Some(timestamp::to_proto(event.occurred_at)),
        recorded_time: Some(timestamp::to_proto(event.recorded_at)),
    }
}
