//! Webhooks against real receivers over HTTP, following real logs.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod failing;
mod ground;
mod receiver;
mod sending;
