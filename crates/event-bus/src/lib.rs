//! The bus: copies a service's log into its JetStream stream, and follows the streams of other services.
//!
//! PostgreSQL is the truth; a stream is a copy that can be rebuilt from it at any time.
//!
//! # Invariants
//! - The relay is a stream's only publisher, and what it publishes is the log: every event once, each partition in order.
//! - A follower applies every event once, each partition in order, whatever the bus does: its checkpoint moves in the transaction
//!   that writes the rows, what it has seen it skips, and what is missing it fetches from the origin.

mod bus;
mod envelope;
mod error;
mod follower;
mod relay;
mod tail;

pub use bus::{Bus, BusOptions};
pub use envelope::event_type_token;
pub use error::BusError;
pub use follower::{Follower, FollowerOptions, Origin, OriginError};
pub use relay::{Relay, RelayOptions};
