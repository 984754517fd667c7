//! What surrounds the payload of every event on the bus: its subject and its headers.

use super::model::{Event, Service};

/// Partitions of a log, and so of a subject.
pub(super) const PARTITIONS: u32 = 64;
/// The partition of examples.
const PARTITION: u32 = 17;
/// The tenant of examples.
pub(super) const TENANT: &str = "acme";
/// What the payload is.
pub(super) const CONTENT_TYPE: &str = "application/protobuf";

/// A header of every event.
pub(super) struct Header {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) form: Form,
    /// Whether every event has it.
    pub(super) required: bool,
    /// In an example; empty where it follows from the event.
    example: &'static str,
}

/// What a header's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Uuid,
    Moment,
    Number,
    /// The same for all events.
    Constant(&'static str),
    /// Follows from the event's type.
    OfType,
}

const fn always(
    name: &'static str,
    form: Form,
    example: &'static str,
    meaning: &'static str,
) -> Header {
    Header {
        name,
        meaning,
        form,
        required: true,
        example,
    }
}

const fn if_known(name: &'static str, example: &'static str, meaning: &'static str) -> Header {
    Header {
        name,
        meaning,
        form: Form::Text,
        required: false,
        example,
    }
}

/// In the order in which they are written.
pub(super) const HEADERS: [Header; 18] = [
    always(
        "ce-specversion",
        Form::Constant("1.0"),
        "1.0",
        "Version of CloudEvents.",
    ),
    always(
        "ce-id",
        Form::Uuid,
        "01948f1c-6b2e-7c40-9d31-5a2f8e0b7c11",
        "Id of the event, a UUID. The same in the log, on the bus and after a repeat.",
    ),
    always(
        "ce-type",
        Form::OfType,
        "",
        "Full name of the protobuf message in the payload.",
    ),
    always(
        "ce-source",
        Form::OfType,
        "",
        "The service that published it.",
    ),
    always(
        "ce-subject",
        Form::Uuid,
        "0f9d2a64-3c1b-5e77-8a90-c2d4e6f80a1b",
        "Id of the stream (the aggregate) on which the event stands; the same as `Vefa-Stream`.",
    ),
    always(
        "ce-time",
        Form::Moment,
        "2026-11-23T09:30:00.123456Z",
        "When it happened, UTC.",
    ),
    always(
        "ce-dataschema",
        Form::OfType,
        "",
        "The message and its schema version: `<ce-type>#v<version>`.",
    ),
    always(
        "content-type",
        Form::Constant(CONTENT_TYPE),
        CONTENT_TYPE,
        "What the payload is.",
    ),
    always(
        "Vefa-Epoch",
        Form::Number,
        "1",
        "Epoch of the log. Raised when the log was restored to an earlier point: positions of different epochs do not compare.",
    ),
    always(
        "Vefa-Position",
        Form::Number,
        "42",
        "Position in the partition of the service's log, from 1, without gaps over all tenants. Tells a repeat, and what may have been missed.",
    ),
    always(
        "Vefa-Stream",
        Form::Uuid,
        "0f9d2a64-3c1b-5e77-8a90-c2d4e6f80a1b",
        "Id of the stream (the aggregate).",
    ),
    always(
        "Vefa-Version",
        Form::Number,
        "1",
        "Gapless version within the stream, from 1.",
    ),
    always(
        "Vefa-Recorded",
        Form::Moment,
        "2026-11-23T09:30:00.204817Z",
        "When the log took it, UTC.",
    ),
    if_known(
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "W3C trace context of the request.",
    ),
    if_known(
        "Vefa-Correlation",
        "signup-1",
        "What all effects of one outer request share.",
    ),
    if_known(
        "Vefa-Causation",
        "signup-1",
        "The event or the request that caused this one directly.",
    ),
    if_known(
        "Vefa-Actor",
        "me",
        "The principal that asked: a person, a system or `service:<name>`. Never a customer's personal data.",
    ),
    if_known(
        "Vefa-On-Behalf-Of",
        "shop-7",
        "For whom the actor acted; absent when for itself.",
    ),
];

impl Header {
    /// Its value for events of a type, where that is one and the same.
    pub(super) fn constant(&self, service: &Service, event: &Event) -> Option<String> {
        match (self.form, self.name) {
            (Form::Constant(value), _) => Some(value.to_owned()),
            (Form::OfType, "ce-source") => Some(format!("/vefa/{}", service.name)),
            (Form::OfType, "ce-dataschema") => Some(data_schema(event)),
            (Form::OfType, _) => Some(event.message.full_name.clone()),
            (Form::Text | Form::Uuid | Form::Moment | Form::Number, _) => None,
        }
    }

    pub(super) fn example(&self, service: &Service, event: &Event) -> String {
        self.constant(service, event)
            .unwrap_or_else(|| self.example.to_owned())
    }
}

fn data_schema(event: &Event) -> String {
    format!("{}#v{}", event.message.full_name, event.version)
}

/// The last token but one of a subject.
pub(super) fn partition_token(partition: u32) -> String {
    format!("p{partition:02}")
}

/// The subject of an event, for any tenant and partition.
pub(super) fn subject(service: &Service, event: &Event) -> String {
    format!(
        "vefa.{{tenant}}.{}.{{partition}}.{}",
        service.name,
        event.name()
    )
}

/// The subject of some event of this type.
pub(super) fn subject_example(service: &Service, event: &Event) -> String {
    format!(
        "vefa.{TENANT}.{}.{}.{}",
        service.name,
        partition_token(PARTITION),
        event.name()
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::workspace;

    #[test]
    fn the_headers_are_those_that_the_relay_writes() {
        let source = workspace::root().join("crates/event-bus/src/envelope.rs");
        let source = fs::read_to_string(source).unwrap();
        let (_, body) = source.split_once("pub(crate) fn headers(").unwrap();
        let (body, _) = body.split_once("\n}\n").unwrap();
        let is_header = |text: &&str| {
            HEADERS.iter().any(|header| header.name == *text)
                || ["ce-", "Vefa-", "content-", "trace"]
                    .iter()
                    .any(|start| text.starts_with(start))
        };
        let written: BTreeSet<&str> = body.split('"').filter(is_header).collect();
        let told: BTreeSet<&str> = HEADERS.iter().map(|header| header.name).collect();
        assert_eq!(written, told);
    }
}
