//! Events of mergers, and of an identifier that goes.

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{DecodeError, StoredEvent};

use crate::{
    codec::fields,
    domain::{customer::CustomerEvent, identifier::ClaimId, merger::Absorbed},
    wire,
};

/// Ids as a message keeps them.
pub(super) fn ids(customers: &[CustomerId]) -> Vec<String> {
    customers.iter().map(CustomerId::to_string).collect()
}

pub(super) fn identifier_removed(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::IdentifierRemoved = event.message()?;
    let told = CustomerEvent::IdentifierRemoved {
        customer: fields::customer(event, &message.customer_id)?,
        claim: ClaimId(fields::uuid(event, "claim_id", &message.claim_id)?),
        type_: fields::known(event, "type", wire::parse_identifier_type(message.r#type))?,
        removed_at: event.occurred_at,
    };
    super::told_of(event, &message.original_customer_id, told)
}

pub(super) fn customer_merged(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::CustomerMerged = event.message()?;
    Ok(CustomerEvent::Merged {
        customer: fields::customer(event, &message.customer_id)?,
        survivor: surviving(event, &message.surviving_customer_id)?,
        at: fields::moment(event, "merged_time", message.merged_time.as_ref())?,
    })
}

pub(super) fn customer_unmerged(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::CustomerUnmerged = event.message()?;
    Ok(CustomerEvent::Unmerged {
        customer: fields::customer(event, &message.customer_id)?,
        survivor: surviving(event, &message.surviving_customer_id)?,
        at: fields::moment(event, "unmerged_time", message.unmerged_time.as_ref())?,
    })
}

pub(super) fn customer_absorbed(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::CustomerAbsorbed = event.message()?;
    Ok(CustomerEvent::Absorbed {
        customer: fields::customer(event, &message.customer_id)?,
        absorbed: Absorbed {
            customer: one_of(event, "absorbed_customer_id", &message.absorbed_customer_id)?,
            also: message
                .also_absorbed_customer_ids
                .iter()
                .map(|id| one_of(event, "also_absorbed_customer_ids", id))
                .collect::<Result<_, _>>()?,
        },
        at: fields::moment(event, "absorbed_time", message.absorbed_time.as_ref())?,
    })
}

pub(super) fn customer_separated(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::CustomerSeparated = event.message()?;
    Ok(CustomerEvent::Separated {
        customer: fields::customer(event, &message.customer_id)?,
        separated: Absorbed {
            customer: one_of(
                event,
                "separated_customer_id",
                &message.separated_customer_id,
            )?,
            also: message
                .also_separated_customer_ids
                .iter()
                .map(|id| one_of(event, "also_separated_customer_ids", id))
                .collect::<Result<_, _>>()?,
        },
        at: fields::moment(event, "separated_time", message.separated_time.as_ref())?,
    })
}

fn surviving(event: &StoredEvent, id: &str) -> Result<CustomerId, DecodeError> {
    one_of(event, "surviving_customer_id", id)
}

fn one_of(event: &StoredEvent, field: &'static str, id: &str) -> Result<CustomerId, DecodeError> {
    fields::uuid(event, field, id).map(CustomerId)
}
