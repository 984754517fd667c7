//! What a projection is, whatever log it follows.

use sqlx::PgConnection;

use crate::{codec::DecodeError, error::LogError, event::StoredEvent};

/// Rows derived from events, in the database of the service that keeps them.
///
/// Every event of the log is applied once, in the order of its partition, in the transaction that moves the checkpoint.
/// Applying all events again from the first to empty tables gives the same rows.
pub trait Projection: Send + Sync + 'static {
    /// Name under which the checkpoint is kept, for example `customers.list`.
    fn name(&self) -> &'static str;

    /// Version of the rows' shape: a new one starts from zero.
    fn version(&self) -> i32 {
        1
    }

    /// Applies events in order. They may be of many streams; events of one stream are in order of version. It should write
    /// with few statements, whatever the number of events. Unknown event types of a newer version must fail, never be skipped.
    ///
    /// # Errors
    /// Whatever keeps the rows from being written; nothing is written then, and the batch comes again.
    fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}

/// Why a projection could not take a batch.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// PostgreSQL refused or did not answer.
    #[error("the read model's database failed")]
    Database(#[from] sqlx::Error),
    /// An event cannot be read.
    #[error("an event cannot be decoded")]
    Decode(#[from] DecodeError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Somebody else changed what a reaction wanted to change, or took the lease; the batch comes again.
    #[error("the batch was overtaken")]
    Overtaken,
}
