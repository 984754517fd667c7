//! Runs services in one process.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use service::{Config, ServiceName, process, shutdown};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub(crate) fn parse_name(text: &str) -> Result<ServiceName, String> {
    ServiceName::ALL
        .into_iter()
        .find(|name| name.as_str() == text)
        .ok_or_else(|| {
            "no such service; there are customers, interactions, segmentation, campaigns".to_owned()
        })
}

/// Runs the named services, or all, until a signal or until one of them fails; then all are shut down.
pub(crate) fn run(config: &Config, services: &[ServiceName]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        // What a process is called in traces: the service that it is, where it is one.
        let name = match services {
            [one] => one.as_str(),
            _ => "vefa",
        };
        let guard = telemetry::init(&config.telemetry, name).context("setting up telemetry")?;
        let result = serve(config, services).await;
        if let Err(error) = guard.shutdown() {
            tracing::warn!(%error, "the last spans were not exported");
        }
        result
    })
}

async fn serve(config: &Config, services: &[ServiceName]) -> Result<()> {
    let chosen: BTreeSet<ServiceName> = if services.is_empty() {
        ServiceName::ALL.into()
    } else {
        services.iter().copied().collect()
    };
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    for name in chosen {
        let listener = process::listen(name, config).await?;
        let (config, stop) = (config.clone(), stop.clone());
        running.spawn(async move {
            // Whatever ends one of them ends all: half a process helps nobody.
            let _stop_others = stop.clone().drop_guard();
            one(name, &config, listener, stop)
                .await
                .with_context(|| format!("{name} failed"))
        });
    }
    let waiting = async {
        let mut outcome = Ok(());
        while let Some(ended) = running.join_next().await {
            let ended = ended.context("a service panicked").flatten();
            if outcome.is_ok() {
                outcome = ended;
            }
        }
        outcome
    };
    match shutdown::run_until_signal(&stop, waiting).await {
        Ok(outcome) => outcome,
        Err(error) => bail!("signals cannot be received: {error}"),
    }
}

async fn one(
    name: ServiceName,
    config: &Config,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<()> {
    match name {
        ServiceName::Customers => customers::serve(config, listener, stop).await?,
        ServiceName::Interactions => interactions::serve(config, listener, stop).await?,
        ServiceName::Segmentation => segmentation::serve(config, listener, stop).await?,
        ServiceName::Campaigns => campaigns::serve(config, listener, stop).await?,
    }
    Ok(())
}
