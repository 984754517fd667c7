//! The customers service: who the customers are, by what they are known, and what they have agreed to.

mod api;
mod codec;
mod domain;
mod react;
mod read_model;
mod wire;

use std::convert::Infallible;

use contracts::customers::v1::customers_service_server::CustomersServiceServer;
use event_log::{EventLog, TimerOptions, Timers};
use service::{Config, Ground, GroundError, Maintained, ServiceName, clock, limited};
use sqlx::migrate::Migrator;
use time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    api::Api,
    domain::lifecycle::SilencePolicy,
    react::{PurchasesProjection, Stages},
    read_model::CustomerList,
};

/// What this service keeps up to date from logs.
#[must_use]
pub fn projections(log: &EventLog) -> Vec<Maintained> {
    vec![
        Maintained::new(ServiceName::Customers, CustomerList::new(log.clone())),
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
    let ground = Ground::open(ServiceName::Customers, config, migrations()).await?;
    let list = CustomerList::new(ground.log().clone());
    ground.maintain(projections(ground.log()))?;
    let stages = Timers::new(
        ground.log().clone(),
        Stages::new(ground.log().clone(), silence_policy(config)),
        clock::now,
        TimerOptions::default(),
    );
    ground.spawn("stages of life", |shutdown| async move {
        stages.run(shutdown).await;
        Ok::<_, Infallible>(())
    });
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

/// The policy that the configuration asks for.
fn silence_policy(config: &Config) -> SilencePolicy {
    let lifecycle = &config.lifecycle;
    let term = |days: u16| (days > 0).then(|| Duration::days(days.into()));
    SilencePolicy {
        lapsed_after: term(lifecycle.lapsed_after_days),
        lost_after: term(lifecycle.lost_after_days),
    }
}
