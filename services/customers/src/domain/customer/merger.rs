//! Mergers: a customer goes on for another, and gives back what is the other's when that is undone.
//!
//! What comes from another or is told by its id is [`CustomerEvent::ToldOf`] it, so that it can be told apart for as long as the merger lasts. One event of the
//! survivor's stream thus says everything of it, whatever the other's stream says.

mod parting;

use std::collections::{BTreeMap, BTreeSet};

use aggregate::CustomerId;
use time::OffsetDateTime;

pub(crate) use parting::Told;

use super::{Customer, CustomerCommand, CustomerEvent, CustomerRejection, OwnedIdentifier};
use crate::domain::{
    consent::{ConsentChange, ConsentScope, Turn},
    identifier::ClaimId,
    merger::{Absorbed, Mergers, ProfileLayers},
    profile::{ProfileChange, ProfileFields},
    relation::{Relation, RelationId, RelationType},
};

/// Ids that lead to one customer.
const ABSORBED_MAX: usize = 100;

/// What is needed to merge another customer into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Absorption {
    /// Who is merged, as it is.
    pub(crate) duplicate: Customer,
    /// What of its profile is taken though both have it.
    pub(crate) fields: ProfileFields,
    /// Of each relation that comes with it and makes a hierarchy: who stands above the second of the two meanwhile, itself among them.
    pub(crate) above: BTreeMap<RelationId, BTreeSet<CustomerId>>,
    /// When.
    pub(crate) at: OffsetDateTime,
}

/// What is told of one who was merged into another, or of the other itself.
fn told_of(original: Option<CustomerId>, event: CustomerEvent) -> CustomerEvent {
    match original {
        None => event,
        Some(original) => CustomerEvent::ToldOf {
            original,
            event: Box::new(event),
        },
    }
}

impl Customer {
    /// Who goes on for whom.
    #[must_use]
    pub(crate) fn mergers(&self) -> &Mergers {
        &self.mergers
    }

    /// A command that came by the id of one who was merged into the customer. What it leads to goes back to that one when the merger is undone, as far as it
    /// is of the profile, an identifier or consent.
    pub(super) fn decide_told_of(
        &self,
        original: CustomerId,
        command: &CustomerCommand,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        self.registered()?;
        if !self.mergers.has(original) {
            return Err(CustomerRejection::NotAbsorbed(original));
        }
        let events = self.decide_by(Some(original), command)?;
        Ok(events
            .into_iter()
            .map(|event| {
                if goes_back(&event) {
                    told_of(Some(original), event)
                } else {
                    event
                }
            })
            .collect())
    }

    /// The customer ends to go on by itself.
    pub(super) fn merge(
        &self,
        survivor: CustomerId,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let customer = self.registered()?.customer;
        if customer == survivor {
            return Err(CustomerRejection::MergedIntoItself);
        }
        if self.restriction.reason.is_some() {
            return Err(CustomerRejection::ProcessingRestricted);
        }
        Ok(vec![CustomerEvent::Merged {
            customer,
            survivor,
            at,
        }])
    }

    /// The relations that would come with a duplicate, as this customer's. What it has already does not come again, nor does a second referral.
    ///
    /// # Errors
    /// [`CustomerRejection::RelationCycle`] when one of the two stands above the other at once, [`CustomerRejection::ParentExists`] when both belong to
    /// companies of which one would be too many.
    pub(crate) fn brought(&self, duplicate: &Self) -> Result<Vec<Relation>, CustomerRejection> {
        let (Some(ours), Some(theirs)) = (self.registration, duplicate.registration) else {
            return Err(CustomerRejection::NotRegistered);
        };
        let (ours, theirs) = (ours.customer, theirs.customer);
        let one_of = |mergers: &Mergers, id, party| party == id || mergers.has(party);
        let mut brought = Vec::new();
        for relation in &duplicate.relations {
            let other = relation.other_than(theirs);
            if one_of(&self.mergers, ours, other) || one_of(&duplicate.mergers, theirs, other) {
                if relation.type_.is_hierarchy() {
                    return Err(CustomerRejection::RelationCycle);
                }
                continue;
            }
            let relation = relation.with(theirs, ours);
            let same_line = |known: &&Relation| {
                known.type_ == relation.type_
                    && known.from == relation.from
                    && ours == relation.from
            };
            let mut meanwhile = self
                .relations
                .iter()
                .filter(|known| known.period.meet(relation.period).is_some());
            if meanwhile
                .clone()
                .any(|known| known.says_the_same_as(&relation))
            {
                continue;
            }
            let type_ = relation.type_;
            if type_ == RelationType::SubsidiaryOf && meanwhile.any(|known| same_line(&known)) {
                return Err(CustomerRejection::ParentExists);
            }
            let referred = self.relations.iter().any(|known| same_line(&known));
            if type_ != RelationType::ReferredBy || !referred {
                brought.push(relation);
            }
        }
        Ok(brought)
    }

