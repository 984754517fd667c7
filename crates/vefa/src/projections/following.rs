//! Who follows the log of another service, for tools that read no event and so need no master key.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use event_log::{EventLog, LogOptions, NoKeys, Projection as _};
use service::{Config, Maintained, ServiceName};

use super::maintained;

/// A projection of another service's log.
pub(crate) struct Following {
    pub(crate) service: ServiceName,
    pub(crate) source: ServiceName,
    pub(crate) projection: &'static str,
    pub(crate) version: i32,
}

/// Every follower of the installation, by the lists that the services run by.
pub(crate) async fn following(config: &Config) -> Result<Vec<Following>> {
    let mut all = Vec::new();
    for service in ServiceName::ALL {
        let options = LogOptions {
            database_url: config.database.url.of(service).expose().to_owned(),
            ..LogOptions::default()
        };
        let log = EventLog::attach(service.as_str(), &options, Arc::new(NoKeys))
            .await
            .with_context(|| format!("opening the log of {service}"))?;
        for Maintained { source, projection } in maintained(service, &log) {
            if source != service {
                all.push(Following {
                    service,
                    source,
                    projection: projection.name(),
                    version: projection.version(),
                });
            }
        }
        log.close().await;
    }
    Ok(all)
}
