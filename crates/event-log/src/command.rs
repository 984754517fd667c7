//! Commands: load, decide, append at the version that was loaded; on conflict load and decide again.

mod execution;
mod loading;
mod request;

pub use loading::Loaded;
pub use request::{CommandError, Committed, Decision, IdempotencyKey, Request};
