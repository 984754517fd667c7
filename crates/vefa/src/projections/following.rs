//! Who follows the log of another service, for tools that read no event and so need no master key.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use event_log::{EventLog, KeyError, KeyService, LogOptions, Projection as _};
use futures::future::{BoxFuture, ready};
use service::{Config, Maintained, ServiceName};
use zeroize::Zeroizing;

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

/// Whoever lists projections reads nothing personal.
struct NoKeys;

impl KeyService for NoKeys {
    fn wrap<'a>(
        &'a self,
        _: &'a [u8; 32],
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, KeyError>> {
        Box::pin(ready(Err(KeyError::Unwrap)))
    }

    fn unwrap<'a>(
        &'a self,
        _: &'a [u8],
        _: &'a [u8],
    ) -> BoxFuture<'a, Result<Zeroizing<[u8; 32]>, KeyError>> {
        Box::pin(ready(Err(KeyError::Unwrap)))
    }
}
