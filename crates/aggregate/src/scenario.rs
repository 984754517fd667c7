//! Given events, when a command, then events or a rejection: how domain rules are told in tests.

use crate::Aggregate;

/// The events that have happened before.
#[derive(Debug)]
pub struct Given<A: Aggregate> {
    events: Vec<A::Event>,
}

/// What the command led to.
#[derive(Debug)]
pub struct Decided<A: Aggregate> {
    before: Vec<A::Event>,
    outcome: Result<Vec<A::Event>, A::Rejection>,
}

/// Begins a scenario with what has happened.
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given {
        events: events.into_iter().collect(),
    }
}

impl<A: Aggregate> Given<A> {
    /// Gives the command to the state that the events make.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "scenarios read better when the command is built in place"
    )]
    pub fn when(self, command: A::Command) -> Decided<A> {
        let outcome = A::fold(&self.events).decide(&command);
        Decided {
            before: self.events,
            outcome,
        }
    }
}

impl<A: Aggregate> Decided<A> {
    /// Asserts that exactly these events follow. Returns the state after them, for further assertions.
    ///
    /// # Panics
    /// When the command was refused or led to other events.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = A::Event>) -> A {
        let expected: Vec<_> = expected.into_iter().collect();
        match self.outcome {
            Ok(events) => {
                assert_eq!(events, expected, "other events than expected");
                A::fold(self.before.iter().chain(&events))
            }
            Err(rejection) => panic!("refused ({rejection}), expected {expected:?}"),
        }
    }

    /// Asserts that nothing changes and nothing is refused.
    ///
    /// # Panics
    /// When the command was refused or led to events.
    #[track_caller]
    pub fn then_nothing(self) -> A {
        self.then([])
    }

    /// Asserts that the command is refused for this reason.
    ///
    /// # Panics
    /// When it was accepted or refused for another reason.
    #[track_caller]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "scenarios read better when the rejection is built in place"
    )]
    pub fn then_rejected(self, expected: A::Rejection) {
        match self.outcome {
            Ok(events) => panic!("accepted with {events:?}, expected rejection: {expected}"),
            Err(rejection) => assert_eq!(rejection, expected, "refused for another reason"),
        }
    }
}
