//! Scenarios over gRPC against the service in this process, on real PostgreSQL and NATS.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod consents;
mod history;
mod identifiers;
mod lifecycle;
mod list;
mod office;
mod privacy;
mod profiles;
mod refusals;
mod registration;
mod relations;
mod repeats;
mod requests;
mod stack;
mod validation;
