//! The columns of a type of events: those that all have (`event_*`), and one for each field of the payload, in the order of its numbers.
//!
//! Numbers, texts, bytes and moments are what they are; an enumeration is the name of its value; what is repeated or a message is JSON, as
//! protobuf defines it. A field of a name that is taken (`type` and `day` are those of folders) is called `payload_…`. An event of a type
//! that this program does not know has its payload as bytes.

use anyhow::{Context as _, Result};
use contracts::common::v1::LoggedEvent;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};
use prost_types::Timestamp;
use service::ServiceName;

use super::cell::Cell;

const TIMESTAMP: &str = "google.protobuf.Timestamp";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Unsigned,
    Double,
    Text,
    Json,
    Bytes,
    /// Microseconds since 1970, UTC.
    Moment,
}

/// A column. Whatever is not there is null.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) type_: Type,
}

/// The columns of a type.
pub(super) struct Layout {
    pub(super) columns: Vec<Column>,
    /// None for a type that is not known.
    payload: Option<MessageDescriptor>,
}

const ENVELOPE: [(&str, Type); 15] = [
    ("event_id", Type::Text),
    ("event_service", Type::Text),
    ("event_tenant", Type::Text),
    ("event_partition", Type::Int),
    ("event_position", Type::Int),
    ("event_epoch", Type::Int),
    ("event_stream", Type::Text),
    ("event_version", Type::Int),
    ("event_schema_version", Type::Int),
    ("event_time", Type::Moment),
    ("event_recorded_time", Type::Moment),
    ("event_actor", Type::Text),
    ("event_on_behalf_of", Type::Text),
    ("event_correlation", Type::Text),
    ("event_causation", Type::Text),
];

impl Layout {
    pub(super) fn of(payload: Option<MessageDescriptor>) -> Self {
        let mut columns: Vec<Column> = ENVELOPE
            .into_iter()
            .map(|(name, type_)| Column {
                name: name.to_owned(),
                type_,
            })
            .collect();
        match &payload {
            Some(payload) => {
                for field in payload.fields() {
                    let name = field.name();
                    let taken = ["type", "day"].contains(&name)
                        || columns.iter().any(|column| column.name == name);
                    let name = if taken {
                        format!("payload_{name}")
                    } else {
                        name.to_owned()
                    };
                    columns.push(Column {
                        name,
                        type_: type_of(&field),
                    });
                }
            }
            None => columns.push(Column {
                name: "payload".to_owned(),
                type_: Type::Bytes,
            }),
        }
        Self { columns, payload }
    }

    /// The values of an event, one for each column.
    ///
    /// # Errors
    /// When its payload is not of its type.
    pub(super) fn row(&self, service: ServiceName, event: &LoggedEvent) -> Result<Vec<Cell>> {
        let mut row = envelope(service, event);
        let Some(descriptor) = &self.payload else {
            row.push(Cell::Bytes(event.payload.clone()));
            return Ok(row);
        };
        let unlike = || {
            format!(
                "event {} of {service} is not what its type {} says",
                event.event_id, event.r#type
            )
        };
        let message = DynamicMessage::decode(descriptor.clone(), event.payload.clone())
            .with_context(unlike)?;
        let json = serde_json::to_value(&message).with_context(unlike)?;
        for field in descriptor.fields() {
            row.push(cell(&message, &field, &json));
        }
        Ok(row)
    }
}

fn envelope(service: ServiceName, event: &LoggedEvent) -> Vec<Cell> {
    let metadata = event.metadata.clone().unwrap_or_default();
    let count = |number: u64| Cell::Int(i64::try_from(number).unwrap_or(i64::MAX));
    vec![
        Cell::Text(event.event_id.clone()),
        Cell::Text(service.to_string()),
        Cell::Text(event.tenant.clone()),
        count(event.partition.into()),
        count(event.position),
        count(event.epoch.into()),
        Cell::Text(event.stream_id.clone()),
        count(event.version),
        count(event.schema_version.into()),
        moment(event.occurred_time.as_ref()),
        moment(event.recorded_time.as_ref()),
        text_or_null(metadata.actor),
        text_or_null(metadata.on_behalf_of),
        text_or_null(metadata.correlation_id),
        text_or_null(metadata.causation_id),
    ]
}

fn text_or_null(text: String) -> Cell {
    if text.is_empty() {
        Cell::Null
    } else {
        Cell::Text(text)
    }
}

fn moment(moment: Option<&Timestamp>) -> Cell {
    moment.map_or(Cell::Null, |moment| micros(moment.seconds, moment.nanos))
}

