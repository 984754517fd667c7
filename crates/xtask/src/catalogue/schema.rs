//! JSON Schema (draft 7) of protobuf's JSON form: what tools show of a payload that itself is protobuf.

use serde::Serialize;

use super::entries::Entries;
use super::envelope::{Form, Header};
use super::model::{Enumeration, Event, Field, Kind, Message, Service};

/// A schema; what is not given is left out.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Schema {
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    type_: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<i64>,
    #[serde(rename = "const", skip_serializing_if = "Option::is_none")]
    constant: Option<String>,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Box<Schema>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    all_of: Vec<Schema>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    required: Vec<&'static str>,
    #[serde(skip_serializing_if = "Entries::is_empty")]
    properties: Entries<Schema>,
    #[serde(rename = "x-field", skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(rename = "x-field-number", skip_serializing_if = "Option::is_none")]
    field_number: Option<u32>,
    #[serde(rename = "x-unit", skip_serializing_if = "Option::is_none")]
    unit: Option<&'static str>,
    /// True where the field identifies a person and is ciphertext; absent elsewhere.
    #[serde(rename = "x-sealed", skip_serializing_if = "Option::is_none")]
    sealed: Option<bool>,
    #[serde(rename = "x-enum-meanings", skip_serializing_if = "Entries::is_empty")]
    meanings: Entries<String>,
}

/// Where the schema of a message or an enumeration stands in the document.
pub(super) fn reference(full_name: &str) -> Schema {
    Schema {
        reference: Some(format!("#/components/schemas/{full_name}")),
        ..Schema::default()
    }
}

/// No field is required: protobuf leaves out of its JSON what has its default.
pub(super) fn of_message(message: &Message) -> Schema {
    let fields = message.fields.iter();
    Schema {
        title: Some(message.name().to_owned()),
        description: Some(message.meaning.clone()),
        type_: Some("object"),
        properties: fields
            .map(|field| (field.json_name.clone(), of_field(field)))
            .collect(),
        ..Schema::default()
    }
}

pub(super) fn of_enumeration(enumeration: &Enumeration) -> Schema {
    let values = enumeration.values.iter();
    Schema {
        description: Some(enumeration.meaning.clone()),
        type_: Some("string"),
        values: values.clone().map(|value| value.name.clone()).collect(),
        meanings: values
            .map(|value| (value.name.clone(), value.meaning.clone()))
            .collect(),
        ..Schema::default()
    }
}

fn of_field(field: &Field) -> Schema {
    let mut one = of_kind(&field.kind);
    if field.repeated {
        one = Schema {
            type_: Some("array"),
            items: Some(Box::new(one)),
            ..Schema::default()
        };
    } else if one.reference.is_some() {
        // Beside a reference nothing else is read.
        one = Schema {
            all_of: vec![one],
            ..Schema::default()
        };
    }
    Schema {
        description: Some(field.meaning.clone()),
        field: Some(field.name.clone()),
        field_number: Some(field.number),
        unit: field.unit,
        sealed: field.is_sealed().then_some(true),
        ..one
    }
}

fn of_kind(kind: &Kind) -> Schema {
    let of = |type_| Schema {
        type_: Some(type_),
        ..Schema::default()
    };
    match kind {
        Kind::Text => of("string"),
        Kind::Boolean => of("boolean"),
        Kind::Double => of("number"),
        Kind::Uuid => Schema {
            format: Some("uuid"),
            ..of("string")
        },
        Kind::Moment => Schema {
            format: Some("date-time"),
            ..of("string")
        },
        Kind::Sealed => Schema {
            content_encoding: Some("base64"),
            ..of("string")
        },
        Kind::Unsigned32 => Schema {
            minimum: Some(0),
            maximum: Some(u32::MAX.into()),
            ..of("integer")
        },
        // Numbers of 64 bits are text in protobuf's JSON.
        Kind::Unsigned64 => Schema {
            pattern: Some("^[0-9]+$"),
            ..of("string")
        },
        Kind::Signed64 => Schema {
            pattern: Some("^-?[0-9]+$"),
            ..of("string")
        },
        Kind::Message(name) | Kind::Enumeration(name) => reference(name),
    }
}

/// The headers of all events.
pub(super) fn of_headers(headers: &[Header]) -> Schema {
    Schema {
        type_: Some("object"),
        required: headers
            .iter()
            .filter(|header| header.required)
            .map(|header| header.name)
            .collect(),
        properties: headers
            .iter()
            .map(|header| (header.name.to_owned(), of_header(header)))
            .collect(),
        ..Schema::default()
    }
}

fn of_header(header: &Header) -> Schema {
    let text = Schema {
        description: Some(header.meaning.to_owned()),
        type_: Some("string"),
        ..Schema::default()
    };
    match header.form {
        Form::Text | Form::OfType => text,
        Form::Uuid => Schema {
            format: Some("uuid"),
            ..text
        },
        Form::Moment => Schema {
            format: Some("date-time"),
            ..text
        },
        Form::Number => Schema {
            pattern: Some("^[0-9]+$"),
            ..text
        },
        Form::Constant(value) => Schema {
            constant: Some(value.to_owned()),
            ..text
        },
    }
}

/// The headers of one type: those of all events, and what is the same for all of its own.
pub(super) fn of_headers_of(
    headers: &[Header],
    common: &str,
    service: &Service,
    event: &Event,
) -> Schema {
    let own = headers.iter().filter(|header| header.form == Form::OfType);
    let constants = Schema {
        type_: Some("object"),
        properties: own
            .map(|header| {
                let value = Schema {
                    constant: header.constant(service, event),
                    type_: Some("string"),
                    ..Schema::default()
                };
                (header.name.to_owned(), value)
            })
            .collect(),
        ..Schema::default()
    };
    Schema {
        all_of: vec![reference(common), constants],
        ..Schema::default()
    }
}
