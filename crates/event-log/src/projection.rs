//! What a projection is, whatever log it follows.

use std::sync::Arc;

use futures::future::BoxFuture;
use sqlx::PgConnection;

use crate::{codec::DecodeError, error::LogError, event::StoredEvent};

/// A table that a projection keeps: its rows follow from the events alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Columns that do not follow from events but tell how far work on a row has come. A rebuild leaves them as they are in rows that
    /// come out as they were, and a comparison does not look at them.
    pub aside: &'static [&'static str],
}

impl Table {
    /// A table all of whose columns follow from events.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, aside: &[] }
    }
}

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

    /// The tables that hold the rows, in the order in which they are written; nothing else writes rows to them. A rebuild makes
    /// them anew beside the live ones. None when the projection cannot be rebuilt so.
    fn tables(&self) -> &'static [Table] {
        &[]
    }

    /// Applies events in order. They may be of many streams; events of one stream are in order of version. It should write
    /// with few statements, whatever the number of events. Unknown event types of a newer version must fail, never be skipped.
    ///
    /// # Errors
    /// Whatever keeps the rows from being written; nothing is written then, and the batch comes again. Where it is an event that
    /// cannot be applied, its stream is parked and the others go on.
    fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;

    /// Writes the rows that follow from events, to [`Self::tables`] and nowhere else, and triggers nothing: what a rebuild does. The
    /// same as [`Self::apply`] unless there are reactions.
    ///
    /// # Errors
    /// Like [`Self::apply`].
    fn derive(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send {
        self.apply(connection, events)
    }

    /// Does what follows from events besides rows, for events whose rows are there and that nobody has reacted to: they were parked,
    /// and later events of other streams have been applied meanwhile.
    ///
    /// # Errors
    /// Like [`Self::apply`].
    fn react(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send {
        let _ = (connection, events);
        std::future::ready(Ok(()))
    }
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
    /// The log that is followed does not have an event that it must have.
    #[error("partition {partition} of the log lacks position {position}")]
    Missing {
        /// Partition.
        partition: u8,
        /// Position of the event.
        position: i64,
    },
}

/// Any projection, so that a list can hold several.
#[derive(Clone)]
pub struct AnyProjection(Arc<dyn Dynamic>);

impl AnyProjection {
    /// This projection.
    pub fn new(projection: impl Projection) -> Self {
        Self(Arc::new(projection))
    }
}

type Applied<'a> = BoxFuture<'a, Result<(), ProjectionError>>;

trait Dynamic: Send + Sync + 'static {
    fn name(&self) -> &'static str;
    fn version(&self) -> i32;
    fn tables(&self) -> &'static [Table];
    fn apply<'a>(&'a self, to: &'a mut PgConnection, events: &'a [StoredEvent]) -> Applied<'a>;
    fn derive<'a>(&'a self, to: &'a mut PgConnection, events: &'a [StoredEvent]) -> Applied<'a>;
    fn react<'a>(&'a self, to: &'a mut PgConnection, events: &'a [StoredEvent]) -> Applied<'a>;
}

impl<P: Projection> Dynamic for P {
    fn name(&self) -> &'static str {
        Projection::name(self)
    }

    fn version(&self) -> i32 {
        Projection::version(self)
    }

    fn tables(&self) -> &'static [Table] {
        Projection::tables(self)
    }

    fn apply<'a>(&'a self, to: &'a mut PgConnection, events: &'a [StoredEvent]) -> Applied<'a> {
        Box::pin(Projection::apply(self, to, events))
    }

    fn derive<'a>(&'a self, to: &'a mut PgConnection, events: &'a [StoredEvent]) -> Applied<'a> {
        Box::pin(Projection::derive(self, to, events))
    }

    fn react<'a>(&'a self, to: &'a mut PgConnection, events: &'a [StoredEvent]) -> Applied<'a> {
        Box::pin(Projection::react(self, to, events))
    }
}

impl Projection for AnyProjection {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn version(&self) -> i32 {
        self.0.version()
    }

    fn tables(&self) -> &'static [Table] {
        self.0.tables()
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        self.0.apply(connection, events).await
    }

    async fn derive(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        self.0.derive(connection, events).await
    }

    async fn react(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        self.0.react(connection, events).await
    }
}
