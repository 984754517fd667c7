//! A contact between the customer and the business: reported once, never changed.

use aggregate::{Aggregate, CustomerId, StreamId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{source_key::SourceKey, text::Summary};

/// A contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TouchpointId(pub(crate) Uuid);

impl From<TouchpointId> for StreamId {
    fn from(id: TouchpointId) -> Self {
        Self(id.0)
    }
}

/// By which way a contact took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TouchpointChannel {
    Letter,
    Report,
    Email,
    Message,
    Call,
    Meeting,
    Visit,
    Shop,
    Web,
    Social,
    Review,
}

/// Who began the contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The customer.
    Inbound,
    /// The business.
    Outbound,
}

/// Who spoke for the business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SpokenBy {
    /// No person of the business took part.
    Nobody,
    /// A person in this role; empty when it was not told.
    Role(String),
}

/// A contact where nobody spoke and yet somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be empty when automated")]
pub(crate) struct RoleOfNobody;

impl SpokenBy {
    /// An automated contact has no role.
    pub(crate) fn try_new(automated: bool, role: String) -> Result<Self, RoleOfNobody> {
        match (automated, role.is_empty()) {
            (false, _) => Ok(Self::Role(role)),
            (true, true) => Ok(Self::Nobody),
            (true, false) => Err(RoleOfNobody),
        }
    }
}

/// What was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TouchpointFacts {
    pub(crate) id: TouchpointId,
    pub(crate) customer: CustomerId,
    pub(crate) key: SourceKey,
    pub(crate) channel: TouchpointChannel,
    pub(crate) direction: Direction,
    /// Others could watch.
    pub(crate) public: bool,
    pub(crate) spoken_by: SpokenBy,
    /// What it was about; `None` once the customer was erased.
    pub(crate) summary: Option<Summary>,
    pub(crate) occurred_at: OffsetDateTime,
    pub(crate) received_at: OffsetDateTime,
    /// History loaded later: it changes state and triggers nothing.
    pub(crate) backfill: bool,
}

/// Record what another system reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordTouchpoint {
    pub(crate) facts: TouchpointFacts,
}

/// What can have happened to a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TouchpointEvent {
    TouchpointRecorded(TouchpointFacts),
}

/// Why a contact is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TouchpointRejection {
    /// There is one under this source and source id.
    #[error("it was recorded before")]
    AlreadyRecorded,
}

/// The aggregate; empty until it is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touchpoint {
    /// What was recorded.
    pub(crate) recorded: Option<TouchpointFacts>,
}

impl Aggregate for Touchpoint {
    const TYPE: &'static str = "touchpoint";
    type Command = RecordTouchpoint;
    type Event = TouchpointEvent;
    type Rejection = TouchpointRejection;

    fn decide(
        &self,
        command: &RecordTouchpoint,
    ) -> Result<Vec<TouchpointEvent>, TouchpointRejection> {
        if self.recorded.is_some() {
            return Err(TouchpointRejection::AlreadyRecorded);
        }
        Ok(vec![TouchpointEvent::TouchpointRecorded(
            command.facts.clone(),
        )])
    }

    fn evolve(&mut self, event: &TouchpointEvent) {
        let TouchpointEvent::TouchpointRecorded(facts) = event;
        self.recorded = Some(facts.clone());
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use aggregate::scenario::given;
    use time::macros::datetime;

    use super::*;

    pub(crate) fn facts() -> TouchpointFacts {
        TouchpointFacts {
            id: TouchpointId(Uuid::from_u128(0xB)),
            customer: CustomerId(Uuid::from_u128(0xC)),
            key: SourceKey {
                source: "desk".to_owned(),
                source_id: "T-1".to_owned(),
            },
            channel: TouchpointChannel::Call,
            direction: Direction::Inbound,
            public: false,
            spoken_by: SpokenBy::Role("cashier".to_owned()),
            summary: Some(Summary::recorded(
                "Ayşe Yılmaz asked for her parcel".to_owned(),
            )),
            occurred_at: datetime!(2026-02-27 08:15 UTC),
            received_at: datetime!(2026-03-01 12:00 UTC),
            backfill: false,
        }
    }

    #[test]
    fn records_a_contact() {
        let state = given::<Touchpoint>([])
            .when(RecordTouchpoint { facts: facts() })
            .then([TouchpointEvent::TouchpointRecorded(facts())]);
        assert_eq!(state.recorded, Some(facts()));
    }

    #[test]
    fn records_nothing_twice() {
        given::<Touchpoint>([TouchpointEvent::TouchpointRecorded(facts())])
            .when(RecordTouchpoint { facts: facts() })
            .then_rejected(TouchpointRejection::AlreadyRecorded);
    }

    #[test]
    fn an_automated_contact_has_no_role() {
        assert_eq!(SpokenBy::try_new(true, String::new()), Ok(SpokenBy::Nobody));
        assert_eq!(
            SpokenBy::try_new(true, "agent".to_owned()),
            Err(RoleOfNobody)
        );
        assert_eq!(
            SpokenBy::try_new(false, "agent".to_owned()),
            Ok(SpokenBy::Role("agent".to_owned()))
        );
        assert_eq!(
            SpokenBy::try_new(false, String::new()),
            Ok(SpokenBy::Role(String::new()))
        );
    }
}
