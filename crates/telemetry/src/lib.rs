//! Logs and traces of a Vefa process: set-up, and the trace context that follows a command
//! from gRPC through the log and NATS into the next service.
//!
//! Spans and log lines carry ids, codes and counts. They never carry request bodies, names,
//! addresses or anything else that identifies a person.

mod context;
mod setup;

pub use context::{add_link, current_traceparent, inject, set_parent, set_parent_from_headers};
pub use setup::{Format, Guard, InitError, ShutdownError, TelemetryConfig, init};
