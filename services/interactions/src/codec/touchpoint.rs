//! `TouchpointRecorded`. What a contact was about is sealed with the customer's key.

use contracts::interactions::v1 as pb;
use event_log::{
    DecodeError, Encoded, Seal, SealError, Stored, StoredEvent, SubjectCipher, timestamp,
};
use time::OffsetDateTime;

use super::parts;
use crate::domain::{
    source_key::SourceKey,
    text::Summary,
    touchpoint::{SpokenBy, Touchpoint, TouchpointEvent, TouchpointFacts, TouchpointId},
};

/// Type of the event of a contact.
pub(crate) const TOUCHPOINT_RECORDED: &str = "vefa.interactions.v1.TouchpointRecorded";

/// The sealed field, as its seal names it. Never changes.
const SUMMARY: &str = "summary";

impl Stored for Touchpoint {
    fn encode(event: &TouchpointEvent, seal: &Seal<'_>) -> Result<Encoded, SealError> {
        let TouchpointEvent::TouchpointRecorded(facts) = event;
        let (automated, role) = match &facts.spoken_by {
            SpokenBy::Nobody => (true, String::new()),
            SpokenBy::Role(role) => (false, role.clone()),
        };
        let message = pb::TouchpointRecorded {
            touchpoint_id: facts.id.0.to_string(),
            customer_id: facts.customer.to_string(),
            source: facts.key.source.clone(),
            source_id: facts.key.source_id.clone(),
            channel: parts::channel_message(facts.channel).into(),
            direction: parts::direction_message(facts.direction).into(),
            public: facts.public,
            automated,
            role,
            summary_sealed: seal
                .text(SUMMARY, facts.summary.as_ref().map_or("", Summary::as_str))?,
            occurred_time: Some(timestamp::to_proto(facts.occurred_at)),
            received_time: Some(timestamp::to_proto(facts.received_at)),
            backfill: facts.backfill,
        };
        Ok(Encoded::v1(TOUCHPOINT_RECORDED, &message))
    }

    fn decode(event: &StoredEvent, cipher: &SubjectCipher) -> Result<TouchpointEvent, DecodeError> {
        match (event.type_.as_str(), event.schema_version) {
            (TOUCHPOINT_RECORDED, 1) => {
                facts(event, cipher).map(TouchpointEvent::TouchpointRecorded)
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }

    fn occurred_at(event: &TouchpointEvent) -> Option<OffsetDateTime> {
        let TouchpointEvent::TouchpointRecorded(facts) = event;
        Some(facts.occurred_at)
    }
}

fn facts(event: &StoredEvent, cipher: &SubjectCipher) -> Result<TouchpointFacts, DecodeError> {
    let message: pb::TouchpointRecorded = event.message()?;
    let invalid = |field| DecodeError::invalid(event, field);
    let moment = |moment: Option<prost_types::Timestamp>, field| {
        timestamp::from_proto(&moment.ok_or_else(|| invalid(field))?).map_err(|_| invalid(field))
    };
    Ok(TouchpointFacts {
        id: TouchpointId(
            message
                .touchpoint_id
                .parse()
                .map_err(|_| invalid("touchpoint_id"))?,
        ),
        customer: message
            .customer_id
            .parse()
            .map_err(|_| invalid("customer_id"))?,
        key: SourceKey {
            source: message.source,
            source_id: message.source_id,
        },
        channel: parts::channel(message.channel).ok_or_else(|| invalid("channel"))?,
        direction: parts::direction(message.direction).ok_or_else(|| invalid("direction"))?,
        public: message.public,
        spoken_by: SpokenBy::try_new(message.automated, message.role)
            .map_err(|_| invalid("role"))?,
        summary: cipher
            .open(event.event_id, SUMMARY, &message.summary_sealed)?
            .map(Summary::recorded),
        occurred_at: moment(message.occurred_time, "occurred_time")?,
        received_at: moment(message.received_time, "received_time")?,
        backfill: message.backfill,
    })
}
