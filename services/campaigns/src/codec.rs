//! Events as they are stored, which is also how they are published: domain event <-> protobuf.

mod campaign;
#[cfg(test)]
mod golden;
mod recipient;

use std::str::FromStr;

use event_log::{DecodeError, Stored as _, StoredEvent, SubjectCipher};
use prost_types::Timestamp;
use time::OffsetDateTime;

use crate::domain::{Campaign, CampaignEvent, Recipient, RecipientEvent};

/// An event of this service's log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LogEvent {
    /// On a campaign's stream.
    Campaign(CampaignEvent),
    /// On a customer's stream.
    Recipient(RecipientEvent),
}

/// Decodes any event of this service's log.
pub(crate) fn decode(event: &StoredEvent) -> Result<LogEvent, DecodeError> {
    // No event of this service has a sealed field.
    let cipher = SubjectCipher::none(&event.tenant);
    if is_of_campaign(event) {
        Campaign::decode(event, &cipher).map(LogEvent::Campaign)
    } else {
        Recipient::decode(event, &cipher).map(LogEvent::Recipient)
    }
}

/// Whether the event stands in a campaign's stream.
pub(crate) fn is_of_campaign(event: &StoredEvent) -> bool {
    campaign::TYPES.contains(&event.type_.as_str())
}

fn parse<T: FromStr>(
    event: &StoredEvent,
    field: &'static str,
    text: &str,
) -> Result<T, DecodeError> {
    text.parse().map_err(|_| DecodeError::invalid(event, field))
}

fn moment(
    event: &StoredEvent,
    field: &'static str,
    moment: Option<Timestamp>,
) -> Result<OffsetDateTime, DecodeError> {
    moment
        .and_then(|moment| event_log::timestamp::from_proto(&moment).ok())
        .ok_or_else(|| DecodeError::invalid(event, field))
}
