//! Real PostgreSQL and NATS servers for tests and for the demo, and what tests need around them.
//!
//! With the feature `services` also what the tests of all services share. Nothing here knows one of them: a test
//! crate says what it serves. Nothing here downloads either; `cargo xtask` obtains the servers' programs where the
//! machine has none.

mod certificates;
mod database;
mod environment;
mod error;
mod eventually;
#[cfg(feature = "services")]
pub mod golden;
#[cfg(feature = "services")]
pub mod log;
mod nats;
mod port;
mod postgres;
mod process;
mod programs;
#[cfg(feature = "services")]
pub mod refusal;
mod run_as;
mod server_process;
#[cfg(feature = "services")]
pub mod snapshot;
#[cfg(feature = "services")]
pub mod stack;

pub use certificates::{CertificateError, Issued, TestCa};
pub use database::{DatabaseError, TestDatabase};
pub use environment::{
    NATS_SERVER_VARIABLE, NATS_URL_VARIABLE, POSTGRES_BIN_DIR_VARIABLE, POSTGRES_URL_VARIABLE,
    TestEnvironmentError, TestServers, environment_variable,
};
pub use error::ServerError;
pub use eventually::{eventually, wait_until};
pub use nats::NatsServer;
pub use port::free as free_port;
pub use postgres::{PostgresOptions, PostgresServer, PostgresTls};
pub use process::{BoundSignal, HeldStill, bound_command, hold_still, spawn_bound, terminate};
pub use programs::{NatsProgram, PostgresPrograms, ProgramError, Version};
