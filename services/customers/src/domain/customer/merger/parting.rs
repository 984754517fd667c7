//! The end of a merger: what is the other's goes back to it.

use aggregate::{Aggregate as _, CustomerId};
use time::OffsetDateTime;

use super::{consent_event, told_of};
use crate::domain::{
    Customer,
    consent::{ConsentChange, ConsentScope},
    customer::{CustomerEvent, CustomerRejection, OwnedIdentifier},
    merger::{Absorbed, ProfileLayers},
    profile::ProfileChange,
    relation::Relation,
};

/// What a survivor knows of one who was merged into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    profile: Vec<(Option<CustomerId>, ProfileChange)>,
    identifiers: Vec<(Option<CustomerId>, OwnedIdentifier)>,
    consents: Vec<(ConsentScope, ConsentChange)>,
    relations: Vec<Relation>,
}

impl Customer {
    /// What the customer was told of one who was merged into it: what came with that one, and what came by its id since.
    ///
    /// # Errors
    /// [`CustomerRejection::NotAbsorbed`] when the customer does not go on for it.
    pub(crate) fn told_of(&self, absorbed: CustomerId) -> Result<Told, CustomerRejection> {
        let gone = self.absorbed(absorbed)?;
        let own = self.registered()?.customer;
        let as_theirs = |original: CustomerId| (original != absorbed).then_some(original);
        let layers = self.mergers.profile.iter().flat_map(|told| &told.layers);
        Ok(Told {
            profile: layers
                .filter_map(|(original, change)| {
                    let original = original.filter(|original| gone.has(*original))?;
                    Some((as_theirs(original), change.clone()))
                })
                .collect(),
            identifiers: self
                .identifiers_of(gone)
                .map(|(original, identifier)| (as_theirs(original), identifier.clone()))
                .collect(),
            consents: self
                .consents
                .iter()
                .flat_map(|(scope, history)| {
                    history.changes().iter().map(move |change| (*scope, change))
                })
                .filter_map(|(scope, change)| {
                    let original = change.original.filter(|original| gone.has(*original))?;
                    let original = as_theirs(original);
                    let change = ConsentChange {
                        original,
                        event_id: None,
                        ..change.clone()
                    };
                    Some((scope, change))
                })
                .collect(),
            relations: self
                .relations
                .iter()
                .filter(|relation| self.mergers.relations.contains_key(&relation.id))
                .map(|relation| relation.with(own, absorbed))
                .collect(),
        })
    }

    /// The identifiers that came with one of those merged into the customer, or by its id.
    pub(crate) fn identifiers_of<'a>(
        &'a self,
        absorbed: &'a Absorbed,
    ) -> impl Iterator<Item = (CustomerId, &'a OwnedIdentifier)> {
        self.identifiers.iter().filter_map(|identifier| {
            let original = self.mergers.identifiers.get(&identifier.claim)?;
            absorbed.has(*original).then_some((*original, identifier))
        })
    }

    /// One of those who were merged into the customer.
    ///
    /// # Errors
    /// [`CustomerRejection::NotAbsorbed`] when it was not, or not at once.
    pub(crate) fn absorbed(&self, customer: CustomerId) -> Result<&Absorbed, CustomerRejection> {
        let mut absorbed = self.mergers.absorbed.iter();
        absorbed
            .find(|one| one.customer == customer)
            .ok_or(CustomerRejection::NotAbsorbed(customer))
    }

    /// The customer goes on by itself again, with what it had, and with what was told of it meanwhile.
    pub(in crate::domain::customer) fn unmerge(
        &self,
        told: &Told,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let registration = self.registration.ok_or(CustomerRejection::NotRegistered)?;
        if self.erasure.is_some() {
            return Err(CustomerRejection::Erased);
        }
        let customer = registration.customer;
        let survivor = self.mergers.survivor;
        let survivor = survivor.ok_or(CustomerRejection::NotMerged)?;
        let mut next = self.clone();
        let mut events = Vec::new();
        let mut then = |next: &mut Self, event: CustomerEvent| {
            next.evolve(&event);
            events.push(event);
        };
        then(
            &mut next,
            CustomerEvent::Unmerged {
                customer,
                survivor,
                at,
            },
        );
        for (original, change) in &told.profile {
            for event in next.retold(*original, change)? {
                then(&mut next, told_of(*original, event));
            }
        }
        let has = |claim| told.identifiers.iter().any(|(_, told)| told.claim == claim);
        for lost in self.identifiers.iter().filter(|own| !has(own.claim)) {
            then(&mut next, self.removed(customer, lost, at));
        }
        for (original, identifier) in &told.identifiers {
            if !next.owns(identifier.claim) {
                let added = CustomerEvent::IdentifierAdded {
                    customer,
                    identifier: identifier.clone(),
                    added_at: at,
                };
                then(&mut next, told_of(*original, added));
            }
        }
        for (scope, change) in &told.consents {
            let history = next.consents.get(scope);
            let known =
                history.is_some_and(|known| known.has(change.at, &change.turn, change.original));
            if !known {
                let event = consent_event(customer, *scope, change);
                then(&mut next, told_of(change.original, event));
            }
        }
        for relation in &told.relations {
            let lasts = |own: &&Relation| own.id == relation.id && own.period.end.is_none();
            if self.relations.iter().any(|own| lasts(&own))
                && let Some(ended) = relation.ended()
            {
                then(&mut next, ended);
            }
        }
        Ok(events)
    }

    /// What is told again of the profile; but for names, where none would be left.
    fn retold(
        &self,
        original: Option<CustomerId>,
        change: &ProfileChange,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        match self.update(original, change) {
            Err(CustomerRejection::NameRequired(_)) => {
                self.update(original, &change.clone().without_names())
            }
            told => told,
        }
    }

    /// The customer no longer goes on for another. What is the other's stands before the end, so that whoever follows the profile and the identifiers alone has
    /// them right.
    pub(in crate::domain::customer) fn separate(
        &self,
        separated: CustomerId,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let registration = *self.registered()?;
        let customer = registration.customer;
        let gone = self.absorbed(separated)?;
        let mut events = Vec::new();
        let layers = self.mergers.profile.clone();
        let mut layers = layers.unwrap_or_else(|| ProfileLayers::on(self.profile.clone()));
        layers.take_out(gone);
        if !layers.profile().names(registration.kind) {
            // Nobody is left without a name: the one that there is stays.
            let all = ProfileChange::between(&layers.profile(), &self.profile);
            let names = all.clone().without(&all.without_names());
            layers.tell(None, &names);
            events.push(CustomerEvent::ProfileUpdated {
                customer,
                change: names,
            });
        }
        let change = ProfileChange::between(&self.profile, &layers.profile());
        if !change.is_empty() {
            let restored = CustomerEvent::ProfileUpdated { customer, change };
            events.push(told_of(Some(separated), restored));
        }
        events.extend(
            self.identifiers_of(gone)
                .map(|(_, identifier)| self.removed(customer, identifier, at)),
        );
        events.push(CustomerEvent::Separated {
            customer,
            separated: gone.clone(),
            at,
        });
        Ok(events)
    }
}
