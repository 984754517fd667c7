//! Scenarios over gRPC against the service in this process, on real PostgreSQL and NATS, fed by real logs of customers and
//! interactions.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod agreement;
mod cdnow;
mod feed;
mod fits;
mod members;
mod mergers;
mod races;
mod rebuild;
mod refusals;
mod requests;
mod rules;
mod segments;
mod stack;
mod values;
