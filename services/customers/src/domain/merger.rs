//! Customers who turned out to be one and the same: who goes on for whom, and what came from whom, so that a merger can be undone.

use std::collections::BTreeMap;

use aggregate::CustomerId;

use super::{
    identifier::ClaimId,
    profile::{Profile, ProfileChange},
    relation::RelationId,
};

/// What a customer has to do with mergers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mergers {
    /// Who goes on for the customer; none where it goes on by itself.
    pub(crate) survivor: Option<CustomerId>,
    /// For whom the customer goes on, in the order in which they came.
    pub(crate) absorbed: Vec<Absorbed>,
    /// The profile by who told what of it, while the customer goes on for somebody.
    pub(crate) profile: Option<ProfileLayers>,
    /// Which identifiers came from whom.
    pub(crate) identifiers: BTreeMap<ClaimId, CustomerId>,
    /// Which relations came with whom.
    pub(crate) relations: BTreeMap<RelationId, CustomerId>,
}

/// Somebody who was merged into a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Absorbed {
    /// Who.
    pub(crate) customer: CustomerId,
    /// Who had been merged into that one before, and so on.
    pub(crate) also: Vec<CustomerId>,
}

impl Absorbed {
    /// All whose ids came with it, its own first.
    pub(crate) fn all(&self) -> impl Iterator<Item = CustomerId> {
        std::iter::once(self.customer).chain(self.also.iter().copied())
    }

    /// Whether an id came with it.
    #[must_use]
    pub(crate) fn has(&self, customer: CustomerId) -> bool {
        self.all().any(|one| one == customer)
    }
}

impl Mergers {
    /// All whose ids lead to the customer, but its own.
    pub(crate) fn ids(&self) -> impl Iterator<Item = CustomerId> {
        self.absorbed.iter().flat_map(Absorbed::all)
    }

    /// Whether an id leads to the customer, that is not its own.
    #[must_use]
    pub(crate) fn has(&self, customer: CustomerId) -> bool {
        self.absorbed.iter().any(|one| one.has(customer))
    }
}

/// A profile of which several told, each by an id of its own. What was told last counts, and what one of them told can be taken out again: the profile is
/// then what it would be if that had never been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProfileLayers {
    /// What the customer's own id had before any other came.
    pub(crate) base: Profile,
    /// What was told since, in that order; none for the customer's own id. Of one id each field stands in one layer at most.
    pub(crate) layers: Vec<(Option<CustomerId>, ProfileChange)>,
}

impl ProfileLayers {
    /// Nothing was told yet.
    #[must_use]
    pub(crate) fn on(base: Profile) -> Self {
        Self {
            base,
            layers: Vec::new(),
        }
    }

    /// Takes over what is told by an id.
    pub(crate) fn tell(&mut self, original: Option<CustomerId>, change: &ProfileChange) {
        for (told_by, layer) in &mut self.layers {
            if *told_by == original {
                *layer = layer.without(change);
            }
        }
        self.layers.retain(|(_, layer)| !layer.is_empty());
        self.layers.push((original, change.clone()));
    }

    /// Takes out what was told by these ids.
    pub(crate) fn take_out(&mut self, gone: &Absorbed) {
        self.layers
            .retain(|(told_by, _)| !told_by.is_some_and(|told_by| gone.has(told_by)));
    }

    /// The profile as it is.
    #[must_use]
    pub(crate) fn profile(&self) -> Profile {
        let mut profile = self.base.clone();
        for (_, layer) in &self.layers {
            layer.apply(&mut profile);
        }
        profile
    }

    /// What the profile would be if nobody but the customer's own id had told of it.
    #[must_use]
    pub(crate) fn own(&self) -> Profile {
        let mut profile = self.base.clone();
        for (told_by, layer) in &self.layers {
            if told_by.is_none() {
                layer.apply(&mut profile);
            }
        }
        profile
    }

    /// What was last told by an id, field by field.
    #[must_use]
    pub(crate) fn told_by(&self, original: CustomerId) -> ProfileChange {
        let mut told = ProfileChange::default();
        for (told_by, layer) in &self.layers {
            if *told_by == Some(original) {
                told = layer.or(&told);
            }
        }
        told
    }
}
