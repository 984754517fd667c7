//! Whose fault it is that a batch could not be applied.

use crate::{codec::DecodeError, error::LogError, keys::KeyError, projection::ProjectionError};

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The world's: it goes away, or somebody repairs it. Try again.
    World,
    /// An event's: it will fail however often it is tried.
    Event,
    /// Ours: a version that is newer than this one wrote an event.
    Unknown,
}

impl Fault {
    pub(crate) fn of(error: &ProjectionError) -> Self {
        match error {
            ProjectionError::Decode(error) | ProjectionError::Log(LogError::Decode(error)) => {
                Self::of_decode(error)
            }
            ProjectionError::Log(LogError::Seal(_)) => Self::Event,
            ProjectionError::Database(error)
            | ProjectionError::Log(
                LogError::Database(error) | LogError::Key(KeyError::Database(error)),
            ) => Self::of_database(error),
            ProjectionError::Log(
                LogError::Migration(_)
                | LogError::Key(_)
                | LogError::WriteFailed { .. }
                | LogError::OutcomeUnknown { .. }
                | LogError::Overloaded
                | LogError::Closed,
            )
            | ProjectionError::Overtaken
            | ProjectionError::Missing { .. } => Self::World,
        }
    }

    fn of_decode(error: &DecodeError) -> Self {
        match error {
            DecodeError::UnknownType { .. } => Self::Unknown,
            DecodeError::Malformed { .. }
            | DecodeError::InvalidField { .. }
            | DecodeError::Seal(_) => Self::Event,
        }
    }

    /// Classes of SQLSTATE: 22 is data that is not valid, 23 a constraint that does not hold. A row that an event changes and that is not
    /// there makes the event one that cannot be applied.
    fn of_database(error: &sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::RowNotFound) {
            return Self::Event;
        }
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .unwrap_or_default();
        if code.starts_with("22") || code.starts_with("23") {
            Self::Event
        } else {
            Self::World
        }
    }
}

/// A failure and what caused it, on one line. What PostgreSQL says in words is left out, because it may cite a value.
pub(crate) fn tell(error: &ProjectionError) -> String {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(sqlx::Error::Database(database)) = cause.downcast_ref() {
            let code = database.code().unwrap_or_default();
            let constraint = database.constraint().unwrap_or("none");
            return format!("{told}: SQLSTATE {code}, constraint {constraint}");
        }
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(error: DecodeError) -> ProjectionError {
        ProjectionError::Decode(error)
    }

    #[test]
    fn what_a_newer_version_wrote_is_nobody_s_fault_but_ours() {
        let unknown = decode(DecodeError::UnknownType {
            type_: "vefa.test.v9.New".to_owned(),
            schema_version: 1,
        });
        assert_eq!(Fault::of(&unknown), Fault::Unknown);
        assert_eq!(
            tell(&unknown),
            "an event cannot be decoded: event type vefa.test.v9.New version 1 is not known"
        );
    }

    #[test]
    fn only_what_no_repeat_cures_is_the_event_s_fault() {
        let invalid = decode(DecodeError::InvalidField {
            type_: "vefa.test.v1.NumberDrawn".to_owned(),
            field: "number",
        });
        assert_eq!(Fault::of(&invalid), Fault::Event);
        for error in [
            ProjectionError::Overtaken,
            ProjectionError::Database(sqlx::Error::PoolTimedOut),
            ProjectionError::Log(LogError::Key(KeyError::Unwrap)),
            ProjectionError::Log(LogError::Overloaded),
        ] {
            assert_eq!(Fault::of(&error), Fault::World, "{error:?}");
        }
    }
}
