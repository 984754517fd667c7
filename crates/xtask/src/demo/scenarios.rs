//! Scenarios of the whole: four service processes on a PostgreSQL and a NATS that nobody shares.

mod analyst;
mod backup;
mod broken;
mod crash;
mod erasure;
mod faults;
mod keys;
mod mergers;
mod metrics;
mod play;
mod refusals;
mod subject;
mod webhooks;

use crate::demo::service::Service;
use std::ffi::OsString;

use testing::PostgresOptions;

use super::client::Clients;
use super::stack::Stack;
use crate::servers::Servers;
use crate::workspace;

/// How long a process that takes over waits for the leases of one that was killed: short, since every
/// scenario waits for it often.
const LEASE_MS: &str = "1500";

/// Everything that runs. It stops when this is dropped, the services before the servers.
struct World {
    clients: Clients,
    stack: Stack,
    servers: Servers,
}

impl World {
    /// `name` is the scenario's: its services' log lines are kept in `target/scenarios/` under it.
    async fn start(name: &str) -> anyhow::Result<Self> {
        Self::start_with(name, Vec::new()).await
    }

    /// The same with more settings.
    async fn start_with(name: &str, more: Vec<(String, OsString)>) -> anyhow::Result<Self> {
        let servers = Servers::start(PostgresOptions::for_tests)?;
        let logs = workspace::target().join("scenarios").join(name);
        let settings = ["VEFA__RELAY__LEASE_MS", "VEFA__PROJECTION__LEASE_MS"]
            .map(|setting| (setting.to_owned(), OsString::from(LEASE_MS)));
        let settings = settings.into_iter().chain(more).collect();
        let mut stack = Stack::start_services(&servers, logs, settings, &Service::ALL).await?;
        stack.ready().await?;
        Ok(Self {
            clients: Clients::new(&stack)?,
            stack,
            servers,
        })
    }
}
