//! Fields of stored messages on their way back to the domain.

use aggregate::CustomerId;
use event_log::{DecodeError, StoredEvent, timestamp};
use prost_types::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) fn uuid(
    event: &StoredEvent,
    field: &'static str,
    text: &str,
) -> Result<Uuid, DecodeError> {
    Uuid::try_parse(text).map_err(|_| DecodeError::invalid(event, field))
}

pub(super) fn customer(event: &StoredEvent, text: &str) -> Result<CustomerId, DecodeError> {
    uuid(event, "customer_id", text).map(CustomerId)
}

pub(super) fn moment(
    event: &StoredEvent,
    field: &'static str,
    moment: Option<&Timestamp>,
) -> Result<OffsetDateTime, DecodeError> {
    moment
        .and_then(|moment| timestamp::from_proto(moment).ok())
        .ok_or_else(|| DecodeError::invalid(event, field))
}

pub(super) fn known<T>(
    event: &StoredEvent,
    field: &'static str,
    value: Option<T>,
) -> Result<T, DecodeError> {
    value.ok_or_else(|| DecodeError::invalid(event, field))
}

/// A text that may be absent, which is stored as an empty one.
pub(super) fn optional<T>(text: String, from_stored: impl FnOnce(String) -> T) -> Option<T> {
    (!text.is_empty()).then(|| from_stored(text))
}
