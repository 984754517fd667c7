//! Scenarios over gRPC against the service in this process, on real PostgreSQL and NATS.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod import;
mod known_customers;
mod mergers;
mod peer;
mod purchases;
mod refusals;
mod requests;
mod stack;
mod timeline;
mod touchpoints;
