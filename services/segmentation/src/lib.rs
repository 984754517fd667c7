//! The segmentation service: what customers are worth, who is slipping away, and who belongs to which segment. It knows customers and
//! their purchases through the events of customers and interactions alone.

mod api;
mod codec;
pub mod domain;
mod evaluate;
mod progress;
mod react;
mod read_model;
mod work;

use contracts::segmentation::v1::segmentation_service_server::SegmentationServiceServer;
use event_log::EventLog;
use service::{Config, Ground, GroundError, Maintained, ServiceName, limited};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api::Api,
    react::{CustomerFacts, InteractionFacts},
    read_model::Catalogue,
    work::Worker,
};

pub use read_model::rebuild_standings;

/// What this service keeps up to date from logs. Facts are rows and reactions: a rebuild makes the rows and evaluates nobody.
#[must_use]
pub fn projections(_: &EventLog) -> Vec<Maintained> {
    vec![
        Maintained::new(ServiceName::Segmentation, Catalogue),
        Maintained::new(ServiceName::Customers, CustomerFacts),
        Maintained::new(ServiceName::Interactions, InteractionFacts),
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
    let ground = Ground::open(ServiceName::Segmentation, config, migrations()).await?;
    ground.maintain(projections(ground.log()))?;
    let worker = Worker::new(ground.log());
    ground.spawn("segmentation.due", |stopping| {
        worker.clone().run_due(stopping)
    });
    ground.spawn("segmentation.new", |stopping| {
        worker.clone().run_new(stopping)
    });
    let api = Api {
        log: ground.log().clone(),
        worker,
        limits: config.limits.clone(),
        retention: ground.retention(),
    };
    ground
        .serve(listener, shutdown, |server| {
            server.add_service(limited!(SegmentationServiceServer::new(api), config.limits))
        })
        .await
}
