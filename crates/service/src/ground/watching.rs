//! What of a service is watched, and where it is shown.

use std::sync::{Arc, PoisonError};

use event_bus::RelayStanding;
use event_log::{Projection, control::Target};

use super::{Ground, GroundError};
use crate::{
    config::ServiceName,
    log_service::PeerLog,
    metrics::{CallDurations, Endpoint, Metrics, Watch, Watched},
    tls::ServerTls,
};

impl Ground {
    pub(super) fn will_watch(&self, source: ServiceName, projection: &impl Projection) {
        let target = Target {
            projection: projection.name(),
            version: projection.version(),
        };
        self.watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Watched { target, source });
    }

    /// Shows the service's metrics, if the configuration says where.
    pub(super) async fn show_metrics(
        &self,
        calls: &CallDurations,
        relay: RelayStanding,
        tls: Option<ServerTls>,
    ) -> Result<(), GroundError> {
        let Some(address) = self.config.metrics.listen.of(self.name) else {
            return Ok(());
        };
        let endpoint = Endpoint::bind(address)
            .await
            .map_err(|source| GroundError::Metrics {
                key: format!("metrics.listen.{}", self.name),
                address: address.clone(),
                source,
            })?;
        let watched = self
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut origins: Vec<ServiceName> = watched.iter().map(|one| one.source).collect();
        origins.sort_unstable();
        origins.dedup();
        origins.retain(|origin| *origin != self.name);
        let origins = origins
            .into_iter()
            .map(|origin| Ok((origin, PeerLog(self.peer(origin)?))))
            .collect::<Result<_, GroundError>>()?;
        let watch = Watch::new(self.name, self.log.clone(), watched, relay, origins, tls);
        let metrics = Metrics::new(self.name, &self.log, calls, watch);
        let stopping = self.tasks.stopping();
        let metrics = Arc::new(metrics);
        let scrape = move || {
            let metrics = Arc::clone(&metrics);
            async move { metrics.scrape().await }
        };
        self.run("metrics", endpoint.serve(scrape, stopping));
        Ok(())
    }
}
