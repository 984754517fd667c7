//! What can go wrong with the log itself, as opposed to what a domain refuses.

use crate::{codec::DecodeError, keys::KeyError, seal::SealError};

/// The log could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// PostgreSQL refused or did not answer.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("migrating the database failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A stored event cannot be read.
    #[error("a stored event cannot be decoded")]
    Decode(#[from] DecodeError),
    /// A key could not be had.
    #[error("a data key is not available")]
    Key(#[from] KeyError),
    /// Something could not be sealed or opened.
    #[error("personal data cannot be sealed or opened")]
    Seal(#[from] SealError),
    /// A write failed and nothing was written.
    #[error("nothing was written: {reason}")]
    WriteFailed {
        /// What the database said.
        reason: String,
        /// Whether a repeat may succeed.
        unavailable: bool,
    },
    /// A write was lost track of: it may or may not have happened. A repeat with the same request id tells.
    #[error("the outcome of a write is unknown: {reason}")]
    OutcomeUnknown {
        /// What happened.
        reason: String,
    },
    /// Too many commands wait.
    #[error("the log is overloaded")]
    Overloaded,
    /// The log is being closed.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    /// Whether the same call may succeed in a moment: the world is busy or away, nothing is wrong with the call.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Database(error) => is_unavailable(error),
            Self::WriteFailed { unavailable, .. } => *unavailable,
            Self::OutcomeUnknown { .. } | Self::Overloaded | Self::Closed => true,
            Self::Key(KeyError::Database(error)) => is_unavailable(error),
            Self::Key(_) | Self::Migration(_) | Self::Decode(_) | Self::Seal(_) => false,
        }
    }
}

pub(crate) fn is_unavailable(error: &sqlx::Error) -> bool {
    if let Some(database) = error.as_database_error() {
        // Classes of SQLSTATE: connection, resources, operator intervention, and what a repeat cures.
        let code = database.code().unwrap_or_default();
        return ["08", "53", "57", "40"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_)
    )
}

/// Whether PostgreSQL gave up a transaction that can simply be tried again.
pub(crate) fn is_serialization_failure(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "40001" || code == "40P01")
}
