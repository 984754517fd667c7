//! Events of restriction and erasure.

use contracts::customers::v1 as pb;
use event_log::{DecodeError, StoredEvent};

use crate::{
    codec::fields,
    domain::{customer::CustomerEvent, erasure::Erasure},
    wire,
};

pub(super) fn customer_erased(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::CustomerErased = event.message()?;
    Ok(CustomerEvent::Erased {
        customer: fields::customer(event, &message.customer_id)?,
        erasure: Erasure {
            reason: fields::known(event, "reason", wire::parse_erasure_reason(message.reason))?,
            at: fields::moment(event, "erased_time", message.erased_time.as_ref())?,
        },
    })
}

pub(super) fn processing_restricted(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::ProcessingRestricted = event.message()?;
    Ok(CustomerEvent::ProcessingRestricted {
        customer: fields::customer(event, &message.customer_id)?,
        reason: fields::known(
            event,
            "reason",
            wire::parse_restriction_reason(message.reason),
        )?,
        restricted_at: fields::moment(event, "restricted_time", message.restricted_time.as_ref())?,
    })
}

pub(super) fn restriction_lifted(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::RestrictionLifted = event.message()?;
    Ok(CustomerEvent::RestrictionLifted {
        customer: fields::customer(event, &message.customer_id)?,
        lifted_at: fields::moment(event, "lifted_time", message.lifted_time.as_ref())?,
    })
}
