//! The configuration: what it holds, and the one place that reads it.
//!
//! Three layers, the later over the earlier, key by key: the embedded `default.toml`, which
//! documents every key; a file; the environment.

mod metrics;
mod passwords;
mod sections;
mod source;
pub mod webhooks;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;
use telemetry::TelemetryConfig;

pub use metrics::Metrics;
pub use sections::{
    Auth, Database, Keys, Lifecycle, Limits, Log, Nats, Peers, PerService, Projection, Relay,
    SecretUrl, ServiceName, Shutdown, Tls,
};
use source::Environment;
pub use webhooks::Webhooks;

const DEFAULTS: &str = include_str!("../default.toml");

/// All settings of a Vefa process. The meaning and unit of each stands in `default.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where each service listens, as `host:port`.
    pub listen: PerService<String>,
    /// TLS of the servers.
    pub tls: Tls,
    /// How services reach each other.
    pub peers: Peers,
    /// PostgreSQL.
    pub database: Database,
    /// NATS.
    pub nats: Nats,
    /// Who may call.
    pub auth: Auth,
    /// Where the master key is.
    pub keys: Keys,
    /// The log's writers and caches.
    pub log: Log,
    /// The publisher of a log.
    pub relay: Relay,
    /// The readers of a log.
    pub projection: Projection,
    /// When silence moves a customer.
    pub lifecycle: Lifecycle,
    /// What a caller may ask of a server.
    pub limits: Limits,
    /// How a service ends.
    pub shutdown: Shutdown,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
    /// Where metrics are read.
    pub metrics: Metrics,
    /// Events as HTTP requests.
    pub webhooks: Webhooks,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was asked for cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key that no section has.
    #[error("unknown key {key} in {origin}; known there: {known}")]
    UnknownKey {
        /// The whole key, such as `limits.streams`.
        key: String,
        /// The file or variable that has it.
        origin: String,
        /// The keys that this section does have.
        known: String,
    },
    /// A value of the wrong type or form.
    #[error("{key} in {origin}: {reason}")]
    Value {
        /// The whole key.
        key: String,
        /// The file or variable that has it.
        origin: String,
        /// What was found and what is wanted.
        reason: String,
    },
    /// A password is missing.
    #[error("cannot read the password {} that {key} names", path.display())]
    Password {
        /// The whole key.
        key: String,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Values that are well formed and make no sense.
    #[error("{}", .0.join("; "))]
    Senseless(Vec<String>),
}

