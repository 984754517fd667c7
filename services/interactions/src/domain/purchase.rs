//! A purchase or a return: reported once, never changed.

use aggregate::{Aggregate, CustomerId, StreamId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{lines::Lines, source_key::SourceKey};

/// A purchase or a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PurchaseId(pub(crate) Uuid);

impl From<PurchaseId> for StreamId {
    fn from(id: PurchaseId) -> Self {
        Self(id.0)
    }
}

/// Whether goods went out or came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PurchaseKind {
    /// The customer bought.
    Purchase,
    /// The customer gave back.
    Return,
}

/// What was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PurchaseFacts {
    pub(crate) id: PurchaseId,
    pub(crate) customer: CustomerId,
    pub(crate) key: SourceKey,
    pub(crate) occurred_at: OffsetDateTime,
    pub(crate) received_at: OffsetDateTime,
    /// ISO 4217 code of all amounts.
    pub(crate) currency_code: String,
    /// Amounts are positive, of a return too.
    pub(crate) lines: Lines,
    pub(crate) channel: String,
    /// History loaded later: it changes state and triggers nothing.
    pub(crate) backfill: bool,
}

/// Record what another system reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordPurchase {
    pub(crate) kind: PurchaseKind,
    pub(crate) facts: PurchaseFacts,
}

/// What can have happened to a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PurchaseEvent {
    PurchaseRecorded(PurchaseFacts),
    ReturnRecorded(PurchaseFacts),
}

/// Why a purchase is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PurchaseRejection {
    /// There is one under this source and source id.
    #[error("it was recorded before")]
    AlreadyRecorded,
}

/// The aggregate; empty until it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Purchase {
    /// What was recorded.
    pub(crate) recorded: Option<RecordPurchase>,
}

impl RecordPurchase {
    /// What it adds to the customer's revenue: negative for a return.
    pub(crate) fn revenue_minor(&self) -> i64 {
        let total_minor = self.facts.lines.total_minor();
        match self.kind {
            PurchaseKind::Purchase => total_minor,
            PurchaseKind::Return => -total_minor,
        }
    }
}

impl From<PurchaseEvent> for RecordPurchase {
    fn from(event: PurchaseEvent) -> Self {
        match event {
            PurchaseEvent::PurchaseRecorded(facts) => Self {
                kind: PurchaseKind::Purchase,
                facts,
            },
            PurchaseEvent::ReturnRecorded(facts) => Self {
                kind: PurchaseKind::Return,
                facts,
            },
        }
    }
}

impl Aggregate for Purchase {
    const TYPE: &'static str = "purchase";
    type Command = RecordPurchase;
    type Event = PurchaseEvent;
    type Rejection = PurchaseRejection;

    fn decide(&self, command: &RecordPurchase) -> Result<Vec<PurchaseEvent>, PurchaseRejection> {
        if self.recorded.is_some() {
            return Err(PurchaseRejection::AlreadyRecorded);
        }
        let facts = command.facts.clone();
        Ok(vec![match command.kind {
            PurchaseKind::Purchase => PurchaseEvent::PurchaseRecorded(facts),
            PurchaseKind::Return => PurchaseEvent::ReturnRecorded(facts),
        }])
    }

    fn evolve(&mut self, event: &PurchaseEvent) {
        self.recorded = Some(event.clone().into());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use aggregate::scenario::given;
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::domain::lines::Line;

    pub(crate) fn facts(amounts_minor: &[i64]) -> PurchaseFacts {
        let line = |&amount_minor: &i64| Line {
            sku: "A-1".to_owned(),
            category: "kitap".to_owned(),
            quantity: 2,
            amount_minor,
            margin_minor: Some(amount_minor / 4),
        };
        PurchaseFacts {
            id: PurchaseId(Uuid::from_u128(0xA)),
            customer: CustomerId(Uuid::from_u128(0xC)),
            key: SourceKey {
                source: "pos".to_owned(),
                source_id: "1997/17".to_owned(),
            },
            occurred_at: datetime!(1997-01-18 09:30:00.25 UTC),
            received_at: datetime!(2026-03-01 12:00 UTC),
            currency_code: "TRY".to_owned(),
            lines: Lines::try_new(amounts_minor.iter().map(line).collect()).unwrap(),
            channel: "mağaza".to_owned(),
            backfill: true,
        }
    }

    fn record(kind: PurchaseKind) -> RecordPurchase {
        RecordPurchase {
            kind,
            facts: facts(&[1999, 1]),
        }
    }

    #[test]
    fn records_a_purchase() {
        let command = record(PurchaseKind::Purchase);
        let state = given::<Purchase>([])
            .when(command.clone())
            .then([PurchaseEvent::PurchaseRecorded(command.facts.clone())]);
        assert_eq!(state.recorded, Some(command));
    }

    #[test]
    fn records_a_return() {
        let command = record(PurchaseKind::Return);
        let state = given::<Purchase>([])
            .when(command.clone())
            .then([PurchaseEvent::ReturnRecorded(command.facts.clone())]);
        assert_eq!(state.recorded, Some(command));
    }

    #[test]
    fn records_nothing_twice() {
        for kind in [PurchaseKind::Purchase, PurchaseKind::Return] {
            given::<Purchase>([PurchaseEvent::PurchaseRecorded(facts(&[5]))])
                .when(record(kind))
                .then_rejected(PurchaseRejection::AlreadyRecorded);
        }
    }

    proptest! {
        #[test]
        fn a_return_takes_back_what_the_same_purchase_brought(amounts in prop::collection::vec(0_i64..1 << 50, 1..=200)) {
            let revenue_minor = |kind| RecordPurchase { kind, facts: facts(&amounts) }.revenue_minor();
            let bought = revenue_minor(PurchaseKind::Purchase);
            prop_assert_eq!(bought, amounts.iter().sum::<i64>());
            prop_assert_eq!(revenue_minor(PurchaseKind::Return), -bought);
        }
    }
}
