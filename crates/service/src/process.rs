//! One service as a process: configuration, telemetry, signals.

use std::io;

use telemetry::InitError;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, ConfigError, ServiceName},
    ground::GroundError,
    shutdown::run_until_signal,
};

/// A process that could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The configuration cannot be used.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// Logs and traces cannot be set up.
    #[error("telemetry cannot be set up")]
    Telemetry(#[from] InitError),
    /// The operating system refused something.
    #[error("{action}")]
    System {
        /// What was refused.
        action: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The service failed.
    #[error("the service failed")]
    Service(#[from] GroundError),
}

fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> ProcessError {
    let action = action.into();
    move |source| ProcessError::System { action, source }
}

/// Runs one service until SIGINT or SIGTERM. `VEFA_CONFIG` names the configuration file; the environment goes over it.
///
/// # Errors
/// When the configuration cannot be used, the address is taken, or the service fails.
pub fn run(
    name: ServiceName,
    serve: impl AsyncFnOnce(&Config, TcpListener, CancellationToken) -> Result<(), GroundError>,
) -> Result<(), ProcessError> {
    let config = Config::load(None)?;
    let runtime = tokio::runtime::Runtime::new().map_err(system("the runtime cannot start"))?;
    runtime.block_on(async {
        let telemetry = telemetry::init(&config.telemetry, name.as_str())?;
        let served = listen_and_serve(name, &config, serve).await;
        if let Err(error) = telemetry.shutdown() {
            tracing::warn!(%error, "the last spans were not exported");
        }
        served
    })
}

async fn listen_and_serve(
    name: ServiceName,
    config: &Config,
    serve: impl AsyncFnOnce(&Config, TcpListener, CancellationToken) -> Result<(), GroundError>,
) -> Result<(), ProcessError> {
    let listener = listen(name, config).await?;
    let shutdown = CancellationToken::new();
    let serving = serve(config, listener, shutdown.clone());
    run_until_signal(&shutdown, serving)
        .await
        .map_err(system("signals cannot be received"))?
        .map_err(Into::into)
}

/// Binds the address of a service.
///
/// # Errors
/// When it is taken or makes no sense.
pub async fn listen(name: ServiceName, config: &Config) -> Result<TcpListener, ProcessError> {
    let address = config.listen.of(name);
    TcpListener::bind(address)
        .await
        .map_err(system(format!("{name} cannot listen on {address}")))
}
