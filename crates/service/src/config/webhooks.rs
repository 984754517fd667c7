//! `[webhooks]`: events as HTTP requests to those who have no NATS.

use std::{collections::BTreeSet, path::PathBuf};

use serde::Deserialize;
use url::Url;

use super::SecretUrl;

/// `[webhooks]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Where its health is asked for, as `host:port`.
    pub listen: String,
    /// Where its metrics are read. None: nowhere.
    pub metrics_listen: Option<String>,
    /// Its own database.
    pub database_url: SecretUrl,
    /// File with the password that does not stand in the URL.
    pub database_password_file: Option<PathBuf>,
    /// Tries of one event before it is dead.
    pub attempts_max: u32,
    /// How long after its first try an event that fails is dead.
    pub age_s_max: u64,
    /// Wait after the first failure; doubled after each further one.
    pub retry_delay_ms: u64,
    /// Longest wait of that kind.
    pub retry_delay_ms_max: u64,
    /// Longest wait that a receiver can ask for.
    pub retry_after_s_max: u64,
    /// How often it looks for what is due when it was told of nothing.
    pub poll_interval_ms: u64,
    /// Who is told.
    pub endpoints: Vec<Endpoint>,
}

/// `[[webhooks.endpoints]]`: one receiver.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Its name, for ever: what it has been told is kept by it.
    pub name: String,
    /// Whose events it is told.
    pub tenant: String,
    /// Where requests go.
    pub url: String,
    /// Files with the secrets that sign, each `whsec_` and base64. Two while a new one takes the place of an old one.
    pub secret_files: Vec<PathBuf>,
    /// From where in history on: `start`, `now`, or a moment of RFC 3339. Taken at the first start, and kept.
    pub from: String,
    /// Only events of these services; all when there are none.
    #[serde(default)]
    pub services: Vec<String>,
    /// Only events of these types, such as `PurchaseRecorded`; all when there are none.
    #[serde(default)]
    pub types: Vec<String>,
    /// Whether `http` will do.
    #[serde(default)]
    pub allow_http: bool,
    /// Certificates (PEM) of authorities that are trusted besides those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Longest time from the connection to the end of the answer.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Requests under way at once.
    #[serde(default = "in_flight_max")]
    pub in_flight_max: u32,
}

fn timeout_ms() -> u64 {
    15_000
}

fn in_flight_max() -> u32 {
    8
}

/// Endpoints of one process: each follows by itself.
const ENDPOINTS_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 32;
/// Two requests under way to one endpoint for each connection to the database would still do; this is beyond what helps.
const IN_FLIGHT_MAX: u32 = 256;
const SECRETS_MAX: usize = 4;

impl Webhooks {
    /// All that makes no sense, in words.
    pub(super) fn senseless(&self) -> Vec<String> {
        let amounts = [
            ("attempts_max", u64::from(self.attempts_max)),
            ("age_s_max", self.age_s_max),
            ("retry_delay_ms", self.retry_delay_ms),
            ("retry_delay_ms_max", self.retry_delay_ms_max),
            ("retry_after_s_max", self.retry_after_s_max),
            ("poll_interval_ms", self.poll_interval_ms),
        ];
        let zero = amounts.into_iter().filter(|(_, amount)| *amount == 0);
        let mut found: Vec<String> = zero
            .map(|(key, _)| format!("webhooks.{key} must be above 0"))
            .collect();
        if self.retry_delay_ms > self.retry_delay_ms_max {
            found.push("webhooks.retry_delay_ms is above webhooks.retry_delay_ms_max".to_owned());
        }
        if self.endpoints.len() > ENDPOINTS_MAX {
            found.push(format!(
                "webhooks.endpoints: {ENDPOINTS_MAX} at most in one process"
            ));
        }
        let mut names = BTreeSet::new();
        for endpoint in &self.endpoints {
            if !names.insert(&endpoint.name) {
                found.push(format!(
                    "webhooks.endpoints: {} is there twice",
                    endpoint.name
                ));
            }
            let senseless = endpoint.senseless().into_iter();
            found.extend(
                senseless.map(|what| format!("webhooks.endpoints {:?}: {what}", endpoint.name)),
            );
        }
        found
    }
}

impl Endpoint {
    fn senseless(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty()
            || self.name.len() > NAME_CHARS_MAX
            || !self.name.chars().all(letters)
        {
            found.push("the name is not 1 to 32 of a-z, 0-9 and -");
        }
        match Url::parse(&self.url) {
            Ok(url) => {
                if url.host().is_none() {
                    found.push("the URL names no host");
                }
                if !url.username().is_empty() || url.password().is_some() {
                    found.push("the URL holds a user or a password, which would be shown");
                }
                match url.scheme() {
                    "https" => {}
                    "http" if self.allow_http => {}
                    "http" => found.push("the URL is not https, and allow_http is not set"),
                    _ => found.push("the URL is not https"),
                }
            }
            Err(_) => found.push("the URL cannot be read"),
        }
        if !(1..=SECRETS_MAX).contains(&self.secret_files.len()) {
            found.push("secret_files names 1 to 4 files");
        }
        if self.timeout_ms == 0 {
            found.push("timeout_ms must be above 0");
        }
        if !(1..=IN_FLIGHT_MAX).contains(&self.in_flight_max) {
            found.push("in_flight_max is not 1 to 256");
        }
        found
    }
}
