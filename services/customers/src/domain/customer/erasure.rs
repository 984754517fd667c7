//! Erasure: nothing personal is left of the customer, and nothing is told of it any more.

use super::{Customer, CustomerEvent, CustomerRejection};
use crate::domain::{
    Label,
    consent::Turn,
    erasure::{Erasure, ErasureReason},
    merger::ProfileLayers,
    office::Office,
    profile::Profile,
    restriction::Restriction,
};

/// Where a consent is said to have been withdrawn that ended because its customer was erased.
const SOURCE: &str = "erasure";

impl Customer {
    /// That the customer was erased, if it was.
    #[must_use]
    pub(crate) fn erasure(&self) -> Option<&Erasure> {
        self.erasure.as_ref()
    }

    /// Whoever is erased a second time is told nothing new.
    pub(super) fn erase(&self, erasure: Erasure) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let registration = self
            .registration
            .as_ref()
            .ok_or(CustomerRejection::NotRegistered)?;
        if self.erasure.is_some() {
            return Ok(Vec::new());
        }
        if self.restriction.reason.is_some() && erasure.reason != ErasureReason::LegalOrder {
            return Err(CustomerRejection::ProcessingRestricted);
        }
        Ok(vec![CustomerEvent::Erased {
            customer: registration.customer,
            erasure,
        }])
    }

    /// What is left is what was counted: kind, affiliation, country, stage of life, what was agreed to and when, and to whom the customer was related.
    pub(super) fn wipe(&mut self, erasure: Erasure) {
        self.profile = Profile {
            country: self.profile.country.take(),
            ..Profile::default()
        };
        self.identifiers.clear();
        self.mergers.identifiers.clear();
        if let Some(layers) = &mut self.mergers.profile {
            *layers = ProfileLayers::on(self.profile.clone());
        }
        self.office = Office::default();
        self.restriction = Restriction::default();
        let agreed: Vec<_> = self
            .consents
            .iter()
            .filter(|(_, history)| history.grant_at(erasure.at).is_some())
            .map(|(scope, _)| *scope)
            .collect();
        for scope in agreed {
            let turn = Turn::Withdrawn {
                source: Label::from_stored(SOURCE.to_owned()),
            };
            self.turn_consent(scope, erasure.at, turn, None, None);
        }
        self.erasure = Some(erasure);
    }
}

#[cfg(test)]
mod tests;
