//! The question of a container engine or a load balancer: does it serve?

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tonic::{Request, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

#[derive(clap::Args)]
pub(crate) struct HealthArguments {
    /// Where the service listens, as host:port.
    address: String,
    /// How long to wait for the answer.
    #[arg(long, default_value_t = 2000)]
    timeout_ms: u64,
}

/// Asks the server as a whole (`grpc.health.v1`), which needs no token.
///
/// # Errors
/// When it does not answer in time, or that it does not serve, as while it drains.
pub(crate) fn run(arguments: &HealthArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let limit = Duration::from_millis(arguments.timeout_ms);
    let address = &arguments.address;
    runtime.block_on(async {
        let status = tokio::time::timeout(limit, ask(address))
            .await
            .with_context(|| format!("{address} did not answer within {limit:?}"))??;
        if status != ServingStatus::Serving {
            bail!("{address} answers {}", status.as_str_name());
        }
        Ok(())
    })
}

async fn ask(address: &str) -> Result<ServingStatus> {
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .with_context(|| format!("{address:?} is not host:port"))?
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
