//! What an aggregate is, and the ids that all services share. Pure: no I/O, no clock, no randomness, no async.

pub mod currency;
mod ids;
pub mod scenario;

pub use ids::{CustomerId, InvalidId, PARTITIONS, Partition, StreamId, TenantId};

use std::error::Error;

/// A consistency boundary: state folded from events, and decisions taken on that state.
///
/// `decide` and `evolve` are total and deterministic. Time, ids and seeds are inputs that a command carries.
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// Type of the stream that holds this aggregate's events, for example `customer`.
    const TYPE: &'static str;
    /// What may be asked of it.
    type Command: Send + Sync;
    /// What can have happened to it.
    type Event: Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static;
    /// Why it says no.
    type Rejection: Error + Clone + PartialEq + Send + Sync + 'static;

    /// Decides what happens when `command` meets this state. No events means that nothing changes.
    ///
    /// # Errors
    /// The rejection, when the state forbids the command.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// Takes over an event that has happened.
    fn evolve(&mut self, event: &Self::Event);

    /// The state after all of `events`, from the first.
    fn fold<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.evolve(event);
        }
        state
    }
}
