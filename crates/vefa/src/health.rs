//! The question of a container engine or a load balancer: does it serve?

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use service::{Config, client::Address};
use tonic::Request;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const HTTPS: &str = "https://";

#[derive(clap::Args)]
pub(crate) struct HealthArguments {
    /// Where the service listens: host:port, or https://host:port, for which the configuration names the CA (peers.ca_file).
    address: String,
    /// How long to wait for the answer.
    #[arg(long, default_value_t = 2000)]
    timeout_ms: u64,
}

/// Asks the server as a whole (`grpc.health.v1`), which needs no token.
///
/// # Errors
/// When it does not answer in time, or that it does not serve, as while it drains.
pub(crate) fn run(
    arguments: &HealthArguments,
    config: impl FnOnce() -> Result<Config>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let limit = Duration::from_millis(arguments.timeout_ms);
    let address = &arguments.address;
    // In clear nothing has to be configured, so that nothing can be wrong with it.
    let config = if address.starts_with(HTTPS) {
        config()?
    } else {
        Config::default()
    };
    let at = Address::new(&url(address), &config.peers)
        .with_context(|| format!("{address:?} cannot be asked"))?;
    runtime.block_on(async {
        let status = tokio::time::timeout(limit, ask(at, address))
            .await
            .with_context(|| format!("{address} did not answer within {limit:?}"))??;
        if status != ServingStatus::Serving {
            bail!("{address} answers {}", status.as_str_name());
        }
        Ok(())
    })
}

/// What host:port stands for, if it does not say that it is reached over TLS.
pub(crate) fn url(address: &str) -> String {
    if address.starts_with(HTTPS) {
        address.to_owned()
    } else {
        format!("http://{address}")
    }
}

async fn ask(at: Address, address: &str) -> Result<ServingStatus> {
    let channel = at
        .connect()
        .await
        .with_context(|| format!("{address} cannot be reached"))?;
    let request = Request::new(HealthCheckRequest::default());
    let answer = HealthClient::new(channel)
        .check(request)
        .await
        .with_context(|| format!("{address} does not tell"))?;
    Ok(answer.get_ref().status())
}
