//! Events of a customer's relations to others.

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{DecodeError, StoredEvent};

use crate::{
    codec::fields,
    domain::{
        customer::CustomerEvent,
        relation::{Period, Relation, RelationId, RelationType},
    },
    wire,
};

pub(super) fn relation_added(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::RelationAdded = event.message()?;
    let told = CustomerEvent::RelationAdded {
        relation: Relation {
            id: relation_id(event, &message.relation_id)?,
            type_: type_(event, message.r#type)?,
            from: fields::customer(event, &message.customer_id)?,
            to: related(event, &message.related_customer_id)?,
            period: Period::from(fields::moment(
                event,
                "start_time",
                message.start_time.as_ref(),
            )?),
        },
    };
    super::told_of(event, &message.original_customer_id, told)
}

pub(super) fn relation_ended(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::RelationEnded = event.message()?;
    Ok(CustomerEvent::RelationEnded {
        relation: relation_id(event, &message.relation_id)?,
        type_: type_(event, message.r#type)?,
        from: fields::customer(event, &message.customer_id)?,
        to: related(event, &message.related_customer_id)?,
        ended_at: fields::moment(event, "end_time", message.end_time.as_ref())?,
    })
}

pub(super) fn descendant_added(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::DescendantAdded = event.message()?;
    Ok(CustomerEvent::DescendantAdded {
        customer: fields::customer(event, &message.customer_id)?,
        relation: relation_id(event, &message.relation_id)?,
        type_: type_(event, message.r#type)?,
        descendant: CustomerId(fields::uuid(
            event,
            "descendant_id",
            &message.descendant_id,
        )?),
        started_at: fields::moment(event, "start_time", message.start_time.as_ref())?,
    })
}

fn relation_id(event: &StoredEvent, text: &str) -> Result<RelationId, DecodeError> {
    fields::uuid(event, "relation_id", text).map(RelationId)
}

fn type_(event: &StoredEvent, number: i32) -> Result<RelationType, DecodeError> {
    fields::known(event, "type", wire::parse_relation_type(number))
}

fn related(event: &StoredEvent, text: &str) -> Result<CustomerId, DecodeError> {
    fields::uuid(event, "related_customer_id", text).map(CustomerId)
}
