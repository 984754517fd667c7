//! The campaigns service: whom to contact, with what, and whether it made a difference. Every decision is an event with what the
//! gate saw, on the customer's stream.

mod api;
mod audience;
mod codec;
pub mod domain;
mod react;
mod read_model;
mod wire;

use std::sync::Arc;

use contracts::campaigns::v1::campaigns_service_server::CampaignsServiceServer;
use event_log::EventLog;
use service::{Config, Ground, GroundError, Maintained, ServiceName, limited};
use sqlx::migrate::Migrator;
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::sync::CancellationToken;

use crate::{
    api::Api,
    audience::Audiences,
    react::{ConsentsProjection, PurchasesProjection},
    read_model::CampaignsProjection,
};

/// What this service keeps up to date from logs. All of it is rows of facts: decisions are made elsewhere, and recorded.
#[must_use]
pub fn projections(_: &EventLog) -> Vec<Maintained> {
    vec![
        Maintained::new(ServiceName::Campaigns, CampaignsProjection),
        Maintained::new(ServiceName::Customers, ConsentsProjection),
        Maintained::new(ServiceName::Interactions, PurchasesProjection),
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
    let ground = Ground::open(ServiceName::Campaigns, config, migrations()).await?;
    ground.maintain(projections(ground.log()))?;
    let started = Arc::new(Notify::new());
    let segmentation = ground.peer(ServiceName::Segmentation)?;
    let audiences = Audiences {
        log: ground.log().clone(),
        customers: ground.peer(ServiceName::Customers)?,
        segmentation: segmentation.clone(),
        started: Arc::clone(&started),
    };
    ground.spawn("audiences", |shutdown| audiences.run(shutdown));
    let api = Api {
        log: ground.log().clone(),
        segmentation,
        started,
        retention: ground.retention(),
        limits: config.limits.clone(),
    };
    ground
        .serve(listener, shutdown, |server| {
            server.add_service(limited!(CampaignsServiceServer::new(api), config.limits))
        })
        .await
}
