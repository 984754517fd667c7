//! Events from the command line, with an analyst's rights: against the four services as a process, and a NATS with the users of deploy/init.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod disturbed;
mod exporting;
mod files;
mod ground;
mod logs;
mod running;
mod tailing;
mod writer;
