//! The ground that every Vefa service stands on: configuration, who is calling, the gRPC
//! server with its limits and deadlines, calls to other services, precise errors, shutdown; and
//! the wiring of log, bus and server that all four share.
//!
//! It knows nothing of customers.

pub mod auth;
pub mod client;
pub mod clock;
pub mod command;
pub mod config;
pub mod deadline;
mod erasures;
pub mod ground;
mod log_service;
pub mod metrics;
pub mod migration;
pub mod page;
pub mod process;
pub mod server;
pub mod shutdown;
pub mod status;
pub mod tasks;
pub mod tls;

pub use auth::{Authenticator, Principal, Secret, TokenIssuer};
pub use client::Peer;
pub use command::Caller;
pub use config::{Config, ServiceName};
pub use deadline::Deadline;
pub use erasures::Erasures;
pub use ground::{
    Beside, EpochTold, Ground, GroundError, Maintained, attach, bus_options, master_keys,
};
pub use migration::migrate;
pub use server::Server;
pub use tasks::Tasks;
