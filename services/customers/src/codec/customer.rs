//! Events of a customer. Names and identifiers are sealed.

mod life;
mod mergers;
mod privacy;
mod profile;
mod relations;
mod snapshot;

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{
    DecodeError, Encoded, Seal, SealError, Snapshot, Stored, StoredEvent, SubjectCipher, timestamp,
};
use time::OffsetDateTime;

use super::fields;
use crate::{
    domain::{
        Customer, Label, Reference,
        consent::{ConsentScope, Grant},
        customer::{CustomerEvent, OwnedIdentifier, Registration},
        identifier::{ClaimId, Identifier},
    },
    wire,
};
use life::{lifecycle_stage_changed, owner_assigned, owner_released, team_assigned};
pub(crate) use profile::{decode_details, encode_details};
use relations::{descendant_added, relation_added, relation_ended};

pub(super) const CUSTOMER_REGISTERED: &str = "vefa.customers.v1.CustomerRegistered";
pub(super) const PROFILE_UPDATED: &str = "vefa.customers.v1.ProfileUpdated";
pub(super) const IDENTIFIER_ADDED: &str = "vefa.customers.v1.IdentifierAdded";
pub(super) const CONSENT_RECORDED: &str = "vefa.customers.v1.ConsentRecorded";
pub(super) const CONSENT_WITHDRAWN: &str = "vefa.customers.v1.ConsentWithdrawn";
pub(super) const OWNER_ASSIGNED: &str = "vefa.customers.v1.OwnerAssigned";
pub(super) const OWNER_RELEASED: &str = "vefa.customers.v1.OwnerReleased";
pub(super) const TEAM_ASSIGNED: &str = "vefa.customers.v1.TeamAssigned";
pub(super) const IDENTIFIER_REMOVED: &str = "vefa.customers.v1.IdentifierRemoved";
pub(crate) const CUSTOMER_ABSORBED: &str = "vefa.customers.v1.CustomerAbsorbed";
pub(crate) const CUSTOMER_SEPARATED: &str = "vefa.customers.v1.CustomerSeparated";
pub(super) const CUSTOMER_MERGED: &str = "vefa.customers.v1.CustomerMerged";
pub(crate) const CUSTOMER_UNMERGED: &str = "vefa.customers.v1.CustomerUnmerged";
pub(crate) const LIFECYCLE_STAGE_CHANGED: &str = "vefa.customers.v1.LifecycleStageChanged";
pub(super) const RELATION_ADDED: &str = "vefa.customers.v1.RelationAdded";
pub(super) const RELATION_ENDED: &str = "vefa.customers.v1.RelationEnded";
pub(super) const DESCENDANT_ADDED: &str = "vefa.customers.v1.DescendantAdded";
pub(super) const PROCESSING_RESTRICTED: &str = "vefa.customers.v1.ProcessingRestricted";
pub(super) const RESTRICTION_LIFTED: &str = "vefa.customers.v1.RestrictionLifted";
pub(super) const CUSTOMER_ERASED: &str = "vefa.customers.v1.CustomerErased";

/// Name of the sealed field: a ciphertext opens only where it was sealed.
const VALUE: &str = "value";

impl Stored for Customer {
    const SNAPSHOT: Option<Snapshot<Self>> = Some(snapshot::FORMAT);
    const ERASURE: Option<&'static str> = Some(CUSTOMER_ERASED);

    fn encode(event: &CustomerEvent, seal: &Seal<'_>) -> Result<Encoded, SealError> {
        encoded(event, None, seal)
    }

