//! The customer: registration, profile, identifiers, consents, stage of life, and who looks after it.

mod command;
mod erasure;
mod event;
mod life;
mod merger;
mod relations;
mod restriction;

use std::collections::BTreeMap;

use aggregate::{Aggregate, CustomerId};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) use command::{CustomerCommand, NewIdentifier, RegisterCustomer};
pub(crate) use event::{CustomerEvent, CustomerRejection, OwnedIdentifier};
pub(crate) use merger::Absorption;

use super::{
    Label,
    consent::{ConsentChange, ConsentHistory, ConsentScope, Grant, Turn},
    erasure::Erasure,
    identifier::ClaimId,
    lifecycle::Lifecycle,
    merger::Mergers,
    office::Office,
    profile::{Affiliation, Kind, Profile, ProfileChange},
    relation::Relation,
    restriction::Restriction,
};

/// A customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Customer {
    registration: Option<Registration>,
    profile: Profile,
    identifiers: Vec<OwnedIdentifier>,
    consents: BTreeMap<ConsentScope, ConsentHistory>,
    /// There is one from the registration on.
    lifecycle: Option<Lifecycle>,
    office: Office,
    relations: Vec<Relation>,
    erasure: Option<Erasure>,
    restriction: Restriction,
    mergers: Mergers,
}

/// What was fixed when the customer was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    /// Id.
    pub(crate) customer: CustomerId,
    /// Person or business.
    pub(crate) kind: Kind,
    /// External or internal.
    pub(crate) affiliation: Affiliation,
    /// When the business came to know the customer.
    pub(crate) registered_at: OffsetDateTime,
}

impl Customer {
    /// The customer that these parts make: what folding the stream would give.
    #[expect(clippy::too_many_arguments, reason = "a part for each field")]
    pub(crate) fn of(
        registration: Option<Registration>,
        profile: Profile,
        identifiers: Vec<OwnedIdentifier>,
        consents: BTreeMap<ConsentScope, ConsentHistory>,
        lifecycle: Option<Lifecycle>,
        office: Office,
        relations: Vec<Relation>,
        erasure: Option<Erasure>,
        restriction: Restriction,
        mergers: Mergers,
    ) -> Self {
        Self {
            registration,
            profile,
            identifiers,
            consents,
            lifecycle,
            office,
            relations,
            erasure,
            restriction,
            mergers,
        }
    }

    /// The registration; none for somebody who is not a customer.
    #[must_use]
    pub(crate) fn registration(&self) -> Option<&Registration> {
        self.registration.as_ref()
    }

    /// What is known of the customer.
    #[must_use]
    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Identifiers in the order of their addition.
    #[must_use]
    pub(crate) fn identifiers(&self) -> &[OwnedIdentifier] {
        &self.identifiers
    }

    /// Consents, ordered by channel and purpose.
    pub(crate) fn consents(&self) -> impl Iterator<Item = (ConsentScope, &ConsentHistory)> {
        self.consents
            .iter()
            .map(|(scope, history)| (*scope, history))
    }

    /// Stage of life; none for somebody who is not a customer.
    #[must_use]
    pub(crate) fn lifecycle(&self) -> Option<&Lifecycle> {
        self.lifecycle.as_ref()
    }

    /// Who looks after the customer.
    #[must_use]
    pub(crate) fn office(&self) -> &Office {
        &self.office
    }

    /// Somebody of whom something can be told.
    fn registered(&self) -> Result<&Registration, CustomerRejection> {
        let registration = self
            .registration
            .as_ref()
            .ok_or(CustomerRejection::NotRegistered)?;
        match (self.erasure, self.mergers.survivor) {
            (Some(_), _) => Err(CustomerRejection::Erased),
            (None, Some(survivor)) => Err(CustomerRejection::Merged { survivor }),
            (None, None) => Ok(registration),
        }
    }

    fn owns(&self, claim: ClaimId) -> bool {
        self.identifiers.iter().any(|owned| owned.claim == claim)
    }

    fn register(
        &self,
        command: &RegisterCustomer,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        if self.registration.is_some() {
            return Err(CustomerRejection::AlreadyRegistered);
        }
        if !command.profile.names(command.kind) {
            return Err(CustomerRejection::NameRequired(command.kind));
        }
        if command.affiliation == Affiliation::Internal && command.kind == Kind::Business {
            return Err(CustomerRejection::InternalBusiness);
        }
        let given = ProfileChange::between(&Profile::default(), &command.profile);
        fits(&given, command.kind)?;
        let mut events = vec![CustomerEvent::Registered {
            customer: command.customer,
            kind: command.kind,
            affiliation: command.affiliation,
            profile: command.profile.clone(),
            registered_at: command.registered_at,
        }];
        let mut claims = Vec::with_capacity(command.identifiers.len());
        for identifier in &command.identifiers {
            if !claims.contains(&identifier.claim) {
                claims.push(identifier.claim);
                events.push(added(command.customer, identifier, command.registered_at));
            }
        }
        Ok(events)
    }