fn micros(seconds: i64, nanos: i32) -> Cell {
    Cell::Moment(
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(i64::from(nanos) / 1000),
    )
}

fn type_of(field: &FieldDescriptor) -> Type {
    if field.is_list() || field.is_map() {
        return Type::Json;
    }
    match field.kind() {
        Kind::Bool => Type::Bool,
        Kind::Int32
        | Kind::Sint32
        | Kind::Sfixed32
        | Kind::Uint32
        | Kind::Fixed32
        | Kind::Int64
        | Kind::Sint64
        | Kind::Sfixed64 => Type::Int,
        Kind::Uint64 | Kind::Fixed64 => Type::Unsigned,
        Kind::Float | Kind::Double => Type::Double,
        Kind::String | Kind::Enum(_) => Type::Text,
        Kind::Bytes => Type::Bytes,
        Kind::Message(message) if message.full_name() == TIMESTAMP => Type::Moment,
        Kind::Message(_) => Type::Json,
    }
}

/// The value of a field, in the type that [`type_of`] gives its column. `json` is the whole message.
fn cell(message: &DynamicMessage, field: &FieldDescriptor, json: &serde_json::Value) -> Cell {
    if field.supports_presence() && !message.has_field(field) {
        return Cell::Null;
    }
    let as_json = || {
        let value = json.get(field.json_name());
        value.map_or(Cell::Null, |value| Cell::Text(value.to_string()))
    };
    match message.get_field(field).as_ref() {
        Value::Bool(value) => Cell::Bool(*value),
        Value::I32(value) => Cell::Int((*value).into()),
        Value::U32(value) => Cell::Int((*value).into()),
        Value::I64(value) => Cell::Int(*value),
        Value::U64(value) => Cell::Unsigned(*value),
        Value::F32(value) => Cell::Double((*value).into()),
        Value::F64(value) => Cell::Double(*value),
        Value::String(value) => Cell::Text(value.clone()),
        Value::Bytes(value) => Cell::Bytes(value.clone()),
        Value::EnumNumber(number) => Cell::Text(enum_name(field, *number)),
        Value::Message(value) if value.descriptor().full_name() == TIMESTAMP => {
            let part = |name| value.get_field_by_name(name);
            let seconds = part("seconds").and_then(|value| value.as_i64());
            let nanos = part("nanos").and_then(|value| value.as_i32());
            micros(seconds.unwrap_or_default(), nanos.unwrap_or_default())
        }
        // An empty list is not in the message's JSON.
        Value::List(values) if values.is_empty() => Cell::Text("[]".to_owned()),
        Value::Map(values) if values.is_empty() => Cell::Text("{}".to_owned()),
        Value::Message(_) | Value::List(_) | Value::Map(_) => as_json(),
    }
}

/// The name of an enumeration's value; its number, when it is newer than this program.
fn enum_name(field: &FieldDescriptor, number: i32) -> String {
    let kind = field.kind();
    let value = kind.as_enum().and_then(|type_| type_.get_value(number));
    value.map_or_else(|| number.to_string(), |value| value.name().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;

    use super::*;
    use event_json::EventTypes;

    #[test]
    fn no_two_columns_have_one_name_and_none_that_of_a_folder() {
        let types = EventTypes::published().unwrap();
        for type_ in types.all() {
            let name = type_.full_name().to_owned();
            let fields = type_.fields().len();
            let layout = Layout::of(Some(type_));
            let names: BTreeSet<&str> =
                layout.columns.iter().map(|one| one.name.as_str()).collect();
            assert_eq!(names.len(), ENVELOPE.len() + fields, "{name}: {names:?}");
            assert!(!names.contains("type") && !names.contains("day"), "{name}");
        }
        let added = Layout::of(types.find("vefa.customers.v1.IdentifierAdded"));
        assert!(added.columns.iter().any(|one| one.name == "payload_type"));
    }

    #[test]
    fn an_event_whose_bytes_are_not_of_its_type_is_told() {
        let types = EventTypes::published().unwrap();
        let event = LoggedEvent {
            event_id: "e-1".to_owned(),
            r#type: "vefa.customers.v1.TeamAssigned".to_owned(),
            payload: Bytes::from_static(&[0xff]),
            ..LoggedEvent::default()
        };
        let layout = Layout::of(types.find(&event.r#type));
        let refused = layout.row(ServiceName::Customers, &event).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "event e-1 of customers is not what its type vefa.customers.v1.TeamAssigned says"
        );
    }
}
