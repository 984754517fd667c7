//! What can go wrong on the bus.

use event_log::{LogError, ProjectionError};

/// The boxed error of a client library.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// The bus could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// NATS refused or did not answer.
    #[error("NATS failed: {action}")]
    Nats {
        /// What was being done.
        action: &'static str,
        /// What the client says.
        #[source]
        source: Source,
    },
    /// JetStream did not take a batch.
    #[error("JetStream refused a batch: {reason}")]
    Refused {
        /// What the server says.
        reason: String,
    },
    /// Somebody else wrote to the stream while it was looked at.
    #[error("the stream moved while it was looked at")]
    StreamMoved,
    /// A follower has applied events of an epoch that its origin does not know: the origin and its stream were both restored.
    #[error(
        "{source_log} is at epoch {present}, events of epoch {applied} were applied; rebuild the projection"
    )]
    EpochWentBack {
        /// Service that owns the log.
        source_log: &'static str,
        /// Epoch that was applied.
        applied: i32,
        /// Epoch of the origin.
        present: i32,
    },
    /// A message in a stream is not one of ours.
    #[error("message {sequence} of stream {stream} is not an event: {reason}")]
    Foreign {
        /// The stream.
        stream: String,
        /// Its sequence in the stream.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A message that was heard is not one of ours.
    #[error("a message on {subject} is not an event: {reason}")]
    Unreadable {
        /// What was subscribed to.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The stream has events missing that the origin does not have either.
    #[error("partition {partition} of {source_log} lacks the events after position {after}")]
    Missing {
        /// Service that owns the log.
        source_log: &'static str,
        /// Partition.
        partition: u8,
        /// Last position that is there.
        after: i64,
    },
    /// The log that is relayed failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What follows could not take a batch.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The origin did not give what the stream lacks.
    #[error("the origin did not answer")]
    Origin(#[source] crate::follower::OriginError),
}

impl BusError {
    pub(crate) fn nats<E>(action: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Source>,
    {
        move |source| Self::Nats {
            action,
            source: source.into(),
        }
    }
}