    /// `original` is who was merged into the customer and is told of, if it is not the customer itself. While there is such a one, note is taken also of what
    /// the profile says already because another told it: it stays when that is taken out.
    fn update(
        &self,
        original: Option<CustomerId>,
        change: &ProfileChange,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let Registration { customer, kind, .. } = *self.registered()?;
        let changes = change.against(&self.profile);
        let change = match (&self.mergers.profile, original) {
            (None, _) => changes,
            (Some(layers), None) => changes.or(&change.against(&layers.own())),
            (Some(layers), Some(original)) => {
                changes.or(&change.besides(&layers.told_by(original)))
            }
        };
        if change.is_empty() {
            return Ok(Vec::new());
        }
        fits(&change, kind)?;
        let mut profile = self.profile.clone();
        change.apply(&mut profile);
        if !profile.names(kind) {
            return Err(CustomerRejection::NameRequired(kind));
        }
        Ok(vec![CustomerEvent::ProfileUpdated { customer, change }])
    }

    fn add_identifier(
        &self,
        identifier: &NewIdentifier,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let customer = self.registered()?.customer;
        if self.owns(identifier.claim) {
            return Ok(Vec::new());
        }
        Ok(vec![added(customer, identifier, at)])
    }

    fn record_consent(
        &self,
        original: Option<CustomerId>,
        scope: ConsentScope,
        grant: &Grant,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let customer = self.registered()?.customer;
        let given = Turn::Given(grant.clone());
        if self
            .consents
            .get(&scope)
            .is_some_and(|history| history.has(at, &given, original))
        {
            return Ok(Vec::new());
        }
        Ok(vec![CustomerEvent::ConsentRecorded {
            customer,
            scope,
            grant: grant.clone(),
            given_at: at,
            event_id: None,
        }])
    }

    fn withdraw_consent(
        &self,
        scope: ConsentScope,
        source: &Label,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let customer = self.registered()?.customer;
        let standing = self
            .consents
            .get(&scope)
            .and_then(|history| history.grant_at(at));
        if standing.is_none() {
            return Err(CustomerRejection::NoConsent(scope));
        }
        Ok(vec![CustomerEvent::ConsentWithdrawn {
            customer,
            scope,
            source: source.clone(),
            withdrawn_at: at,
            event_id: None,
        }])
    }

    fn turn_consent(
        &mut self,
        scope: ConsentScope,
        at: OffsetDateTime,
        turn: Turn,
        event_id: Option<Uuid>,
        original: Option<CustomerId>,
    ) {
        let history = self.consents.entry(scope).or_default();
        history.insert(ConsentChange {
            at,
            turn,
            event_id,
            original,
        });
    }

    /// `original` is who was merged into the customer and is told of, if it is not the customer itself.
    fn decide_by(
        &self,
        original: Option<CustomerId>,
        command: &CustomerCommand,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        match command {
            CustomerCommand::Register(command) => self.register(command),
            CustomerCommand::UpdateProfile(change) => self.update(original, change),
            CustomerCommand::AddIdentifier { identifier, at } => {
                self.add_identifier(identifier, *at)
            }
            CustomerCommand::RemoveIdentifier { claim, at } => self.remove_identifier(*claim, *at),
            CustomerCommand::RecordConsent { scope, grant, at } => {
                self.record_consent(original, *scope, grant, *at)
            }
            CustomerCommand::WithdrawConsent { scope, source, at } => {
                self.withdraw_consent(*scope, source, *at)
            }
            CustomerCommand::AssignOwner { owner, at } => self.assign_owner(owner, *at),
            CustomerCommand::ReleaseOwner { at } => self.release_owner(*at),
            CustomerCommand::AssignTeam { team, at } => self.assign_team(team.as_ref(), *at),
            CustomerCommand::AddRelation {
                relation,
                related_kind,
                above,
            } => self.add_relation(relation, *related_kind, above),
            CustomerCommand::TakeRelation(relation) => self.take_relation(relation),
            CustomerCommand::NoteDescendant(relation) => self.note_descendant(relation),
            CustomerCommand::EndRelation { relation, at } => self.end_relation(*relation, *at),
            CustomerCommand::ChangeStage { stage, reason, at } => {
                self.change_stage(*stage, reason.as_ref(), *at)
            }
            CustomerCommand::ReviewStage {
                purchases,
                policy,
                at,
            } => self.review_stage(*purchases, policy, *at),
            CustomerCommand::Restrict { reason, at } => self.restrict(*reason, *at),
            CustomerCommand::LiftRestriction { at } => self.lift_restriction(*at),
            CustomerCommand::Erase(erasure) => self.erase(*erasure),
            CustomerCommand::Merge { survivor, at } => self.merge(*survivor, *at),
            CustomerCommand::Absorb(absorption) => self.absorb(absorption),
            CustomerCommand::Unmerge { told, at } => self.unmerge(told, *at),
            CustomerCommand::Separate { separated, at } => self.separate(*separated, *at),
            CustomerCommand::ToldOf { original, command } => {
                self.decide_told_of(*original, command)
            }
        }
    }

