//! What a process is made of that follows services and is none of them: a database of its own for what it makes of their events, but no log
//! that others follow, and no master key.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use aggregate::Partition;
use event_bus::{Bus, Follower, FollowerOptions, Origin, OriginError};
use event_log::{EventLog, History, NoKeys, Projection, StoredEvent};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    GroundError, RETRY_DELAY,
    options::{bus_options, log_options_at},
};
use crate::{
    auth::{Authenticator, Secret, TokenIssuer},
    client::Peer,
    config::{Config, SecretUrl, ServiceName},
    log_service::PeerLog,
    metrics::Endpoint,
    migration::{migrate_at, require_migrated_at},
    server::Server,
    tasks::Tasks,
};

/// How often a service that does not answer is asked where its log stands.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The ground of one such process.
pub struct Beside {
    name: &'static str,
    config: Config,
    secret: Secret,
    log: EventLog,
    bus: Bus,
    tasks: Tasks,
}

/// The epoch of a log that is followed, as its service told it last.
#[derive(Clone, Debug, Default)]
pub struct EpochTold(Arc<AtomicI32>);

impl EpochTold {
    /// None as long as the service was not asked.
    #[must_use]
    pub fn get(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|epoch| *epoch > 0)
    }
}

impl Beside {
    /// Opens the process's database and connects to the bus in the background. Tables are brought up to date before, or must be so
    /// (`database.migrate`); the command `by` does that.
    ///
    /// # Errors
    /// When something that the configuration names cannot be had, or tables are not up to date.
    pub async fn open(
        name: &'static str,
        database: &SecretUrl,
        config: &Config,
        migrator: Migrator,
        by: &str,
    ) -> Result<Self, GroundError> {
        let secret = Secret::from_config(&config.auth)?;
        if config.database.migrate {
            migrate_at(database, migrator).await?;
        } else {
            require_migrated_at(name, database, &migrator, by.to_owned()).await?;
        }
        Ok(Self {
            name,
            config: config.clone(),
            secret,
            log: Self::attach(name, database, config).await?,
            bus: Bus::connect(&bus_options(config)).await?,
            tasks: Tasks::new(),
        })
    }

    /// The database of such a process, for a tool beside it: nothing is migrated.
    ///
    /// # Errors
    /// When it does not answer, or has no tables.
    pub async fn attach(
        name: &'static str,
        database: &SecretUrl,
        config: &Config,
    ) -> Result<EventLog, GroundError> {
        let options = log_options_at(database, config);
        Ok(EventLog::attach(name, &options, Arc::new(NoKeys)).await?)
    }

    /// Brings the tables of such a process up to date.
    ///
    /// # Errors
    /// When the database does not answer, or a migration fails; those before it stay applied.
    pub async fn migrate(database: &SecretUrl, migrator: Migrator) -> Result<(), GroundError> {
        migrate_at(database, migrator).await
    }

    /// The database. Nothing is ever appended to it as to a log.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Background work. It should end soon after the token is cancelled; when it fails, the process goes down.
    pub fn spawn<F, Fut, E>(&self, name: &'static str, work: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.tasks.spawn(name, work(self.tasks.stopping()));
    }

    /// Keeps a projection of a service's log up to date. It is given no event before the service has told its epoch.
    ///
    /// # Errors
    /// When the address of the service makes no sense.
    pub fn follow<P: Projection>(
        &self,
        source: ServiceName,
        projection: impl FnOnce(EpochTold) -> P,
    ) -> Result<(), GroundError> {
        let issuer = TokenIssuer::new(&self.secret, &self.config.auth);
        let peer = Peer::beside(&self.config, self.name, source, issuer)?;
        let told = EpochTold::default();
        let origin = Telling {
            log: PeerLog(peer),
            told: told.clone(),
        };
        let projection = projection(told);
        let name = projection.name();
        let settings = &self.config.projection;
        let options = FollowerOptions {
            batch_events_max: settings.batch_events_max,
            lease: Duration::from_millis(settings.lease_ms),
            retry_delay: RETRY_DELAY,
        };
        let (log, bus) = (self.log.clone(), self.bus.clone());
        let stopping = self.tasks.stopping();
        let following = async move {
            if origin.asked(source, &stopping).await {
                let follower =
                    Follower::new(log, bus, source.as_str(), projection, origin, options);
                follower.run(stopping).await;
            }
            Ok::<_, std::convert::Infallible>(())
        };
        self.tasks.spawn(name, following);
        Ok(())
    }

    /// Shows what `scrape` gives to whoever watches, at an address that the setting `key` names.
    ///
    /// # Errors
    /// When the address is taken, or makes no sense.
    pub async fn show_metrics<S, F>(
        &self,
        key: &str,
        address: &str,
        scrape: S,
    ) -> Result<(), GroundError>
    where
        S: Fn() -> F + Clone + Send + Sync + 'static,
        F: Future<Output = String> + Send + 'static,
    {
        let bound = Endpoint::bind(address).await;
        let endpoint = bound.map_err(|source: io::Error| GroundError::Metrics {
            key: key.to_owned(),
            address: address.to_owned(),
            source,
        })?;
        let stopping = self.tasks.stopping();
        self.tasks.spawn("metrics", async move {
            endpoint.serve(scrape, stopping).await;
            Ok::<_, std::convert::Infallible>(())
        });
        Ok(())
    }

    /// Answers that it serves (`grpc.health.v1`) until `shutdown`, or until a task fails. Then lets the tasks end.
    ///
    /// # Errors
    /// When the server or a task fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), GroundError> {
        let authenticator = Authenticator::new(&self.secret, &self.config.auth);
        let server = Server::new(&self.config, authenticator, contracts::FILE_DESCRIPTOR_SET);
        tracing::info!(service = self.name, address = ?listener.local_addr().ok(), "serving");
        let served = server.serve(listener, shutdown, self.tasks).await;
        self.log.close().await;
        Ok(served?)
    }
}

/// A service's log that notes the epoch which it tells.
struct Telling {
    log: PeerLog,
    told: EpochTold,
}

impl Telling {
    /// Asks until there is an answer; whether there was one before the end.
    async fn asked(&self, source: ServiceName, stopping: &CancellationToken) -> bool {
        let asking = async {
            while let Err(error) = self.history().await {
                tracing::warn!(
                    %source,
                    error = &*error as &(dyn std::error::Error + 'static),
                    "the service does not say where its log stands; asking again"
                );
                tokio::time::sleep(ASK_AGAIN).await;
            }
        };
        tokio::select! {
            () = stopping.cancelled() => false,
            () = asking => true,
        }
    }
}

impl Origin for Telling {
    async fn read(
        &self,
        partition: Partition,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, OriginError> {
        self.log.read(partition, after, limit).await
    }

    async fn history(&self) -> Result<History, OriginError> {
        let history = self.log.history().await?;
        self.told.0.store(history.epoch, Ordering::Relaxed);
        Ok(history)
    }
}
