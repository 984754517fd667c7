//! To whom a customer is related. Each relation stands in the streams of both.

use std::collections::BTreeSet;

use aggregate::CustomerId;
use time::OffsetDateTime;

use super::{Customer, CustomerEvent, CustomerRejection};
use crate::domain::{
    profile::Kind,
    relation::{Period, Relation, RelationId, RelationType},
};

impl Customer {
    /// All relations that were ever told, in the order in which they were.
    #[must_use]
    pub(crate) fn relations(&self) -> &[Relation] {
        &self.relations
    }

    /// `above` are all who stand above the second of the two at some moment of the relation, itself among them; empty where a relation
    /// makes no hierarchy.
    pub(super) fn add_relation(
        &self,
        relation: &Relation,
        related_kind: Kind,
        above: &BTreeSet<CustomerId>,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let registration = self.registered()?;
        let type_ = relation.type_;
        if relation.to == relation.from || above.contains(&relation.from) {
            return Err(CustomerRejection::RelationCycle);
        }
        if !type_.joins(registration.kind, related_kind) {
            return Err(CustomerRejection::RelationKinds(type_));
        }
        let at_the_same_time = |other: &&Relation| other.period.meet(relation.period).is_some();
        let mut meanwhile = self.relations.iter().filter(at_the_same_time);
        if meanwhile
            .clone()
            .any(|other| other.says_the_same_as(relation))
        {
            return Err(CustomerRejection::RelationExists);
        }
        let has_another = |other: &Relation| other.type_ == type_ && other.from == relation.from;
        if type_ == RelationType::SubsidiaryOf && meanwhile.any(has_another) {
            return Err(CustomerRejection::ParentExists);
        }
        if type_ == RelationType::ReferredBy && self.relations.iter().any(has_another) {
            return Err(CustomerRejection::ReferrerExists);
        }
        Ok(vec![CustomerEvent::RelationAdded {
            relation: *relation,
        }])
    }

    /// The other of the two takes over what the first has decided.
    pub(super) fn take_relation(
        &self,
        relation: &Relation,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        self.registered()?;
        Ok(vec![CustomerEvent::RelationAdded {
            relation: *relation,
        }])
    }

    pub(super) fn end_relation(
        &self,
        id: RelationId,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        // Also of somebody who was erased: the other of the two goes on.
        if self.registration.is_none() {
            return Err(CustomerRejection::NotRegistered);
        }
        let mut relations = self.relations.iter();
        let relation = relations
            .find(|relation| relation.id == id)
            .ok_or(CustomerRejection::NoSuchRelation(id))?;
        if relation.type_ == RelationType::ReferredBy {
            return Err(CustomerRejection::RelationPermanent);
        }
        match relation.period.end {
            Some(end) if end == at => return Ok(Vec::new()),
            Some(_) => return Err(CustomerRejection::RelationEnded),
            None => {}
        }
        let last = relation.period.start;
        if at < last {
            return Err(CustomerRejection::OutOfOrder { last });
        }
        let ended = Relation {
            period: Period {
                end: Some(at),
                ..relation.period
            },
            ..*relation
        };
        Ok(ended.ended().into_iter().collect())
    }

    /// Somebody came to stand below this customer through others.
    pub(super) fn note_descendant(
        &self,
        relation: &Relation,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        // Also of somebody who was erased: those below and above go on.
        let registration = self
            .registration
            .as_ref()
            .ok_or(CustomerRejection::NotRegistered)?;
        Ok(vec![CustomerEvent::DescendantAdded {
            customer: registration.customer,
            relation: relation.id,
            type_: relation.type_,
            descendant: relation.from,
            started_at: relation.period.start,
        }])
    }

    pub(super) fn end(&mut self, id: RelationId, at: OffsetDateTime) {
        let mut relations = self.relations.iter_mut();
        if let Some(relation) = relations.find(|relation| relation.id == id) {
            relation.period.end = Some(at);
        }
    }
}

impl Relation {
    /// That it ended, if it did.
    pub(super) fn ended(&self) -> Option<CustomerEvent> {
        Some(CustomerEvent::RelationEnded {
            relation: self.id,
            type_: self.type_,
            from: self.from,
            to: self.to,
            ended_at: self.period.end?,
        })
    }
}

#[cfg(test)]
mod tests;