    fn decode(event: &StoredEvent, cipher: &SubjectCipher) -> Result<CustomerEvent, DecodeError> {
        match (event.type_.as_str(), event.schema_version) {
            (CUSTOMER_REGISTERED, 1) => profile::read_registered(event, cipher),
            (PROFILE_UPDATED, 1) => profile::read_updated(event, cipher),
            (IDENTIFIER_ADDED, 1) => identifier_added(event, cipher),
            (IDENTIFIER_REMOVED, 1) => mergers::identifier_removed(event),
            (CUSTOMER_MERGED, 1) => mergers::customer_merged(event),
            (CUSTOMER_UNMERGED, 1) => mergers::customer_unmerged(event),
            (CUSTOMER_ABSORBED, 1) => mergers::customer_absorbed(event),
            (CUSTOMER_SEPARATED, 1) => mergers::customer_separated(event),
            (CONSENT_RECORDED, 1) => consent_recorded(event),
            (CONSENT_WITHDRAWN, 1) => consent_withdrawn(event),
            (OWNER_ASSIGNED, 1) => owner_assigned(event),
            (OWNER_RELEASED, 1) => owner_released(event),
            (TEAM_ASSIGNED, 1) => team_assigned(event),
            (RELATION_ADDED, 1) => relation_added(event),
            (RELATION_ENDED, 1) => relation_ended(event),
            (DESCENDANT_ADDED, 1) => descendant_added(event),
            (LIFECYCLE_STAGE_CHANGED, 1) => lifecycle_stage_changed(event),
            (PROCESSING_RESTRICTED, 1) => privacy::processing_restricted(event),
            (RESTRICTION_LIFTED, 1) => privacy::restriction_lifted(event),
            (CUSTOMER_ERASED, 1) => privacy::customer_erased(event),
            _ => Err(DecodeError::unknown(event)),
        }
    }

    fn occurred_at(event: &CustomerEvent) -> Option<OffsetDateTime> {
        match event {
            CustomerEvent::Registered {
                registered_at: at, ..
            }
            | CustomerEvent::IdentifierAdded { added_at: at, .. }
            | CustomerEvent::IdentifierRemoved { removed_at: at, .. }
            | CustomerEvent::Merged { at, .. }
            | CustomerEvent::Unmerged { at, .. }
            | CustomerEvent::Absorbed { at, .. }
            | CustomerEvent::Separated { at, .. }
            | CustomerEvent::ConsentRecorded { given_at: at, .. }
            | CustomerEvent::ConsentWithdrawn {
                withdrawn_at: at, ..
            }
            | CustomerEvent::OwnerAssigned {
                assigned_at: at, ..
            }
            | CustomerEvent::OwnerReleased {
                released_at: at, ..
            }
            | CustomerEvent::TeamAssigned {
                assigned_at: at, ..
            } => Some(*at),
            CustomerEvent::RelationAdded { relation } => Some(relation.period.start),
            CustomerEvent::RelationEnded { ended_at: at, .. }
            | CustomerEvent::ProcessingRestricted {
                restricted_at: at, ..
            }
            | CustomerEvent::RestrictionLifted { lifted_at: at, .. }
            | CustomerEvent::DescendantAdded { started_at: at, .. } => Some(*at),
            CustomerEvent::LifecycleStageChanged { lifecycle, .. } => Some(lifecycle.since),
            CustomerEvent::Erased { erasure, .. } => Some(erasure.at),
            CustomerEvent::ProfileUpdated { .. } => None,
            CustomerEvent::ToldOf { event, .. } => Self::occurred_at(event),
        }
    }
}

