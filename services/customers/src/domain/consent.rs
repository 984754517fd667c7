//! What a customer agreed to: by channel and purpose, as a history, since what is learned late may have happened early.

use aggregate::CustomerId;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Label, Reference};

/// How a contact would reach the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Channel {
    Email,
    Sms,
    Phone,
    Post,
}

/// What a contact would be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Advertising and offers.
    Marketing,
    /// News without an offer.
    Information,
    /// Questions about satisfaction and the like.
    Research,
}

/// The ground on which personal data is processed (GDPR article 6, KVKK article 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LegalBasis {
    /// Explicit consent.
    Consent,
    /// Needed for a contract.
    Contract,
    /// Legitimate interest.
    LegitimateInterest,
}

/// What consent is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConsentScope {
    /// Over which channel.
    pub(crate) channel: Channel,
    /// For which purpose.
    pub(crate) purpose: Purpose,
}

/// How consent was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Ground.
    pub(crate) legal_basis: LegalBasis,
    /// Version of the wording that was shown.
    pub(crate) wording_version: Label,
    /// Where it was given.
    pub(crate) source: Label,
    /// Reference to the evidence.
    pub(crate) evidence: Option<Reference>,
    /// When it ends by itself.
    pub(crate) expires_at: Option<OffsetDateTime>,
}

impl Grant {
    /// Whether it has not ended by itself by a moment.
    #[must_use]
    pub(crate) fn lasts_at(&self, moment: OffsetDateTime) -> bool {
        self.expires_at.is_none_or(|expires_at| moment < expires_at)
    }
}

/// A turn in the history of one consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsentChange {
    /// When it was given or withdrawn.
    pub(crate) at: OffsetDateTime,
    /// What happened.
    pub(crate) turn: Turn,
    /// Id of the event that tells of it; none while it is only decided.
    pub(crate) event_id: Option<Uuid>,
    /// Who was merged into the customer and told it, or came with it; none where the customer did.
    pub(crate) original: Option<CustomerId>,
}

/// What happened to a consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It was given.
    Given(Grant),
    /// It was withdrawn.
    Withdrawn {
        /// Where.
        source: Label,
    },
}

/// All that happened to one consent, in the order in which it happened; of the same moment, in the order in which it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConsentHistory(Vec<ConsentChange>);

impl ConsentHistory {
    /// Takes over a change, whenever it happened.
    pub(crate) fn insert(&mut self, change: ConsentChange) {
        let place = self.0.partition_point(|earlier| earlier.at <= change.at);
        self.0.insert(place, change);
    }

    /// Every change, in order.
    #[must_use]
    pub(crate) fn changes(&self) -> &[ConsentChange] {
        &self.0
    }

    /// The last change.
    #[must_use]
    pub(crate) fn last(&self) -> Option<&ConsentChange> {
        self.0.last()
    }

    /// The grant that stood at a moment, if consent stood then.
    #[must_use]
    pub(crate) fn grant_at(&self, moment: OffsetDateTime) -> Option<&Grant> {
        let behind = self.0.partition_point(|change| change.at <= moment);
        match &self.0.get(behind.checked_sub(1)?)?.turn {
            Turn::Given(grant) => Some(grant).filter(|grant| grant.lasts_at(moment)),
            Turn::Withdrawn { .. } => None,
        }
    }

    /// The grant that was in force when the last change came: the present one, or the one that was withdrawn.
    #[must_use]
    pub(crate) fn last_grant(&self) -> Option<&Grant> {
        self.0.iter().rev().find_map(|change| match &change.turn {
            Turn::Given(grant) => Some(grant),
            Turn::Withdrawn { .. } => None,
        })
    }

    /// Whether exactly this was told before, by the same id.
    #[must_use]
    pub(crate) fn has(
        &self,
        at: OffsetDateTime,
        turn: &Turn,
        original: Option<CustomerId>,
    ) -> bool {
        self.0
            .iter()
            .any(|change| change.at == at && change.turn == *turn && change.original == original)
    }

    /// Takes out what was told by whom this says.
    pub(crate) fn take_out(&mut self, gone: impl Fn(CustomerId) -> bool) {
        self.0.retain(|change| !change.original.is_some_and(&gone));
    }

    /// Whether nothing happened.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
