//! Events of the claim on an identifier. They hold nothing personal.

use contracts::customers::v1 as pb;
use event_log::{DecodeError, Encoded, Seal, SealError, Stored, StoredEvent, SubjectCipher};

use super::fields;
use crate::{
    domain::{IdentifierClaim, claim::ClaimEvent, identifier::ClaimId},
    wire,
};

/// Type of the event by which an identifier gets its owner.
pub(super) const IDENTIFIER_CLAIMED: &str = "vefa.customers.v1.IdentifierClaimed";

/// Type of the event by which an identifier loses its owner.
pub(super) const IDENTIFIER_RELEASED: &str = "vefa.customers.v1.IdentifierReleased";

/// Whether an event is about a claim, and not about a customer.
pub(crate) fn is_of_claim(event: &StoredEvent) -> bool {
    [IDENTIFIER_CLAIMED, IDENTIFIER_RELEASED].contains(&event.type_.as_str())
}

impl Stored for IdentifierClaim {
    fn encode(event: &ClaimEvent, _: &Seal<'_>) -> Result<Encoded, SealError> {
        Ok(match event {
            ClaimEvent::IdentifierClaimed {
                claim,
                customer,
                type_,
            } => Encoded::v1(
                IDENTIFIER_CLAIMED,
                &pb::IdentifierClaimed {
                    claim_id: claim.0.to_string(),
                    customer_id: customer.to_string(),
                    r#type: wire::identifier_type(*type_).into(),
                },
            ),
            ClaimEvent::IdentifierReleased {
                claim,
                customer,
                type_,
            } => Encoded::v1(
                IDENTIFIER_RELEASED,
                &pb::IdentifierReleased {
                    claim_id: claim.0.to_string(),
                    customer_id: customer.to_string(),
                    r#type: wire::identifier_type(*type_).into(),
                },
            ),
        })
    }

    fn decode(event: &StoredEvent, _: &SubjectCipher) -> Result<ClaimEvent, DecodeError> {
        let claim = |text: &str| fields::uuid(event, "claim_id", text).map(ClaimId);
        let type_ = |number| fields::known(event, "type", wire::parse_identifier_type(number));
        match (event.type_.as_str(), event.schema_version) {
            (IDENTIFIER_CLAIMED, 1) => {
                let message: pb::IdentifierClaimed = event.message()?;
                Ok(ClaimEvent::IdentifierClaimed {
                    claim: claim(&message.claim_id)?,
                    customer: fields::customer(event, &message.customer_id)?,
                    type_: type_(message.r#type)?,
                })
            }
            (IDENTIFIER_RELEASED, 1) => {
                let message: pb::IdentifierReleased = event.message()?;
                Ok(ClaimEvent::IdentifierReleased {
                    claim: claim(&message.claim_id)?,
                    customer: fields::customer(event, &message.customer_id)?,
                    type_: type_(message.r#type)?,
                })
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }
}
