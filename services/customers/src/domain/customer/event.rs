//! What can have happened to a customer, and why the domain says no.

use aggregate::CustomerId;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{
    Label,
    consent::{ConsentScope, Grant},
    identifier::{ClaimId, Identifier, IdentifierType},
    profile::{Kind, Profile, ProfileChange},
};

/// What can have happened to a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CustomerEvent {
    /// Somebody became a customer. First event of the stream.
    Registered {
        /// Id.
        customer: CustomerId,
        /// Person or business.
        kind: Kind,
        /// Profile.
        profile: Profile,
        /// When the business came to know the customer.
        registered_at: OffsetDateTime,
    },
    /// The profile changed.
    ProfileUpdated {
        /// Whose.
        customer: CustomerId,
        /// What of it.
        change: ProfileChange,
    },
    /// The customer got an identifier.
    IdentifierAdded {
        /// Who.
        customer: CustomerId,
        /// The identifier.
        identifier: OwnedIdentifier,
        /// When.
        added_at: OffsetDateTime,
    },
    /// The customer agreed to be contacted.
    ConsentRecorded {
        /// Who.
        customer: CustomerId,
        /// For what.
        scope: ConsentScope,
        /// How.
        grant: Grant,
        /// When it was given.
        given_at: OffsetDateTime,
        /// Id of this event in the log; none while it is only decided.
        event_id: Option<Uuid>,
    },
    /// The customer no longer agrees to be contacted.
    ConsentWithdrawn {
        /// Who.
        customer: CustomerId,
        /// For what.
        scope: ConsentScope,
        /// Where it was withdrawn.
        source: Label,
        /// When it was withdrawn.
        withdrawn_at: OffsetDateTime,
        /// Id of this event in the log; none while it is only decided.
        event_id: Option<Uuid>,
    },
}

/// An identifier that a customer owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnedIdentifier {
    /// The claim on it.
    pub(crate) claim: ClaimId,
    /// What it is.
    pub(crate) type_: IdentifierType,
    /// The identifier; none once the customer was erased.
    pub(crate) identifier: Option<Identifier>,
}

/// Why the domain says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CustomerRejection {
    /// The id is taken.
    #[error("the customer is registered already")]
    AlreadyRegistered,
    /// There is no such customer.
    #[error("there is no such customer")]
    NotRegistered,
    /// The customer would be left without a name.
    #[error("{}", match .0 {
        Kind::Person => "a person needs a given or a family name",
        Kind::Business => "a business needs a legal name",
    })]
    NameRequired(Kind),
    /// There is nothing to withdraw.
    #[error("no consent stood at that time")]
    NoConsent(ConsentScope),
}
