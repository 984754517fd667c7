//! Why a service could not start, or did not end well.

use std::io;

use event_bus::BusError;
use event_log::{KeyError, LogError};

use crate::{auth::SecretError, client::InvalidPeer, server::ServeError, tls::TlsError};

/// A service could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// The secret that signs tokens is missing.
    #[error("the token secret cannot be had")]
    Secret(#[from] SecretError),
    /// No master key file is configured.
    #[error("keys.master_key_file is not set")]
    NoMasterKey,
    /// The master key is missing.
    #[error("the master key cannot be had")]
    Key(#[from] KeyError),
    /// The log could not be opened.
    #[error("the log cannot be opened")]
    Log(#[from] LogError),
    /// Tables could not be brought up to date.
    #[error("migrating the database failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Tables are not up to date, and it is not the service that brings them up to date.
    #[error(
        "the database of {name} lacks the migrations {missing:?}: run `{by}`, or set database.migrate"
    )]
    NotMigrated {
        /// Whose database.
        name: &'static str,
        /// The command that applies them.
        by: String,
        /// What is not applied.
        missing: Vec<i64>,
    },
    /// The bus could not be set up.
    #[error("the bus cannot be set up")]
    Bus(#[from] BusError),
    /// The address of another service makes no sense.
    #[error(transparent)]
    Peer(#[from] InvalidPeer),
    /// The address at which metrics are to be read is taken, or makes no sense.
    #[error("{key}: cannot listen on {address}")]
    Metrics {
        /// The setting.
        key: String,
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The certificate of the server is missing, or of no use.
    #[error("the server's certificate cannot be had")]
    Tls(#[from] TlsError),
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}
