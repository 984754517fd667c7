//! The configuration as log and bus take it.

use std::time::Duration;

use event_bus::{BusOptions, BusTls, Login, RelayOptions};
use event_log::LogOptions;

use crate::config::{Config, SecretUrl, ServiceName};

pub(super) fn retention(config: &Config) -> Duration {
    Duration::from_secs(u64::from(config.log.idempotency_retention_days) * 24 * 60 * 60)
}

pub(super) fn log_options(name: ServiceName, config: &Config) -> LogOptions {
    log_options_at(config.database.url.of(name), config)
}

pub(super) fn log_options_at(url: &SecretUrl, config: &Config) -> LogOptions {
    let database = &config.database;
    LogOptions {
        database_url: url.expose().to_owned(),
        connections_max: database.pool_connections_max,
        acquire_timeout: Duration::from_millis(database.acquire_timeout_ms),
        statement_timeout: Duration::from_millis(database.statement_timeout_ms),
        idle_timeout: Duration::from_millis(database.idle_timeout_ms),
        writers: config.log.writers,
        mailbox_commands_max: config.log.queue_commands_max,
        batch_commands_max: config.log.batch_commands_max,
        key_cache_entries_max: config.log.key_cache_entries_max,
        state_cache_entries_max: config.log.state_cache_entries_max,
        snapshot_tail_events_min: config.log.snapshot_tail_events_min,
    }
}

/// How to reach the bus that the configuration names.
#[must_use]
pub fn bus_options(config: &Config) -> BusOptions {
    BusOptions {
        url: config.nats.url.expose().to_owned(),
        stream_prefix: config.nats.stream_prefix.clone(),
        credentials_file: config.nats.credentials_file.clone(),
        login: config
            .nats
            .user
            .clone()
            .zip(config.nats.password_file.clone())
            .map(|(user, password_file)| Login {
                user,
                password_file,
            }),
        tls: config.nats.ca_file.clone().map(|ca_file| BusTls {
            ca_file,
            identity: config
                .nats
                .certificate_file
                .clone()
                .zip(config.nats.key_file.clone()),
        }),
        request_timeout: Duration::from_millis(config.nats.request_timeout_ms),
        replicas: config.nats.stream_replicas,
    }
}

pub(super) fn relay_options(config: &Config, retry_delay: Duration) -> RelayOptions {
    let relay = &config.relay;
    RelayOptions {
        batch_events_max: relay.batch_events_max,
        batch_bytes_max: RelayOptions::default().batch_bytes_max,
        poll_interval: Duration::from_millis(relay.poll_interval_ms),
        linger: Duration::from_millis(relay.linger_ms),
        lease: Duration::from_millis(relay.lease_ms),
        retry_delay,
    }
}
