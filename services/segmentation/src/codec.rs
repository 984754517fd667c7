//! Domain events as the protobuf events of the contract, which are what is stored and what is published. Nothing here identifies a
//! person, so nothing is sealed.

pub(crate) mod fit;
mod segment;
mod standing;
mod value_fit;

#[cfg(test)]
mod golden;

use event_log::{DecodeError, StoredEvent, timestamp};
use time::OffsetDateTime;

pub(crate) use segment::{SEGMENT_DEFINED, SEGMENT_NAME_CLAIMED, SEGMENT_RULE_CHANGED};
pub(crate) use standing::{CUSTOMER_SCORED, SEGMENT_ENTERED, SEGMENT_LEFT, tier_message};
pub(crate) use value_fit::MODELS_FITTED;

fn id<T: std::str::FromStr>(
    event: &StoredEvent,
    field: &'static str,
    text: &str,
) -> Result<T, DecodeError> {
    text.parse().map_err(|_| DecodeError::invalid(event, field))
}

fn moment(
    event: &StoredEvent,
    field: &'static str,
    moment: Option<prost_types::Timestamp>,
) -> Result<OffsetDateTime, DecodeError> {
    moment
        .and_then(|moment| timestamp::from_proto(&moment).ok())
        .ok_or_else(|| DecodeError::invalid(event, field))
}
