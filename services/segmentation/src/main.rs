//! The segmentation service as a process of its own. `VEFA_CONFIG` names its configuration file.

use anyhow::Context as _;
use service::{Config, shutdown::run_until_signal};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::load(None)?;
    let telemetry = telemetry::init(&config.telemetry, "segmentation")?;
    let address = &config.listen.segmentation;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let shutdown = CancellationToken::new();
    let served = run_until_signal(
        &shutdown,
        segmentation::serve(&config, listener, shutdown.clone()),
    )
    .await?;
    telemetry.shutdown()?;
    Ok(served?)
}
