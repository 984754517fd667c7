//! Scenarios over gRPC against the service in this process, on real PostgreSQL and NATS.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod consents;
mod duplicates;
mod erasure;
mod filters;
mod found_by;
mod history;
mod identifiers;
mod lifecycle;
mod list;
mod log_service;
mod mergers;
mod office;
mod privacy;
mod profiles;
mod refusals;
mod registration;
mod relations;
mod repeats;
mod requests;
mod restriction;
mod searches;
mod stack;
mod stages;
mod validation;
