//! Domain events as the protobuf events of the contract, which are what is stored and what is published.

pub(crate) mod parts;
mod purchase;
mod touchpoint;

#[cfg(test)]
mod golden;

use event_log::{DecodeError, Stored as _, StoredEvent, SubjectCipher};

use crate::domain::{
    purchase::{Purchase, RecordPurchase},
    touchpoint::{Touchpoint, TouchpointEvent, TouchpointFacts},
};

pub(crate) use purchase::is_purchase;

/// What one event of this service tells: each is the only one of its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interaction {
    /// A purchase or a return.
    Purchase(RecordPurchase),
    /// A contact.
    Touchpoint(TouchpointFacts),
}

/// Decodes any event of this service.
pub(crate) fn interaction(
    event: &StoredEvent,
    cipher: &SubjectCipher,
) -> Result<Interaction, DecodeError> {
    if is_purchase(event) {
        return purchase(event).map(Interaction::Purchase);
    }
    let TouchpointEvent::TouchpointRecorded(facts) = Touchpoint::decode(event, cipher)?;
    Ok(Interaction::Touchpoint(facts))
}

/// Decodes an event of which [`is_purchase`] holds: nothing of it is sealed.
pub(crate) fn purchase(event: &StoredEvent) -> Result<RecordPurchase, DecodeError> {
    let cipher = SubjectCipher::none(&event.tenant);
    Ok(Purchase::decode(event, &cipher)?.into())
}
