//! What can have happened to a customer, and why the domain says no.

use aggregate::CustomerId;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{
    Label,
    consent::{ConsentScope, Grant},
    erasure::Erasure,
    identifier::{ClaimId, Identifier, IdentifierType},
    lifecycle::{Lifecycle, Stage},
    merger::Absorbed,
    office::Owner,
    profile::{Affiliation, Kind, Profile, ProfileChange},
    relation::{Relation, RelationId, RelationType},
    restriction::RestrictionReason,
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
        /// External or internal.
        affiliation: Affiliation,
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
    /// The customer no longer has an identifier.
    IdentifierRemoved {
        /// Who.
        customer: CustomerId,
        /// The claim on it.
        claim: ClaimId,
        /// What it was.
        type_: IdentifierType,
        /// When.
        removed_at: OffsetDateTime,
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
    /// An employee owns the contact with the customer now.
    OwnerAssigned {
        /// Whose.
        customer: CustomerId,
        /// Who, in which role.
        owner: Owner,
        /// Since when.
        assigned_at: OffsetDateTime,
    },
    /// Nobody owns the contact with the customer any more.
    OwnerReleased {
        /// Whose.
        customer: CustomerId,
        /// Since when.
        released_at: OffsetDateTime,
    },
    /// A back-office team serves the customer now, or none.
    TeamAssigned {
        /// Whom.
        customer: CustomerId,
        /// Which.
        team: Option<Label>,
        /// Since when.
        assigned_at: OffsetDateTime,
    },
    /// The customer is related to another.
    RelationAdded {
        /// How, and since when.
        relation: Relation,
    },
    /// The customer is no longer related to another.
    RelationEnded {
        /// Which relation.
        relation: RelationId,
        /// What it was.
        type_: RelationType,
        /// The first of the two.
        from: CustomerId,
        /// The second.
        to: CustomerId,
        /// Until when.
        ended_at: OffsetDateTime,
    },
    /// Somebody came to stand below the customer through others.
    DescendantAdded {
        /// Below whom.
        customer: CustomerId,
        /// The relation by which it came.
        relation: RelationId,
        /// What it is.
        type_: RelationType,
        /// Who came.
        descendant: CustomerId,
        /// Since when.
        started_at: OffsetDateTime,
    },
    /// The customer came to another stage of life.
    LifecycleStageChanged {
        /// Who.
        customer: CustomerId,
        /// The stage before.
        previous: Stage,
        /// The stage now.
        lifecycle: Lifecycle,
    },
    /// What is known of the customer may be kept, and not be processed.
    ProcessingRestricted {
        /// Whose.
        customer: CustomerId,
        /// Why.
        reason: RestrictionReason,
        /// Since when.
        restricted_at: OffsetDateTime,
    },
    /// Processing is no longer restricted.
    RestrictionLifted {
        /// Whose.
        customer: CustomerId,
        /// Since when.
        lifted_at: OffsetDateTime,
    },
    /// Everything personal of the customer went.
    Erased {
        /// Whose.
        customer: CustomerId,
        /// Why and when.
        erasure: Erasure,
    },
    /// Another goes on for the customer.
    Merged {
        /// Who.
        customer: CustomerId,
        /// Who goes on.
        survivor: CustomerId,
        /// When.
        at: OffsetDateTime,
    },
    /// The customer goes on by itself again.
    Unmerged {
        /// Who.
        customer: CustomerId,
        /// Who had gone on for it.
        survivor: CustomerId,
        /// When.
        at: OffsetDateTime,
    },
    /// The customer goes on for another.
    Absorbed {
        /// Who.
        customer: CustomerId,
        /// For whom.
        absorbed: Absorbed,
        /// When.
        at: OffsetDateTime,
    },
    /// The customer no longer goes on for another.
    Separated {
        /// Who.
        customer: CustomerId,
        /// For whom it had.
        separated: Absorbed,
        /// When.
        at: OffsetDateTime,
    },
    /// What came from one who was merged into the customer, or was told by its id: of the profile, identifiers, consents and relations.
    ToldOf {
        /// Whose id.
        original: CustomerId,
        /// What was told.
        event: Box<CustomerEvent>,
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
    /// The customer was erased.
    #[error("the customer was erased")]
    Erased,
    /// What is known must be kept.
    #[error("processing is restricted: what is known must be kept until that is lifted")]
    ProcessingRestricted,
    /// The customer would be left without a name.
    #[error("{}", match .0 {
        Kind::Person => "a person needs a given or a family name",
        Kind::Business => "a business needs a legal name",
    })]
    NameRequired(Kind),
    /// Only the other kind of customer has that.
    #[error("{field} is nothing that a {} has", match .kind {
        Kind::Person => "person",
        Kind::Business => "business",
    })]
    FieldOfOtherKind {
        /// Field of the profile.
        field: &'static str,
        /// What the customer is.
        kind: Kind,
    },
    /// There is nothing to withdraw.
    #[error("no consent stood at that time")]
    NoConsent(ConsentScope),
    /// A business is not an employee.
    #[error("a business cannot be internal")]
    InternalBusiness,
    /// Nobody looks after themselves.
    #[error("the customer cannot be its own owner")]
    OwnsItself,
    /// The stage does not follow on the present one.
    #[error("no customer comes from {from:?} to {to:?}")]
    StageNotReachable {
        /// The present stage.
        from: Stage,
        /// The one asked for.
        to: Stage,
    },
    /// Somebody was lost and nobody says why.
    #[error("a loss needs a reason")]
    ReasonRequired,
    /// The relation would lead back to where it begins.
    #[error("the relation would lead back to the customer itself")]
    RelationCycle,
    /// One is a person and should be a business, or the other way round.
    #[error("{0:?} does not relate what these two are")]
    RelationKinds(RelationType),
    /// The two are related so already.
    #[error("the two are related so at that time already")]
    RelationExists,
    /// A business belongs to one parent company at a time.
    #[error("the business belongs to another parent company at that time")]
    ParentExists,
    /// Nobody is referred twice.
    #[error("the customer was referred by somebody already")]
    ReferrerExists,
    /// The customer has no such relation.
    #[error("the customer has no such relation")]
    NoSuchRelation(RelationId),
    /// It ended at another moment.
    #[error("the relation ended at another moment already")]
    RelationEnded,
    /// Who referred whom does not change.
    #[error("a referral does not end")]
    RelationPermanent,
    /// Another goes on for the customer.
    #[error("the customer was merged into {survivor}")]
    Merged {
        /// Who.
        survivor: CustomerId,
    },
    /// Nobody goes on for the customer.
    #[error("the customer is not merged into another")]
    NotMerged,
    /// It goes on for somebody else, or by itself.
    #[error("the customer does not go on for {0}")]
    NotAbsorbed(CustomerId),
    /// Both are one already.
    #[error("the two are one already")]
    MergedIntoItself,
    /// One is a person, the other a business.
    #[error("a person and a business are not one and the same")]
    KindsDiffer,
    /// One is an employee, the other is not.
    #[error("an employee and somebody outside the business are not merged")]
    AffiliationsDiffer,
    /// Too many ids lead to one customer.
    #[error("more than 100 customers would be merged into one")]
    TooManyMerged,
    /// The customer does not have it.
    #[error("the customer does not have the identifier")]
    NoSuchIdentifier,
    /// Something later was told already.
    #[error("it is before {last}, which was told already")]
    OutOfOrder {
        /// When that was.
        last: OffsetDateTime,
    },
}
