//! Tables brought up to date in a step of its own, so that services can start without the right to do it, and in any number.

use anyhow::{Context as _, Result};
use service::{Config, GroundError, ServiceName};
use sqlx::migrate::Migrator;

use crate::projections::told;

/// One service after the other, all four when none is named.
///
/// # Errors
/// At the first that fails; those before it are up to date then.
pub(crate) fn run(config: &Config, services: &[ServiceName]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let all = &ServiceName::ALL[..];
    let chosen = if services.is_empty() { all } else { services };
    runtime.block_on(async {
        for name in chosen {
            let migrated = one(*name, config).await;
            migrated.with_context(|| format!("the database of {name}"))?;
            told(&format!("the database of {name} is up to date"));
        }
        Ok(())
    })
}

async fn one(name: ServiceName, config: &Config) -> Result<(), GroundError> {
    service::migrate(name, config, of(name)).await
}

/// The migrations of a service that are not its log's.
pub(crate) fn of(name: ServiceName) -> Migrator {
    match name {
        ServiceName::Customers => customers::migrations(),
        ServiceName::Interactions => interactions::migrations(),
        ServiceName::Segmentation => segmentation::migrations(),
        ServiceName::Campaigns => campaigns::migrations(),
    }
}