/// `original` is who was merged into the customer and is told of, if it is not the customer itself.
fn encoded(
    event: &CustomerEvent,
    original: Option<CustomerId>,
    seal: &Seal<'_>,
) -> Result<Encoded, SealError> {
    Ok(match event {
        CustomerEvent::Registered {
            customer,
            kind,
            affiliation,
            profile,
            registered_at,
        } => {
            let registration = Registration {
                customer: *customer,
                kind: *kind,
                affiliation: *affiliation,
                registered_at: *registered_at,
            };
            let message = profile::registered(&registration, profile, seal)?;
            Encoded::v1(CUSTOMER_REGISTERED, &message)
        }
        CustomerEvent::ProfileUpdated { customer, change } => {
            let message = profile::updated(*customer, change, original, seal)?;
            Encoded::v1(PROFILE_UPDATED, &message)
        }
        CustomerEvent::IdentifierAdded {
            customer,
            identifier,
            ..
        } => {
            let OwnedIdentifier {
                claim,
                type_,
                identifier,
            } = identifier;
            let (value, system) = identifier.as_ref().map_or(("", ""), |identifier| {
                (identifier.value(), identifier.system())
            });
            Encoded::v1(
                IDENTIFIER_ADDED,
                &pb::IdentifierAdded {
                    customer_id: customer.to_string(),
                    r#type: wire::identifier_type(*type_).into(),
                    value_sealed: seal.text(VALUE, value)?,
                    system: system.to_owned(),
                    claim_id: claim.0.to_string(),
                    original_customer_id: original_id(original),
                },
            )
        }
        CustomerEvent::ConsentRecorded {
            customer,
            scope,
            grant,
            given_at,
            ..
        } => Encoded::v1(
            CONSENT_RECORDED,
            &pb::ConsentRecorded {
                customer_id: customer.to_string(),
                channel: wire::channel(scope.channel).into(),
                purpose: wire::purpose(scope.purpose).into(),
                legal_basis: wire::legal_basis(grant.legal_basis).into(),
                wording_version: grant.wording_version.as_str().to_owned(),
                source: grant.source.as_str().to_owned(),
                given_time: Some(timestamp::to_proto(*given_at)),
                evidence_reference: grant
                    .evidence
                    .as_ref()
                    .map_or("", Reference::as_str)
                    .to_owned(),
                original_customer_id: original_id(original),
                expire_time: grant.expires_at.map(timestamp::to_proto),
            },
        ),
        CustomerEvent::ConsentWithdrawn {
            customer,
            scope,
            source,
            withdrawn_at,
            ..
        } => Encoded::v1(
            CONSENT_WITHDRAWN,
            &pb::ConsentWithdrawn {
                customer_id: customer.to_string(),
                channel: wire::channel(scope.channel).into(),
                purpose: wire::purpose(scope.purpose).into(),
                source: source.as_str().to_owned(),
                withdrawn_time: Some(timestamp::to_proto(*withdrawn_at)),
                original_customer_id: original_id(original),
            },
        ),
        CustomerEvent::OwnerAssigned {
            customer,
            owner,
            assigned_at,
        } => Encoded::v1(
            OWNER_ASSIGNED,
            &pb::OwnerAssigned {
                customer_id: customer.to_string(),
                employee_id: owner.employee.to_string(),
                role: owner.role.as_str().to_owned(),
                assigned_time: Some(timestamp::to_proto(*assigned_at)),
            },
        ),
        CustomerEvent::OwnerReleased {
            customer,
            released_at,
        } => Encoded::v1(
            OWNER_RELEASED,
            &pb::OwnerReleased {
                customer_id: customer.to_string(),
                released_time: Some(timestamp::to_proto(*released_at)),
            },
        ),
        CustomerEvent::TeamAssigned {
            customer,
            team,
            assigned_at,
        } => Encoded::v1(
            TEAM_ASSIGNED,
            &pb::TeamAssigned {
                customer_id: customer.to_string(),
                team: team.as_ref().map_or("", Label::as_str).to_owned(),
                assigned_time: Some(timestamp::to_proto(*assigned_at)),
            },
        ),
        CustomerEvent::RelationAdded { relation } => Encoded::v1(
            RELATION_ADDED,
            &pb::RelationAdded {
                relation_id: relation.id.0.to_string(),
                r#type: wire::relation_type(relation.type_).into(),
                customer_id: relation.from.to_string(),
                related_customer_id: relation.to.to_string(),
                start_time: Some(timestamp::to_proto(relation.period.start)),
                original_customer_id: original_id(original),
            },
        ),
        CustomerEvent::RelationEnded {
            relation,
            type_,
            from,
            to,
            ended_at,
        } => Encoded::v1(
            RELATION_ENDED,
            &pb::RelationEnded {
                relation_id: relation.0.to_string(),
                r#type: wire::relation_type(*type_).into(),
                customer_id: from.to_string(),
                related_customer_id: to.to_string(),
                end_time: Some(timestamp::to_proto(*ended_at)),
            },
        ),
        CustomerEvent::DescendantAdded {
            customer,
            relation,
            type_,
            descendant,
            started_at,
        } => Encoded::v1(
            DESCENDANT_ADDED,
            &pb::DescendantAdded {
                customer_id: customer.to_string(),
                relation_id: relation.0.to_string(),
                r#type: wire::relation_type(*type_).into(),
                descendant_id: descendant.to_string(),
                start_time: Some(timestamp::to_proto(*started_at)),
            },
        ),
        CustomerEvent::LifecycleStageChanged {
            customer,
            previous,
            lifecycle,
        } => Encoded::v1(
            LIFECYCLE_STAGE_CHANGED,
            &pb::LifecycleStageChanged {
                customer_id: customer.to_string(),
                previous_stage: wire::stage(*previous).into(),
                stage: wire::stage(lifecycle.stage).into(),
                reason: lifecycle
                    .reason
                    .as_ref()
                    .map_or("", Label::as_str)
                    .to_owned(),
                effective_time: Some(timestamp::to_proto(lifecycle.since)),
            },
        ),
        CustomerEvent::ProcessingRestricted {
            customer,
            reason,
            restricted_at,
        } => Encoded::v1(
            PROCESSING_RESTRICTED,
            &pb::ProcessingRestricted {
                customer_id: customer.to_string(),
                reason: wire::restriction_reason(*reason).into(),
                restricted_time: Some(timestamp::to_proto(*restricted_at)),
            },
        ),
        CustomerEvent::RestrictionLifted {
            customer,
            lifted_at,
        } => Encoded::v1(
            RESTRICTION_LIFTED,
            &pb::RestrictionLifted {
                customer_id: customer.to_string(),
                lifted_time: Some(timestamp::to_proto(*lifted_at)),
            },
        ),
        CustomerEvent::Erased { customer, erasure } => Encoded::v1(
            CUSTOMER_ERASED,
            &pb::CustomerErased {
                customer_id: customer.to_string(),
                reason: wire::erasure_reason(erasure.reason).into(),
                erased_time: Some(timestamp::to_proto(erasure.at)),
            },
        ),
        CustomerEvent::IdentifierRemoved {
            customer,
            claim,
            type_,
            ..
        } => Encoded::v1(
            IDENTIFIER_REMOVED,
            &pb::IdentifierRemoved {
                customer_id: customer.to_string(),
                r#type: wire::identifier_type(*type_).into(),
                claim_id: claim.0.to_string(),
                original_customer_id: original_id(original),
            },
        ),
        CustomerEvent::Merged {
            customer,
            survivor,
            at,
        } => Encoded::v1(
            CUSTOMER_MERGED,
            &pb::CustomerMerged {
                customer_id: customer.to_string(),
                surviving_customer_id: survivor.to_string(),
                merged_time: Some(timestamp::to_proto(*at)),
            },
        ),
        CustomerEvent::Unmerged {
            customer,
            survivor,
            at,
        } => Encoded::v1(
            CUSTOMER_UNMERGED,
            &pb::CustomerUnmerged {
                customer_id: customer.to_string(),
                surviving_customer_id: survivor.to_string(),
                unmerged_time: Some(timestamp::to_proto(*at)),
            },
        ),
        CustomerEvent::Absorbed {
            customer,
            absorbed,
            at,
        } => Encoded::v1(
            CUSTOMER_ABSORBED,
            &pb::CustomerAbsorbed {
                customer_id: customer.to_string(),
                absorbed_customer_id: absorbed.customer.to_string(),
                also_absorbed_customer_ids: mergers::ids(&absorbed.also),
                absorbed_time: Some(timestamp::to_proto(*at)),
            },
        ),
        CustomerEvent::Separated {
            customer,
            separated,
            at,
        } => Encoded::v1(
            CUSTOMER_SEPARATED,
            &pb::CustomerSeparated {
                customer_id: customer.to_string(),
                separated_customer_id: separated.customer.to_string(),
                also_separated_customer_ids: mergers::ids(&separated.also),
                separated_time: Some(timestamp::to_proto(*at)),
            },
        ),
        CustomerEvent::ToldOf { original, event } => encoded(event, Some(*original), seal)?,
    })
}

