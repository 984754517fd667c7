//! What may be asked of a customer's record.

use std::collections::BTreeSet;

use aggregate::CustomerId;
use time::OffsetDateTime;

use super::merger::{Absorption, Told};
use crate::domain::{
    Label,
    consent::{ConsentScope, Grant},
    erasure::Erasure,
    identifier::{ClaimId, Identifier},
    lifecycle::{Purchases, SilencePolicy, Stage},
    office::Owner,
    profile::{Affiliation, Kind, Profile, ProfileChange},
    relation::{Relation, RelationId},
    restriction::RestrictionReason,
};

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CustomerCommand {
    /// Makes somebody a customer.
    Register(RegisterCustomer),
    /// Changes the profile.
    UpdateProfile(ProfileChange),
    /// Adds an identifier, whose claim is made in the same step.
    AddIdentifier {
        /// The identifier.
        identifier: NewIdentifier,
        /// When.
        at: OffsetDateTime,
    },
    /// Takes an identifier away, whose claim is released in the same step.
    RemoveIdentifier {
        /// The claim on it.
        claim: ClaimId,
        /// When.
        at: OffsetDateTime,
    },
    /// Records that consent was given.
    RecordConsent {
        /// For what.
        scope: ConsentScope,
        /// How.
        grant: Grant,
        /// When.
        at: OffsetDateTime,
    },
    /// Withdraws consent.
    WithdrawConsent {
        /// For what.
        scope: ConsentScope,
        /// Where.
        source: Label,
        /// When.
        at: OffsetDateTime,
    },
    /// Makes an employee the front-office owner.
    AssignOwner {
        /// Who, in which role. That it is an employee was seen to.
        owner: Owner,
        /// When.
        at: OffsetDateTime,
    },
    /// Leaves the customer without a front-office owner.
    ReleaseOwner {
        /// When.
        at: OffsetDateTime,
    },
    /// Makes a team the back office, or none.
    AssignTeam {
        /// Which.
        team: Option<Label>,
        /// When.
        at: OffsetDateTime,
    },
    /// Relates the customer, who is the first of the two, to another.
    AddRelation {
        /// The relation.
        relation: Relation,
        /// What the other is.
        related_kind: Kind,
        /// Who stands above the other meanwhile, where the relation makes a hierarchy; itself among them.
        above: BTreeSet<CustomerId>,
    },
    /// Relates the customer, who is the second of the two, as the first has decided.
    TakeRelation(Relation),
    /// Takes note of one who came to stand below the customer through others.
    NoteDescendant(Relation),
    /// Ends a relation.
    EndRelation {
        /// Which.
        relation: RelationId,
        /// When.
        at: OffsetDateTime,
    },
    /// Moves the customer to another stage of life.
    ChangeStage {
        /// Which.
        stage: Stage,
        /// Why.
        reason: Option<Label>,
        /// When.
        at: OffsetDateTime,
    },
    /// Moves the customer to the stages of life that follow from what was bought and from silence.
    ReviewStage {
        /// What was bought; none when nothing was.
        purchases: Option<Purchases>,
        /// What counts as silence.
        policy: SilencePolicy,
        /// When.
        at: OffsetDateTime,
    },
    /// Restricts processing.
    Restrict {
        /// Why.
        reason: RestrictionReason,
        /// When.
        at: OffsetDateTime,
    },
    /// Lifts the restriction of processing.
    LiftRestriction {
        /// When.
        at: OffsetDateTime,
    },
    /// Lets everything personal go.
    Erase(Erasure),
    /// Merges the customer into another, which takes it over in the same step.
    Merge {
        /// Who goes on for both.
        survivor: CustomerId,
        /// When.
        at: OffsetDateTime,
    },
    /// Takes over another, which is merged in the same step.
    Absorb(Box<Absorption>),
    /// Lets the customer go on by itself again, which the survivor separates from in the same step.
    Unmerge {
        /// What the survivor was told of it.
        told: Box<Told>,
        /// When.
        at: OffsetDateTime,
    },
    /// Lets go one who was merged into the customer.
    Separate {
        /// Who.
        separated: CustomerId,
        /// When.
        at: OffsetDateTime,
    },
    /// Any other command, which came by the id of one who was merged into the customer.
    ToldOf {
        /// Whose id.
        original: CustomerId,
        /// The command.
        command: Box<CustomerCommand>,
    },
}

/// Makes somebody a customer. Identifiers that are named twice count once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegisterCustomer {
    /// Id.
    pub(crate) customer: CustomerId,
    /// Person or business.
    pub(crate) kind: Kind,
    /// External or internal.
    pub(crate) affiliation: Affiliation,
    /// Profile, with the name that the kind asks for.
    pub(crate) profile: Profile,
    /// Identifiers, whose claims are made in the same step.
    pub(crate) identifiers: Vec<NewIdentifier>,
    /// When the business came to know the customer.
    pub(crate) registered_at: OffsetDateTime,
}

/// An identifier and the stream of the claim on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewIdentifier {
    /// The claim.
    pub(crate) claim: ClaimId,
    /// The identifier.
    pub(crate) identifier: Identifier,
}
