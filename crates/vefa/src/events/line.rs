//! An event on a line: as JSON, in the form of CloudEvents, or for people to look at.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::common::v1::{EventMetadata, LoggedEvent};
use event_bus::event_type_token;
use event_log::timestamp;
use prost_reflect::DynamicMessage;
use prost_types::Timestamp;
use serde::Serialize;
use service::ServiceName;
use time::format_description::well_known::Rfc3339;

use super::types::EventTypes;

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

/// As JSON, without the end of the line.
///
/// # Errors
/// When the payload has what JSON cannot say.
pub(super) fn json(
    service: ServiceName,
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
        service: service.as_str(),
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

pub(super) const TABLE_HEADER: &str = "recorded                    service       at         type                     stream                               version actor";

/// As a line of the table that [`TABLE_HEADER`] begins. Values are never cut: one that is too long moves the rest of its line.
pub(super) fn table(service: ServiceName, event: &LoggedEvent) -> String {
    let metadata = event.metadata.as_ref();
    format!(
        "{:<27} {service:<13} {:<10} {:<24} {:<36} {:>7} {}",
        moment(event.recorded_time.as_ref()),
        format!("{:02}/{}", event.partition, event.position),
        event_type_token(&event.r#type),
        event.stream_id,
        event.version,
        metadata.map_or("", |metadata| &metadata.actor)
    )
}

/// What CloudEvents call the source.
pub(super) fn source(service: ServiceName) -> String {
    format!("/vefa/{service}")
}

/// In RFC 3339; empty when there is none.
fn moment(moment: Option<&Timestamp>) -> String {
    moment
        .and_then(|moment| timestamp::from_proto(moment).ok())
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}