    fn take(&mut self, original: Option<CustomerId>, event: &CustomerEvent) {
        match event {
            CustomerEvent::Registered {
                customer,
                kind,
                affiliation,
                profile,
                registered_at,
            } => {
                self.registration = Some(Registration {
                    customer: *customer,
                    kind: *kind,
                    affiliation: *affiliation,
                    registered_at: *registered_at,
                });
                self.profile = profile.clone();
                self.lifecycle = Some(Lifecycle::begun(*registered_at));
            }
            CustomerEvent::ProfileUpdated { change, .. } => self.take_profile(original, change),
            CustomerEvent::IdentifierAdded { identifier, .. } => {
                self.identifiers.push(identifier.clone());
                if let Some(original) = original {
                    self.mergers.identifiers.insert(identifier.claim, original);
                }
            }
            CustomerEvent::IdentifierRemoved { claim, .. } => {
                self.identifiers.retain(|owned| owned.claim != *claim);
                self.mergers.identifiers.remove(claim);
            }
            CustomerEvent::ConsentRecorded {
                scope,
                grant,
                given_at,
                event_id,
                ..
            } => {
                self.turn_consent(
                    *scope,
                    *given_at,
                    Turn::Given(grant.clone()),
                    *event_id,
                    original,
                );
            }
            CustomerEvent::ConsentWithdrawn {
                scope,
                source,
                withdrawn_at,
                event_id,
                ..
            } => {
                let turn = Turn::Withdrawn {
                    source: source.clone(),
                };
                self.turn_consent(*scope, *withdrawn_at, turn, *event_id, original);
            }
            CustomerEvent::OwnerAssigned {
                owner, assigned_at, ..
            } => self.office.set_owner(Some(owner.clone()), *assigned_at),
            CustomerEvent::OwnerReleased { released_at, .. } => {
                self.office.set_owner(None, *released_at);
            }
            CustomerEvent::TeamAssigned {
                team, assigned_at, ..
            } => self.office.set_team(team.clone(), *assigned_at),
            CustomerEvent::RelationAdded { relation } => {
                self.relations.push(*relation);
                if let Some(original) = original {
                    self.mergers.relations.insert(relation.id, original);
                }
            }
            CustomerEvent::RelationEnded {
                relation, ended_at, ..
            } => self.end(*relation, *ended_at),
            // The version counts it, which is all that it is for.
            CustomerEvent::DescendantAdded { .. } => {}
            CustomerEvent::LifecycleStageChanged { lifecycle, .. } => {
                self.lifecycle = Some(lifecycle.clone());
            }
            CustomerEvent::ProcessingRestricted {
                reason,
                restricted_at,
                ..
            } => {
                self.restriction = Restriction {
                    reason: Some(*reason),
                    since: Some(*restricted_at),
                };
            }
            CustomerEvent::RestrictionLifted { lifted_at, .. } => {
                self.restriction = Restriction {
                    reason: None,
                    since: Some(*lifted_at),
                };
            }
            CustomerEvent::Erased { erasure, .. } => self.wipe(*erasure),
            CustomerEvent::Merged { survivor, .. } => self.mergers.survivor = Some(*survivor),
            CustomerEvent::Unmerged { .. } => self.mergers.survivor = None,
            CustomerEvent::Absorbed { absorbed, .. } => self.take_absorbed(absorbed),
            CustomerEvent::Separated { separated, .. } => self.take_separated(separated.customer),
            // Told late, as of before the merger or after its end, it is nothing of this customer's.
            CustomerEvent::ToldOf { original, event } => {
                if self.mergers.has(*original) {
                    self.take(Some(*original), event);
                }
            }
        }
    }
}

/// Whether all that gets a value is what a customer of this kind can have.
fn fits(change: &ProfileChange, kind: Kind) -> Result<(), CustomerRejection> {
    match change.of_other_kind(kind) {
        Some(field) => Err(CustomerRejection::FieldOfOtherKind { field, kind }),
        None => Ok(()),
    }
}

fn added(
    customer: CustomerId,
    identifier: &NewIdentifier,
    added_at: OffsetDateTime,
) -> CustomerEvent {
    CustomerEvent::IdentifierAdded {
        customer,
        identifier: OwnedIdentifier {
            claim: identifier.claim,
            type_: identifier.identifier.type_(),
            identifier: Some(identifier.identifier.clone()),
        },
        added_at,
    }
}

impl Aggregate for Customer {
    const TYPE: &'static str = "customer";
    type Command = CustomerCommand;
    type Event = CustomerEvent;
    type Rejection = CustomerRejection;

    fn decide(&self, command: &CustomerCommand) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        self.decide_by(None, command)
    }

    fn evolve(&mut self, event: &CustomerEvent) {
        self.take(None, event);
    }
}

#[cfg(test)]
mod tests;
