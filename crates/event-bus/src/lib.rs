//! The bus: copies a service's log into its JetStream stream, and follows the streams of other services.
//!
//! PostgreSQL is the truth; a stream is a copy that can be rebuilt from it at any time.
//!
//! # Invariants
//! - The relay is a stream's only publisher, and what it publishes is the log: every event once, each partition in order.
//! - A follower applies every event once, each partition in order, whatever the bus does: its checkpoint moves in the transaction
//!   that writes the rows, what it has seen it skips, and what is missing it fetches from the origin.
//! - What a follower applied of a history that the origin no longer has is never passed over in silence: the follower goes back to
//!   where both agree, and leaves a [`Divergence`].

mod broken;
mod bus;
mod compare;
mod envelope;
mod error;
mod follower;
mod forks;
mod messages;
mod relay;
mod subscription;
mod tail;
mod verify;

pub use bus::{Bus, BusOptions, BusTls, Login};
pub use compare::compare_whole;
pub use envelope::event_type_token;
pub use error::BusError;
pub use follower::{
    Divergence, Follower, FollowerOptions, Origin, OriginError, clear_divergences, divergences,
};
pub use relay::{Relay, RelayOptions, RelayStanding};
pub use subscription::{Heard, Subscription};
pub use verify::StreamEnd;
