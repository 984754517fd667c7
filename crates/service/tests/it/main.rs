//! The ground under test: a real server in this process, called over TCP.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod auth;
mod calls;
mod config;
mod limits;
mod metrics;
mod peer;
mod shutdown;
mod stand;
mod tls;
