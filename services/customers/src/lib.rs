//! The customers service: who the customers are, by what they are known, and what they have agreed to.

mod api;
mod codec;
mod domain;
mod read_model;
mod wire;

use contracts::customers::v1::customers_service_server::CustomersServiceServer;
use event_log::EventLog;
use service::{Config, Ground, GroundError, Maintained, ServiceName, limited};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{api::Api, read_model::CustomerList};

/// What this service keeps up to date from logs.
#[must_use]
pub fn projections(log: &EventLog) -> Vec<Maintained> {
    vec![Maintained::new(
        ServiceName::Customers,
        CustomerList::new(log.clone()),
    )]
}

/// What makes the tables that are the service's own.
#[must_use]
pub fn migrations() -> Migrator {
    sqlx::migrate!()
}

/// Serves on `listener` until `shutdown`, then drains.
///
/// # Errors
/// When something that the configuration names cannot be had, or the server or a background task fails.
pub async fn serve(
    config: &Config,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), GroundError> {
    let ground = Ground::open(ServiceName::Customers, config, migrations()).await?;
    let list = CustomerList::new(ground.log().clone());
    ground.maintain(projections(ground.log()))?;
    let api = Api {
        log: ground.log().clone(),
        list,
        limits: config.limits.clone(),
        erasures: ground.erasures()?,
        retention: ground.retention(),
    };
    ground
        .serve(listener, shutdown, |server| {
            server.add_service(limited!(CustomersServiceServer::new(api), config.limits))
        })
        .await
}
