//! Relay and followers against a real PostgreSQL and a real NATS.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod compare;
mod copier;
mod faults;
mod following;
mod ground;
mod logging_in;
mod parking;
mod relaying;
mod restoring;
mod tls;
