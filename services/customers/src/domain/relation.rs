//! How customers are related to each other, and since when.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::CustomerId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::profile::Kind;

/// Id of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RelationId(pub(crate) Uuid);

/// How a customer is related to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum RelationType {
    /// The buyer pays for what the consumer uses.
    BuysFor,
    /// A person who spends a business's money.
    PurchasingAgentOf,
    /// A person whom one talks to at a business.
    ContactOf,
    /// A person who works for a business.
    EmployeeOf,
    /// Two persons who live together.
    SharesHouseholdWith,
    /// A business that belongs to a parent company.
    SubsidiaryOf,
    /// Who came on somebody's recommendation.
    ReferredBy,
}

impl RelationType {
    /// Whether a customer of one kind can be related so to one of another.
    #[must_use]
    pub(crate) fn joins(self, from: Kind, to: Kind) -> bool {
        match self {
            Self::BuysFor | Self::ReferredBy => true,
            Self::PurchasingAgentOf | Self::ContactOf | Self::EmployeeOf => {
                (from, to) == (Kind::Person, Kind::Business)
            }
            Self::SharesHouseholdWith => (from, to) == (Kind::Person, Kind::Person),
            Self::SubsidiaryOf => (from, to) == (Kind::Business, Kind::Business),
        }
    }

    /// Whether a line of such relations must not lead back to where it began.
    #[must_use]
    pub(crate) fn is_hierarchy(self) -> bool {
        match self {
            Self::SubsidiaryOf | Self::ReferredBy => true,
            Self::BuysFor
            | Self::PurchasingAgentOf
            | Self::ContactOf
            | Self::EmployeeOf
            | Self::SharesHouseholdWith => false,
        }
    }

    /// Whether it is the same in both directions.
    #[must_use]
    pub(crate) fn is_mutual(self) -> bool {
        self == Self::SharesHouseholdWith
    }
}

/// A time from a moment on, until another or without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    /// First moment.
    pub(crate) start: OffsetDateTime,
    /// First moment after it; none without end.
    pub(crate) end: Option<OffsetDateTime>,
}

impl Period {
    /// From a moment on.
    #[must_use]
    pub(crate) fn from(start: OffsetDateTime) -> Self {
        Self { start, end: None }
    }

    /// The time that both have in common, if any.
    #[must_use]
    pub(crate) fn meet(self, other: Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let ends = self.end.into_iter().chain(other.end);
        let end = ends.min();
        end.is_none_or(|end| start < end)
            .then_some(Self { start, end })
    }
}

/// That a customer is related to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    /// Id.
    pub(crate) id: RelationId,
    /// How.
    pub(crate) type_: RelationType,
    /// The first of the two.
    pub(crate) from: CustomerId,
    /// The second.
    pub(crate) to: CustomerId,
    /// When.
    pub(crate) period: Period,
}

impl Relation {
    /// The one of the two who is not this one.
    #[must_use]
    pub(crate) fn other_than(&self, party: CustomerId) -> CustomerId {
        if self.from == party {
            self.to
        } else {
            self.from
        }
    }

    /// The same of somebody else in place of one of the two.
    #[must_use]
    pub(crate) fn with(&self, party: CustomerId, other: CustomerId) -> Self {
        let turned = |one| if one == party { other } else { one };
        Self {
            from: turned(self.from),
            to: turned(self.to),
            ..*self
        }
    }

    /// The same as it was when it began.
    #[must_use]
    pub(crate) fn without_end(&self) -> Self {
        Self {
            period: Period::from(self.period.start),
            ..*self
        }
    }

    /// Whether it says of the same two the same thing.
    #[must_use]
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        let turned = (self.to, self.from);
        self.type_ == other.type_
            && ((self.from, self.to) == (other.from, other.to)
                || self.type_.is_mutual() && turned == (other.from, other.to))
    }
}

/// Everybody who stands above a customer in a hierarchy at some moment of a period: found step by step, by asking whoever was found for those above.
#[derive(Debug)]
pub(crate) struct Ascent {
    type_: RelationType,
    /// Whom to ask next, and for when.
    next: Vec<(CustomerId, Period)>,
    /// For when each was asked for.
    seen: BTreeMap<CustomerId, Vec<Period>>,
}

impl Ascent {
    /// Begins at a customer, who is the first to be asked.
    #[must_use]
    pub(crate) fn from(type_: RelationType, customer: CustomerId, period: Period) -> Self {
        let mut ascent = Self {
            type_,
            next: Vec::new(),
            seen: BTreeMap::new(),
        };
        ascent.meet(customer, period);
        ascent
    }

    /// Whom to ask for their relations now, if anybody is left.
    pub(crate) fn next(&mut self) -> Option<(CustomerId, Period)> {
        self.next.pop()
    }

    /// What one who was asked answers.
    pub(crate) fn told<'a>(
        &mut self,
        customer: CustomerId,
        period: Period,
        relations: impl IntoIterator<Item = &'a Relation>,
    ) {
        for relation in relations {
            if relation.type_ == self.type_
                && relation.from == customer
                && let Some(common) = relation.period.meet(period)
            {
                self.meet(relation.to, common);
            }
        }
    }

    /// Somebody stands there meanwhile, who is to be asked too.
    pub(crate) fn meet(&mut self, customer: CustomerId, period: Period) {
        let seen = self.seen.entry(customer).or_default();
        if !seen.contains(&period) {
            seen.push(period);
            self.next.push((customer, period));
        }
    }

    /// All who were found, the beginning among them.
    #[must_use]
    pub(crate) fn found(self) -> BTreeSet<CustomerId> {
        self.seen.into_keys().collect()
    }
}