impl Config {
    /// Reads the configuration: the defaults, then `path` or else the file that `VEFA_CONFIG`
    /// names, then the environment.
    ///
    /// # Errors
    /// If the file cannot be read, a key is unknown, or a value is of no use.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let named = std::env::var_os("VEFA_CONFIG").map(PathBuf::from);
        let path = path.or(named.as_deref());
        Self::from_layers(
            path,
            std::env::vars_os().filter_map(|(name, value)| {
                // A variable of ours is text; others are none of our business.
                Some((name.into_string().ok()?, value.into_string().ok()?))
            }),
        )
    }

    /// As [`Config::load`], with the environment given.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_layers(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut layers = Figment::from(Toml::string(DEFAULTS));
        if let Some(path) = path {
            // Opened here because figment tells a missing file only as text.
            std::fs::File::open(path).map_err(|source| ConfigError::File {
                path: path.to_owned(),
                source,
            })?;
            layers = layers.merge(Toml::file_exact(path));
        }
        let mut config: Self = layers
            .merge(Environment::new(environment))
            .extract()
            .map_err(source::explain)?;
        config.validate()?;
        passwords::put(&mut config.database)?;
        passwords::put_webhooks(&mut config.webhooks)?;
        Ok(config)
    }

    /// The URL by which other services reach `service`.
    pub fn peer_url(&self, service: ServiceName) -> String {
        match self.peers.url(service) {
            Some(url) => url.to_owned(),
            None if self.tls.certificate_file.is_some() => {
                format!("https://{}", self.listen.of(service))
            }
            None => format!("http://{}", self.listen.of(service)),
        }
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let mut senseless = self.zeroes();
        let limits = &self.limits;
        if limits.page_size_default > limits.page_size_max {
            senseless.push("limits.page_size_default is above limits.page_size_max".into());
        }
        if limits.request_timeout_ms > limits.request_timeout_ms_max {
            senseless
                .push("limits.request_timeout_ms is above limits.request_timeout_ms_max".into());
        }
        if self.relay.batch_events_max > 1_000 {
            senseless.push("relay.batch_events_max: NATS takes at most 1000".into());
        }
        let nats = &self.nats;
        if nats.user.is_some() != nats.password_file.is_some() {
            senseless.push("nats.user and nats.password_file go together".into());
        }
        if nats.user.is_some() && nats.credentials_file.is_some() {
            senseless.push("nats.user and nats.credentials_file exclude each other".into());
        }
        let (tls, peers) = (&self.tls, &self.peers);
        for (section, certificate, key) in [
            ("tls", &tls.certificate_file, &tls.key_file),
            ("peers", &peers.certificate_file, &peers.key_file),
            ("nats", &nats.certificate_file, &nats.key_file),
        ] {
            if certificate.is_some() != key.is_some() {
                senseless.push(format!(
                    "{section}.certificate_file and {section}.key_file go together"
                ));
            }
        }
        if tls.client_ca_file.is_some() && tls.certificate_file.is_none() {
            senseless.push("tls.client_ca_file needs tls.certificate_file".into());
        }
        if nats.certificate_file.is_some() && nats.ca_file.is_none() {
            senseless.push("nats.certificate_file needs nats.ca_file".into());
        }
        senseless.extend(self.webhooks.senseless());
        if senseless.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::Senseless(senseless))
        }
    }

    /// Every amount that must not be zero and is.
    fn zeroes(&self) -> Vec<String> {
        let (limits, log, database) = (&self.limits, &self.log, &self.database);
        let amounts = [
            (
                "database.pool_connections_max",
                u64::from(database.pool_connections_max),
            ),
            ("database.acquire_timeout_ms", database.acquire_timeout_ms),
            (
                "database.statement_timeout_ms",
                database.statement_timeout_ms,
            ),
            ("nats.request_timeout_ms", self.nats.request_timeout_ms),
            ("tls.reload_interval_ms", self.tls.reload_interval_ms),
            (
                "peers.concurrent_requests_max",
                self.peers.concurrent_requests_max as u64,
            ),
            (
                "auth.peer_token_lifetime_s",
                self.auth.peer_token_lifetime_s,
            ),
            ("log.writers", log.writers as u64),
            ("log.batch_commands_max", log.batch_commands_max as u64),
            ("log.queue_commands_max", log.queue_commands_max as u64),
            ("relay.batch_events_max", self.relay.batch_events_max as u64),
            ("relay.poll_interval_ms", self.relay.poll_interval_ms),
            ("relay.lease_ms", self.relay.lease_ms),
            (
                "projection.batch_events_max",
                self.projection.batch_events_max as u64,
            ),
            (
                "projection.poll_interval_ms",
                self.projection.poll_interval_ms,
            ),
            ("projection.lease_ms", self.projection.lease_ms),
            ("limits.message_bytes_max", limits.message_bytes_max as u64),
            ("limits.connections_max", limits.connections_max as u64),
            ("limits.streams_max", u64::from(limits.streams_max)),
            (
                "limits.concurrent_requests_max",
                limits.concurrent_requests_max as u64,
            ),
            ("limits.connection_age_s_max", limits.connection_age_s_max),
            ("limits.request_timeout_ms", limits.request_timeout_ms),
            (
                "limits.page_size_default",
                u64::from(limits.page_size_default),
            ),
            (
                "limits.import_rows_in_flight",
                limits.import_rows_in_flight as u64,
            ),
        ];
        let zero = amounts.into_iter().filter(|(_, amount)| *amount == 0);
        zero.map(|(key, _)| format!("{key} must be above 0"))
            .collect()
    }
}

impl Default for Config {
    /// The embedded defaults, alone.
    fn default() -> Self {
        Self::from_layers(None, []).expect("the embedded default.toml is valid")
    }
}
