//! The sections of the configuration. Units and defaults stand in `default.toml`.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

/// One of the four services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceName {
    /// Who the customers are.
    Customers,
    /// What happened between them and the business.
    Interactions,
    /// What they are worth, and which segments they belong to.
    Segmentation,
    /// Who is contacted, and with what effect.
    Campaigns,
}

impl ServiceName {
    /// All four, in the order in which they depend on each other's events.
    pub const ALL: [Self; 4] = [
        Self::Customers,
        Self::Interactions,
        Self::Segmentation,
        Self::Campaigns,
    ];

    /// The name in configuration, subjects, scopes and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Interactions => "interactions",
            Self::Segmentation => "segmentation",
            Self::Campaigns => "campaigns",
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One value for each service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the services")]
pub struct PerService<T> {
    pub customers: T,
    pub interactions: T,
    pub segmentation: T,
    pub campaigns: T,
}

impl<T> PerService<T> {
    /// The value of `service`.
    pub fn of(&self, service: ServiceName) -> &T {
        match service {
            ServiceName::Customers => &self.customers,
            ServiceName::Interactions => &self.interactions,
            ServiceName::Segmentation => &self.segmentation,
            ServiceName::Campaigns => &self.campaigns,
        }
    }

    /// The value of `service`, to be changed.
    pub fn of_mut(&mut self, service: ServiceName) -> &mut T {
        match service {
            ServiceName::Customers => &mut self.customers,
            ServiceName::Interactions => &mut self.interactions,
            ServiceName::Segmentation => &mut self.segmentation,
            ServiceName::Campaigns => &mut self.campaigns,
        }
    }
}

/// A URL that may hold a password: it is not shown when printed for debugging.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The URL with everything in it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(..)")
    }
}

/// `[tls]`: what the gRPC servers show, and whom they let in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those above it. None: servers speak in clear.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The CAs of clients. None: clients need no certificate.
    pub client_ca_file: Option<PathBuf>,
    /// How often the files are looked at.
    pub reload_interval_ms: u64,
}

/// `[peers]`: how services call each other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// URL of the customers service, if not its listen address.
    pub customers: Option<String>,
    /// URL of the interactions service, if not its listen address.
    pub interactions: Option<String>,
    /// URL of the segmentation service, if not its listen address.
    pub segmentation: Option<String>,
    /// URL of the campaigns service, if not its listen address.
    pub campaigns: Option<String>,
    /// The CAs that are believed for https.
    pub ca_file: Option<PathBuf>,
    /// The certificate that is shown to servers who ask for one.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// Time limit of a new connection.
    pub connect_timeout_ms: u64,
    /// Longest wait for the first answer.
    pub request_timeout_ms: u64,
    /// Calls under way at once.
    pub concurrent_requests_max: usize,
}

impl Peers {
    pub(super) fn url(&self, service: ServiceName) -> Option<&str> {
        match service {
            ServiceName::Customers => self.customers.as_deref(),
            ServiceName::Interactions => self.interactions.as_deref(),
            ServiceName::Segmentation => self.segmentation.as_deref(),
            ServiceName::Campaigns => self.campaigns.as_deref(),
        }
    }
}

/// `[database]`: PostgreSQL.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// One database for each service.
    pub url: PerService<SecretUrl>,
    /// Files with the passwords that do not stand in the URLs.
    pub password_file: PerService<Option<PathBuf>>,
    /// Whether a service brings its tables up to date when it starts.
    pub migrate: bool,
    /// Connections of one service.
    pub pool_connections_max: u32,
    /// Longest wait for a free connection.
    pub acquire_timeout_ms: u64,
    /// Longest run of a statement.
    pub statement_timeout_ms: u64,
    /// When an idle connection is closed.
    pub idle_timeout_ms: u64,
}

