//! Scenarios over gRPC against the service in this process, on real PostgreSQL and NATS.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod create;
mod decisions;
mod interruptions;
mod lists;
mod mergers;
mod outcome;
mod peers;
mod rebuild;
mod requests;
mod retrospective;
mod segmentation;
mod stack;
mod start;
