//! The interactions service: every contact with a customer, be it a touchpoint, a purchase or a return. Reports of other systems
//! are taken once, by their source and source id.

mod api;
mod codec;
mod domain;
mod groups;
mod known_customers;
mod react;
mod read_model;

use contracts::interactions::v1::interactions_service_server::InteractionsServiceServer;
use event_log::EventLog;
use service::{Config, Ground, GroundError, Maintained, ServiceName, limited};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api::Api, known_customers::KnownCustomers, react::KnownCustomersProjection,
    read_model::Timeline,
};

/// What this service keeps up to date from logs.
#[must_use]
pub fn projections(_: &EventLog) -> Vec<Maintained> {
    vec![
        Maintained::new(ServiceName::Interactions, Timeline),
        Maintained::new(ServiceName::Customers, KnownCustomersProjection),
    ]
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
    let ground = Ground::open(ServiceName::Interactions, config, migrations()).await?;
    ground.maintain(projections(ground.log()))?;
    let api = Api {
        log: ground.log().clone(),
        customers: KnownCustomers::new(
            ground.log().pool().clone(),
            ground.peer(ServiceName::Customers)?,
        ),
        limits: config.limits.clone(),
    };
    ground
        .serve(listener, shutdown, |server| {
            server.add_service(limited!(InteractionsServiceServer::new(api), config.limits))
        })
        .await
}
