//! `PurchaseRecorded` and `ReturnRecorded`. Nothing in them identifies a person, so nothing is sealed.

use contracts::interactions::v1 as pb;
use event_log::{
    DecodeError, Encoded, Seal, SealError, Stored, StoredEvent, SubjectCipher, timestamp,
};
use time::OffsetDateTime;

use super::parts;
use crate::domain::{
    lines::Lines,
    purchase::{Purchase, PurchaseEvent, PurchaseFacts, PurchaseId},
    source_key::SourceKey,
};

/// Type of the event of a purchase.
pub(crate) const PURCHASE_RECORDED: &str = "vefa.interactions.v1.PurchaseRecorded";
/// Type of the event of a return.
pub(crate) const RETURN_RECORDED: &str = "vefa.interactions.v1.ReturnRecorded";

/// Whether an event belongs to the stream of a purchase or a return.
pub(crate) fn is_purchase(event: &StoredEvent) -> bool {
    matches!(event.type_.as_str(), PURCHASE_RECORDED | RETURN_RECORDED)
}

impl Stored for Purchase {
    fn encode(event: &PurchaseEvent, _: &Seal<'_>) -> Result<Encoded, SealError> {
        Ok(match event {
            PurchaseEvent::PurchaseRecorded(facts) => {
                Encoded::v1(PURCHASE_RECORDED, &message(facts))
            }
            PurchaseEvent::ReturnRecorded(facts) => {
                Encoded::v1(RETURN_RECORDED, &as_return(message(facts)))
            }
        })
    }

    fn decode(event: &StoredEvent, _: &SubjectCipher) -> Result<PurchaseEvent, DecodeError> {
        match (event.type_.as_str(), event.schema_version) {
            (PURCHASE_RECORDED, 1) => Ok(PurchaseEvent::PurchaseRecorded(facts(
                event,
                event.message()?,
            )?)),
            (RETURN_RECORDED, 1) => Ok(PurchaseEvent::ReturnRecorded(facts(
                event,
                as_purchase(event.message()?),
            )?)),
            _ => Err(DecodeError::unknown(event)),
        }
    }

    fn occurred_at(event: &PurchaseEvent) -> Option<OffsetDateTime> {
        match event {
            PurchaseEvent::PurchaseRecorded(facts) | PurchaseEvent::ReturnRecorded(facts) => {
                Some(facts.occurred_at)
            }
        }
    }
}

fn message(facts: &PurchaseFacts) -> pb::PurchaseRecorded {
    pb::PurchaseRecorded {
        purchase_id: facts.id.0.to_string(),
        customer_id: facts.customer.to_string(),
        source: facts.key.source.clone(),
        source_id: facts.key.source_id.clone(),
        occurred_time: Some(timestamp::to_proto(facts.occurred_at)),
        received_time: Some(timestamp::to_proto(facts.received_at)),
        currency_code: facts.currency_code.clone(),
        lines: facts
            .lines
            .lines()
            .iter()
            .map(parts::line_message)
            .collect(),
        total_minor: facts.lines.total_minor(),
        margin_minor: facts.lines.margin_minor(),
        channel: facts.channel.clone(),
        backfill: facts.backfill,
    }
}

fn facts(event: &StoredEvent, message: pb::PurchaseRecorded) -> Result<PurchaseFacts, DecodeError> {
    let invalid = |field| DecodeError::invalid(event, field);
    let moment = |moment: Option<prost_types::Timestamp>, field| {
        timestamp::from_proto(&moment.ok_or_else(|| invalid(field))?).map_err(|_| invalid(field))
    };
    let lines = message.lines.into_iter().map(parts::line).collect();
    Ok(PurchaseFacts {
        id: PurchaseId(
            message
                .purchase_id
                .parse()
                .map_err(|_| invalid("purchase_id"))?,
        ),
        customer: message
            .customer_id
            .parse()
            .map_err(|_| invalid("customer_id"))?,
        key: SourceKey {
            source: message.source,
            source_id: message.source_id,
        },
        occurred_at: moment(message.occurred_time, "occurred_time")?,
        received_at: moment(message.received_time, "received_time")?,
        currency_code: message.currency_code,
        lines: Lines::recorded(lines, message.total_minor, message.margin_minor),
        channel: message.channel,
        backfill: message.backfill,
    })
}

fn as_return(message: pb::PurchaseRecorded) -> pb::ReturnRecorded {
    pb::ReturnRecorded {
        purchase_id: message.purchase_id,
        customer_id: message.customer_id,
        source: message.source,
        source_id: message.source_id,
        occurred_time: message.occurred_time,
        received_time: message.received_time,
        currency_code: message.currency_code,
        lines: message.lines,
        total_minor: message.total_minor,
        margin_minor: message.margin_minor,
        channel: message.channel,
        backfill: message.backfill,
    }
}

fn as_purchase(message: pb::ReturnRecorded) -> pb::PurchaseRecorded {
    pb::PurchaseRecorded {
        purchase_id: message.purchase_id,
        customer_id: message.customer_id,
        source: message.source,
        source_id: message.source_id,
        occurred_time: message.occurred_time,
        received_time: message.received_time,
        currency_code: message.currency_code,
        lines: message.lines,
        total_minor: message.total_minor,
        margin_minor: message.margin_minor,
        channel: message.channel,
        backfill: message.backfill,
    }
}