/// The id as a message keeps it; empty for none.
fn original_id(original: Option<CustomerId>) -> String {
    original.map_or_else(String::new, |original| original.to_string())
}

/// The event, as told of one who was merged into the customer where the message says so.
fn told_of(
    stored: &StoredEvent,
    original: &str,
    event: CustomerEvent,
) -> Result<CustomerEvent, DecodeError> {
    if original.is_empty() {
        return Ok(event);
    }
    let original = fields::uuid(stored, "original_customer_id", original)?;
    Ok(CustomerEvent::ToldOf {
        original: CustomerId(original),
        event: Box::new(event),
    })
}

fn identifier_added(
    event: &StoredEvent,
    cipher: &SubjectCipher,
) -> Result<CustomerEvent, DecodeError> {
    let mut message: pb::IdentifierAdded = event.message()?;
    let original = std::mem::take(&mut message.original_customer_id);
    let type_ = fields::known(event, "type", wire::parse_identifier_type(message.r#type))?;
    let value = cipher.open(event.event_id, VALUE, &message.value_sealed)?;
    let told = CustomerEvent::IdentifierAdded {
        customer: fields::customer(event, &message.customer_id)?,
        identifier: OwnedIdentifier {
            claim: ClaimId(fields::uuid(event, "claim_id", &message.claim_id)?),
            type_,
            identifier: value.map(|value| Identifier::from_stored(type_, value, message.system)),
        },
        added_at: event.occurred_at,
    };
    told_of(event, &original, told)
}

fn consent_recorded(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let mut message: pb::ConsentRecorded = event.message()?;
    let original = std::mem::take(&mut message.original_customer_id);
    let told = CustomerEvent::ConsentRecorded {
        customer: fields::customer(event, &message.customer_id)?,
        scope: scope(event, message.channel, message.purpose)?,
        given_at: fields::moment(event, "given_time", message.given_time.as_ref())?,
        grant: Grant {
            legal_basis: fields::known(
                event,
                "legal_basis",
                wire::parse_legal_basis(message.legal_basis),
            )?,
            wording_version: Label::from_stored(message.wording_version),
            source: Label::from_stored(message.source),
            evidence: fields::optional(message.evidence_reference, Reference::from_stored),
            expires_at: match message.expire_time {
                None => None,
                Some(moment) => Some(fields::moment(event, "expire_time", Some(&moment))?),
            },
        },
        event_id: Some(event.event_id),
    };
    told_of(event, &original, told)
}

fn consent_withdrawn(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let mut message: pb::ConsentWithdrawn = event.message()?;
    let original = std::mem::take(&mut message.original_customer_id);
    let told = CustomerEvent::ConsentWithdrawn {
        customer: fields::customer(event, &message.customer_id)?,
        scope: scope(event, message.channel, message.purpose)?,
        source: Label::from_stored(message.source),
        withdrawn_at: fields::moment(event, "withdrawn_time", message.withdrawn_time.as_ref())?,
        event_id: Some(event.event_id),
    };
    told_of(event, &original, told)
}

fn scope(event: &StoredEvent, channel: i32, purpose: i32) -> Result<ConsentScope, DecodeError> {
    Ok(ConsentScope {
        channel: fields::known(event, "channel", wire::parse_channel(channel))?,
        purpose: fields::known(event, "purpose", wire::parse_purpose(purpose))?,
    })
}