    /// The customer goes on for another, too.
    pub(super) fn absorb(
        &self,
        absorption: &Absorption,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let registration = *self.registered()?;
        let duplicate = &absorption.duplicate;
        let other = *duplicate.registered()?;
        if registration.kind != other.kind {
            return Err(CustomerRejection::KindsDiffer);
        }
        if registration.affiliation != other.affiliation {
            return Err(CustomerRejection::AffiliationsDiffer);
        }
        if self.restriction.reason.is_some() {
            return Err(CustomerRejection::ProcessingRestricted);
        }
        let absorbed = Absorbed {
            customer: other.customer,
            also: duplicate.mergers.ids().collect(),
        };
        if self.mergers.ids().count() + absorbed.all().count() > ABSORBED_MAX {
            return Err(CustomerRejection::TooManyMerged);
        }
        let brought = self.brought(duplicate)?;
        let makes_circle = |relation: &Relation| {
            let above = absorption.above.get(&relation.id);
            above.is_some_and(|above| above.contains(&relation.from))
        };
        if brought.iter().any(makes_circle) {
            return Err(CustomerRejection::RelationCycle);
        }
        let customer = registration.customer;
        let mut events = vec![CustomerEvent::Absorbed {
            customer,
            absorbed,
            at: absorption.at,
        }];
        let change = absorption.fields.taken(&self.profile, &duplicate.profile);
        if !change.is_empty() {
            let updated = CustomerEvent::ProfileUpdated { customer, change };
            events.push(told_of(Some(other.customer), updated));
        }
        events.extend(duplicate.identifiers.iter().map(|identifier| {
            let original = duplicate.mergers.identifiers.get(&identifier.claim);
            let added = CustomerEvent::IdentifierAdded {
                customer,
                identifier: identifier.clone(),
                added_at: absorption.at,
            };
            told_of(Some(*original.unwrap_or(&other.customer)), added)
        }));
        for (scope, history) in &duplicate.consents {
            events.extend(history.changes().iter().map(|change| {
                let original = change.original.unwrap_or(other.customer);
                told_of(Some(original), consent_event(customer, *scope, change))
            }));
        }
        for relation in brought {
            let original = duplicate.mergers.relations.get(&relation.id);
            let original = Some(*original.unwrap_or(&other.customer));
            let ended = relation.ended();
            let lasting = relation.without_end();
            events.push(told_of(
                original,
                CustomerEvent::RelationAdded { relation: lasting },
            ));
            events.extend(ended);
        }
        Ok(events)
    }

    pub(super) fn remove_identifier(
        &self,
        claim: ClaimId,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let customer = self.registered()?.customer;
        let mut identifiers = self.identifiers.iter();
        let identifier = identifiers
            .find(|owned| owned.claim == claim)
            .ok_or(CustomerRejection::NoSuchIdentifier)?;
        Ok(vec![self.removed(customer, identifier, at)])
    }

    fn removed(
        &self,
        customer: CustomerId,
        identifier: &OwnedIdentifier,
        removed_at: OffsetDateTime,
    ) -> CustomerEvent {
        let original = self.mergers.identifiers.get(&identifier.claim);
        let removed = CustomerEvent::IdentifierRemoved {
            customer,
            claim: identifier.claim,
            type_: identifier.type_,
            removed_at,
        };
        told_of(original.copied(), removed)
    }

    pub(super) fn take_absorbed(&mut self, absorbed: &Absorbed) {
        let profile = &self.profile;
        self.mergers
            .profile
            .get_or_insert_with(|| ProfileLayers::on(profile.clone()));
        self.mergers.absorbed.push(absorbed.clone());
    }

    pub(super) fn take_separated(&mut self, separated: CustomerId) {
        let mut absorbed = self.mergers.absorbed.iter();
        let Some(place) = absorbed.position(|one| one.customer == separated) else {
            return;
        };
        let gone = self.mergers.absorbed.remove(place);
        let mergers = &mut self.mergers;
        let theirs = |original: Option<&CustomerId>| original.is_some_and(|one| gone.has(*one));
        self.identifiers
            .retain(|identifier| !theirs(mergers.identifiers.get(&identifier.claim)));
        self.relations
            .retain(|relation| !theirs(mergers.relations.get(&relation.id)));
        mergers
            .identifiers
            .retain(|_, original| !theirs(Some(original)));
        mergers
            .relations
            .retain(|_, original| !theirs(Some(original)));
        for history in self.consents.values_mut() {
            history.take_out(|original| gone.has(original));
        }
        self.consents.retain(|_, history| !history.is_empty());
        if let Some(layers) = &mut mergers.profile {
            layers.take_out(&gone);
            self.profile = layers.profile();
        }
        if mergers.absorbed.is_empty() {
            mergers.profile = None;
        }
    }

    pub(super) fn take_profile(&mut self, original: Option<CustomerId>, change: &ProfileChange) {
        match &mut self.mergers.profile {
            None => change.apply(&mut self.profile),
            Some(layers) => {
                layers.tell(original, change);
                self.profile = layers.profile();
            }
        }
    }
}

/// Whether what is told by the id of one who was merged goes back to it.
fn goes_back(event: &CustomerEvent) -> bool {
    matches!(
        event,
        CustomerEvent::ProfileUpdated { .. }
            | CustomerEvent::IdentifierAdded { .. }
            | CustomerEvent::ConsentRecorded { .. }
            | CustomerEvent::ConsentWithdrawn { .. }
    )
}

fn consent_event(
    customer: CustomerId,
    scope: ConsentScope,
    change: &ConsentChange,
) -> CustomerEvent {
    match &change.turn {
        Turn::Given(grant) => CustomerEvent::ConsentRecorded {
            customer,
            scope,
            grant: grant.clone(),
            given_at: change.at,
            event_id: None,
        },
        Turn::Withdrawn { source } => CustomerEvent::ConsentWithdrawn {
            customer,
            scope,
            source: source.clone(),
            withdrawn_at: change.at,
            event_id: None,
        },
    }
}

#[cfg(test)]
mod tests;
