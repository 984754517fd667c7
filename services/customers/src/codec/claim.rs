//! Events of the claim on an identifier. They hold nothing personal.

use contracts::customers::v1 as pb;
use event_log::{DecodeError, Encoded, Seal, SealError, Stored, StoredEvent, SubjectCipher};

use super::fields;
use crate::{
    domain::{IdentifierClaim, claim::ClaimEvent, identifier::ClaimId},
    wire,
};

/// Type of the event by which an identifier gets its owner.
pub(crate) const IDENTIFIER_CLAIMED: &str = "vefa.customers.v1.IdentifierClaimed";

impl Stored for IdentifierClaim {
    fn encode(event: &ClaimEvent, _: &Seal<'_>) -> Result<Encoded, SealError> {
        let ClaimEvent::IdentifierClaimed {
            claim,
            customer,
            type_,
        } = event;
        let message = pb::IdentifierClaimed {
            claim_id: claim.0.to_string(),
            customer_id: customer.to_string(),
            r#type: wire::identifier_type(*type_).into(),
        };
        Ok(Encoded::v1(IDENTIFIER_CLAIMED, &message))
    }

    fn decode(event: &StoredEvent, _: &SubjectCipher) -> Result<ClaimEvent, DecodeError> {
        match (event.type_.as_str(), event.schema_version) {
            (IDENTIFIER_CLAIMED, 1) => {
                let message: pb::IdentifierClaimed = event.message()?;
                Ok(ClaimEvent::IdentifierClaimed {
                    claim: ClaimId(fields::uuid(event, "claim_id", &message.claim_id)?),
                    customer: fields::customer(event, &message.customer_id)?,
                    type_: fields::known(
                        event,
                        "type",
                        wire::parse_identifier_type(message.r#type),
                    )?,
                })
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }
}
