//! A value of a column, in whichever format it is written.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A value in a column of its type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Unsigned(u64),
    Double(f64),
    Text(String),
    Bytes(Bytes),
    Moment(i64),
}

impl Cell {
    /// As JSON: bytes in base64, a moment in RFC 3339. What is JSON in itself stays a text, as in the other format.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::Unsigned(value) => json!(value),
            Self::Double(value) => json!(value),
            Self::Text(value) => json!(value),
            Self::Bytes(value) => json!(BASE64_STANDARD.encode(value)),
            Self::Moment(micros) => {
                let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(*micros) * 1000);
                json!(moment.ok().and_then(|moment| moment.format(&Rfc3339).ok()))
            }
        }
    }
}
