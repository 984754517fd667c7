//! Webhooks: a tenant's events as signed HTTP requests, for analysts and partners who have no NATS. A process beside the services, with a
//! database of its own for what waits to be sent.
//!
//! It follows the services' streams as any consumer does; what an endpoint is to be told is written down in the transaction that moves the
//! checkpoint, and sent from there.
//!
//! # Invariants
//! - Every event that an endpoint wants is sent until it is taken, skipped by an operator, or dead; and none of another tenant ever is.
//! - The events of one customer go to an endpoint one after the other, each only after the one before it was taken or skipped. A customer or
//!   an endpoint that is slow or fails holds up no other.
//! - No request is made under a connection to the database or within a transaction.

mod deliver;
mod endpoint;
mod follow;
mod metrics;
pub mod operate;
mod outbox;
mod receiver;
mod registry;
mod retry;
mod signature;

use std::{sync::Arc, time::Duration};

use event_json::{DescriptorError, EventTypes};
use event_log::EventLog;
use service::{Beside, Config, GroundError};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use endpoint::InvalidEndpoint;
pub use receiver::NoTrust;
pub use registry::OtherTenant;
pub use signature::InvalidSecret;

use crate::{
    deliver::{Deliverer, RECORD_MAX},
    endpoint::Endpoint,
    follow::Following,
    metrics::{Attempts, Metrics},
    outbox::Outbox,
    receiver::Receiver,
    retry::Patience,
};

/// As what the process calls services, and stands in logs.
pub const NAME: &str = "webhooks";
/// The command that makes the tables.
const MIGRATE: &str = "vefa webhooks migrate";

/// Webhooks could not be sent, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum WebhooksError {
    /// Nobody is to be told anything.
    #[error("webhooks.endpoints names no endpoint")]
    NoEndpoints,
    /// An endpoint makes no sense.
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    /// An endpoint was another tenant's.
    #[error(transparent)]
    Tenant(#[from] OtherTenant),
    /// A receiver could not be told from somebody else.
    #[error("webhooks.endpoints {endpoint:?}")]
    Trust {
        /// The endpoint.
        endpoint: &'static str,
        /// Why.
        #[source]
        source: NoTrust,
    },
    /// The contract cannot be read.
    #[error("the descriptors of events cannot be read")]
    Descriptors(#[from] DescriptorError),
    /// The database failed.
    #[error("the database of webhooks failed")]
    Database(#[from] sqlx::Error),
    /// What all processes stand on.
    #[error(transparent)]
    Ground(#[from] GroundError),
}

/// What makes the tables that are its own.
#[must_use]
pub fn migrations() -> Migrator {
    sqlx::migrate!()
}

/// Brings the tables up to date.
///
/// # Errors
/// When the database does not answer, or a migration fails.
pub async fn migrate(config: &Config) -> Result<(), GroundError> {
    Beside::migrate(&config.webhooks.database_url, migrations()).await
}

/// The database, for a tool beside the process: nothing is migrated.
///
/// # Errors
/// When it does not answer, or has no tables.
pub async fn attach(config: &Config) -> Result<EventLog, GroundError> {
    Beside::attach(NAME, &config.webhooks.database_url, config).await
}

/// Follows and sends until `shutdown`; answers on `listener` that it does.
///
/// # Errors
/// When something that the configuration names cannot be had, or a background task fails.
pub async fn serve(
    config: &Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), WebhooksError> {
    let settings = &config.webhooks;
    let types = EventTypes::published()?;
    let endpoints = settings.endpoints.iter();
    let endpoints = endpoints.map(|one| Endpoint::read(one, &types).map(Arc::new));
    let endpoints: Vec<Arc<Endpoint>> = endpoints.collect::<Result<_, _>>()?;
    if endpoints.is_empty() {
        return Err(WebhooksError::NoEndpoints);
    }
    let ground = Beside::open(NAME, &settings.database_url, config, migrations(), MIGRATE).await?;
    let attempts = Attempts::default();
    for endpoint in endpoints {
        begin(&ground, config, &endpoint, &types, &attempts).await?;
    }
    if let Some(address) = &settings.metrics_listen {
        let metrics = Arc::new(Metrics::new(ground.log().pool().clone(), &attempts));
        let scrape = move || Arc::clone(&metrics).scrape();
        ground
            .show_metrics("webhooks.metrics_listen", address, scrape)
            .await?;
    }
    Ok(ground.serve(listener, shutdown).await?)
}

/// Follows for an endpoint, and sends to it.
async fn begin(
    ground: &Beside,
    config: &Config,
    endpoint: &Arc<Endpoint>,
    types: &EventTypes,
    attempts: &Attempts,
) -> Result<(), WebhooksError> {
    attempts.begin(endpoint.name);
    let pool = ground.log().pool();
    let since = registry::register(pool, endpoint).await?;
    let receiver = Receiver::new(endpoint).map_err(|source| WebhooksError::Trust {
        endpoint: endpoint.name,
        source,
    })?;
    for service in endpoint.services.iter().copied() {
        ground.follow(service, |told| Following {
            name: follow::name(endpoint.name, service).leak(),
            endpoint: Arc::clone(endpoint),
            service,
            types: types.clone(),
            told,
            since,
        })?;
    }
    let outbox = Outbox::new(pool.clone(), endpoint.name, endpoint.timeout + RECORD_MAX);
    let deliverer = Deliverer {
        endpoint: Arc::clone(endpoint),
        receiver: Arc::new(receiver),
        outbox,
        patience: Patience::of(&config.webhooks),
        attempts: attempts.clone(),
        poll_interval: Duration::from_millis(config.webhooks.poll_interval_ms),
        drain: Duration::from_millis(config.shutdown.drain_ms_max / 2),
    };
    let log = ground.log().clone();
    ground.spawn(endpoint.name, |stopping| deliverer.run(log, stopping));
    Ok(())
}
