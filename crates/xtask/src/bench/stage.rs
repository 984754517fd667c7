//! Where things are measured: servers, services, clients with several connections each.

use std::path::PathBuf;

use anyhow::Context;
use contracts::customers::v1::customers_service_client::CustomersServiceClient;
use contracts::interactions::v1::interactions_service_client::InteractionsServiceClient;
use futures::TryStreamExt as _;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::runtime::Runtime;

use super::Options;
use crate::demo::client::{Clients, Wire};
use crate::demo::service::Service;
use crate::demo::stack::Stack;
use crate::servers::Servers;
use crate::workspace;

const LIMITS: &str = "vefa_limits";
/// Connections over which the load comes, as from several clients.
const CONNECTIONS: usize = 4;

/// The servers, a runtime, and what was asked for.
pub(super) struct Stage<'a> {
    pub(super) servers: &'a Servers,
    pub(super) options: &'a Options,
    runtime: Runtime,
}

impl<'a> Stage<'a> {
    pub(super) fn new(servers: &'a Servers, options: &'a Options) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("starting the runtime")?;
        let stage = Self {
            servers,
            options,
            runtime,
        };
        stage.block_on(async {
            let url = servers.postgres.url("postgres");
            let mut administrator = PgConnection::connect(&url)
                .await
                .context("connecting to PostgreSQL")?;
            administrator.execute("create database vefa_limits").await?;
            anyhow::Ok(())
        })?;
        Ok(stage)
    }

    pub(super) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Seconds of each measurement.
    pub(super) fn seconds(&self) -> u64 {
        self.options.seconds
    }

    pub(super) fn limits_url(&self) -> String {
        self.servers.postgres.url(LIMITS)
    }

    pub(super) fn postgres_programs(&self) -> PathBuf {
        self.servers.postgres_bin_dir()
    }

    /// Removes what the services of an earlier measurement have left.
    async fn clear(&self) -> anyhow::Result<()> {
        let mut administrator = PgConnection::connect(&self.servers.postgres.url("postgres"))
            .await
            .context("connecting to PostgreSQL")?;
        let client = async_nats::connect(self.servers.nats.url())
            .await
            .context("connecting to NATS")?;
        let jetstream = async_nats::jetstream::new(client);
        let streams: Vec<String> = jetstream.stream_names().try_collect().await?;
        for stream in streams {
            jetstream.delete_stream(&stream).await?;
        }
        for service in Service::ALL {
            // Names cannot be bound as parameters; these are constants.
            let statement = format!(
                "drop database if exists vefa_{} with (force)",
                service.name()
            );
            administrator
                .execute(AssertSqlSafe(statement))
                .await
                .context("dropping a database")?;
        }
        Ok(())
    }

    /// These services on fresh databases, ready.
    pub(super) async fn start(&self, services: &[Service]) -> anyhow::Result<Stack> {
        self.clear().await?;
        let logs = workspace::target().join("bench/logs");
        let mut stack = Stack::start_services(self.servers, logs, Vec::new(), services).await?;
        stack.ready().await?;
        Ok(stack)
    }
}

/// Clients over several connections; workers take turns.
#[derive(Clone)]
pub(super) struct Load {
    clients: Vec<Clients>,
}

impl Load {
    pub(super) fn new(stack: &Stack) -> anyhow::Result<Self> {
        let clients = (0..CONNECTIONS)
            .map(|_| Clients::new(stack))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { clients })
    }

    pub(super) fn of(&self, worker: usize) -> &Clients {
        &self.clients[worker % CONNECTIONS]
    }

    pub(super) fn customers(&self, worker: usize) -> CustomersServiceClient<Wire> {
        self.of(worker).customers.clone()
    }

    pub(super) fn interactions(&self, worker: usize) -> InteractionsServiceClient<Wire> {
        self.of(worker).interactions.clone()
    }
}
