//! The log against a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod account;
mod append;
mod erasure;
mod firing;
mod idempotency;
mod keys;
mod ledger;
mod parking;
mod projecting;
mod rebuilding;
mod snapshots;
mod standing;
mod timers;
mod tls;
mod upcasting;
mod verify;