/// `[nats]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// Server, or servers separated by commas.
    pub url: SecretUrl,
    /// Put before the names of streams and subjects. May be empty.
    pub stream_prefix: String,
    /// Credentials, where the server asks for them.
    pub credentials_file: Option<PathBuf>,
    /// A user with a password, instead.
    pub user: Option<String>,
    /// File with that password.
    pub password_file: Option<PathBuf>,
    /// The CAs that are believed. With them TLS is required.
    pub ca_file: Option<PathBuf>,
    /// The certificate that is shown to a server who asks for one.
    pub certificate_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// Time limit of a request.
    pub request_timeout_ms: u64,
    /// Copies of each stream.
    pub stream_replicas: usize,
}

/// `[auth]`: tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// File with the signing secret.
    pub secret_file: Option<PathBuf>,
    /// Who makes the tokens.
    pub issuer: String,
    /// Whom the tokens are for.
    pub audience: String,
    /// How far clocks may differ.
    pub clock_skew_s_max: u64,
    /// Lifetime of a token between services.
    pub peer_token_lifetime_s: u64,
}

/// `[keys]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// File with the key that wraps the data keys of persons.
    pub master_key_file: Option<PathBuf>,
}

/// `[log]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Tasks that append.
    pub writers: usize,
    /// Commands in one transaction.
    pub batch_commands_max: usize,
    /// Commands that wait for a writer.
    pub queue_commands_max: usize,
    /// How long a repeated command gets its first answer.
    pub idempotency_retention_days: u32,
    /// Unwrapped data keys in memory.
    pub key_cache_entries_max: u64,
    /// Streams whose folded state is kept in memory.
    pub state_cache_entries_max: u64,
    /// Events that a load folds before what they make is kept.
    pub snapshot_tail_events_min: usize,
}

/// `[relay]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// Events in one batch.
    pub batch_events_max: usize,
    /// How often it looks unasked.
    pub poll_interval_ms: u64,
    /// How long events gather after a batch that was not full.
    pub linger_ms: u64,
    /// How long it stays elected.
    pub lease_ms: u64,
}

/// `[projection]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// Events in one transaction.
    pub batch_events_max: usize,
    /// How often it looks unasked.
    pub poll_interval_ms: u64,
    /// How long events gather after a batch that was not full.
    pub linger_ms: u64,
    /// How long a partition stays with its reader.
    pub lease_ms: u64,
}

/// `[lifecycle]`: when silence moves a customer to another stage of life.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lifecycle {
    /// From the last purchase until a customer lapses; 0 for never.
    pub lapsed_after_days: u16,
    /// From then until the customer is lost; 0 for never.
    pub lost_after_days: u16,
}

/// `[limits]`: what a caller may ask of a server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// One message, either way.
    pub message_bytes_max: usize,
    /// Headers of one request.
    pub header_list_bytes_max: u32,
    /// Connections to one service.
    pub connections_max: usize,
    /// A new connection speaks HTTP/2 within this time.
    pub handshake_timeout_ms: u64,
    /// A connection is asked to close after this.
    pub connection_age_s_max: u64,
    /// Streams on one connection.
    pub streams_max: u32,
    /// Requests worked on for one connection.
    pub concurrent_requests_max: usize,
    /// Streams reset by the client and not yet seen.
    pub pending_reset_streams_max: usize,
    /// Streams reset because of the client's errors.
    pub local_reset_streams_max: usize,
    /// Time between HTTP/2 pings.
    pub keepalive_interval_ms: u64,
    /// How long the answer to a ping may take.
    pub keepalive_timeout_ms: u64,
    /// Deadline of a call that brings none.
    pub request_timeout_ms: u64,
    /// Longest deadline, and that of a streaming call that brings none.
    pub request_timeout_ms_max: u64,
    /// Rows of a page when not asked for.
    pub page_size_default: u32,
    /// Rows of a page at most.
    pub page_size_max: u32,
    /// Rows of one import worked on at once.
    pub import_rows_in_flight: usize,
}

/// `[shutdown]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// What is still under way after this is ended.
    pub drain_ms_max: u64,
}
