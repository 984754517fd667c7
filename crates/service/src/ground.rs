//! What a service is made of besides its own logic, wired once for all four: log, bus, relay, projections, followers, server.

mod options;

pub use options::bus_options;
use options::{log_options, retention};

use std::{sync::Arc, time::Duration};

use contracts::common::v1::log_service_server::LogServiceServer;
use event_bus::{Bus, BusError, Follower, FollowerOptions, Relay, RelayOptions};
use event_log::{
    AnyProjection, EventLog, FileKeyService, KeyError, LogError, Projection, Projector,
    ProjectorOptions,
};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Erasures,
    auth::{Authenticator, Secret, SecretError, TokenIssuer},
    client::{InvalidPeer, Peer},
    config::{Config, ServiceName},
    limited,
    log_service::{LogApi, PeerLog},
    migration::{migrate, require_migrated},
    server::{ServeError, Server},
    tasks::Tasks,
};

/// How long a task waits after a failure before it tries again.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// How often requests whose retention has run out are forgotten. They are replaced when they are used again, so this only bounds
/// the size of the table.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// A service could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// The secret that signs tokens is missing.
    #[error("the token secret cannot be had")]
    Secret(#[from] SecretError),
    /// No master key file is configured.
    #[error("keys.master_key_file is not set")]
    NoMasterKey,
    /// The master key is missing.
    #[error("the master key cannot be had")]
    Key(#[from] KeyError),
    /// The log could not be opened.
    #[error("the log cannot be opened")]
    Log(#[from] LogError),
    /// Tables could not be brought up to date.
    #[error("migrating the database failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Tables are not up to date, and it is not the service that brings them up to date.
    #[error(
        "the database of {name} lacks the migrations {missing:?}: run `vefa migrate {name}`, or set database.migrate"
    )]
    NotMigrated {
        /// Whose database.
        name: ServiceName,
        /// What is not applied.
        missing: Vec<i64>,
    },
    /// The bus could not be set up.
    #[error("the bus cannot be set up")]
    Bus(#[from] BusError),
    /// The address of another service makes no sense.
    #[error(transparent)]
    Peer(#[from] InvalidPeer),
    /// The server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// A projection that a service keeps up to date, and whose log it follows.
#[derive(Clone)]
pub struct Maintained {
    /// The service whose log it follows: its own or another.
    pub source: ServiceName,
    /// The projection.
    pub projection: AnyProjection,
}

impl Maintained {
    /// A projection of the log of `source`.
    pub fn new(source: ServiceName, projection: impl Projection) -> Self {
        Self {
            source,
            projection: AnyProjection::new(projection),
        }
    }
}

/// The log of a service that runs, for a tool beside it: nothing is migrated.
///
/// # Errors
/// When something that the configuration names cannot be had.
pub async fn attach(name: ServiceName, config: &Config) -> Result<EventLog, GroundError> {
    let options = log_options(name, config);
    Ok(EventLog::attach(name.as_str(), &options, Arc::new(keys(config)?)).await?)
}

fn keys(config: &Config) -> Result<FileKeyService, GroundError> {
    let master = config.keys.master_key_file.as_deref();
    Ok(FileKeyService::open(
        master.ok_or(GroundError::NoMasterKey)?,
    )?)
}

/// The ground of one service.
pub struct Ground {
    name: ServiceName,
    config: Config,
    secret: Secret,
    log: EventLog,
    bus: Bus,
    tasks: Tasks,
}

impl Ground {
    /// Opens the service's log and connects to the bus in the background. Its tables are brought up to date before, or must be
    /// so (`database.migrate`); `migrator` has those that are not the log's.
    ///
    /// # Errors
    /// When something that the configuration names cannot be had, or tables are not up to date.
    pub async fn open(
        name: ServiceName,
        config: &Config,
        migrator: Migrator,
    ) -> Result<Self, GroundError> {
        let secret = Secret::from_config(&config.auth)?;
        let keys = Arc::new(keys(config)?);
        if config.database.migrate {
            migrate(name, config, migrator).await?;
        } else {
            require_migrated(name, config, &migrator).await?;
        }
        let log = EventLog::attach(name.as_str(), &log_options(name, config), keys).await?;
        let bus = Bus::connect(&bus_options(config)).await?;
        Ok(Self {
            name,
            config: config.clone(),
            secret,
            log,
            bus,
            tasks: Tasks::new(),
        })
    }

    /// The service's log.
    #[must_use]
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How long a repeated command gets its first answer.
    #[must_use]
    pub fn retention(&self) -> Duration {
        retention(&self.config)
    }

    /// Another service.
    ///
    /// # Errors
    /// When its address makes no sense.
    pub fn peer(&self, to: ServiceName) -> Result<Peer, GroundError> {
        let issuer = TokenIssuer::new(&self.secret, &self.config.auth);
        Ok(Peer::new(&self.config, self.name, to, issuer)?)
    }

    /// Every service, to be asked what it has destroyed of somebody who was erased; in the order in which services are listed everywhere.
    ///
    /// # Errors
    /// When an address makes no sense.
    pub fn erasures(&self) -> Result<Vec<Erasures>, GroundError> {
        ServiceName::ALL
            .into_iter()
            .map(|service| {
                Ok(if service == self.name {
                    Erasures::here(service, self.log.clone())
                } else {
                    Erasures::there(service, self.peer(service)?)
                })
            })
            .collect()
    }

    /// Background work of the service. It should end soon after the token is cancelled; when it fails, the service goes down.
    pub fn spawn<F, Fut, E>(&self, name: &'static str, work: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.tasks.spawn(name, work(self.tasks.stopping()));
    }

    fn run(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(name, async move {
            work.await;
            Ok::<_, std::convert::Infallible>(())
        });
    }

    /// Keeps projections up to date, each from the log that it follows.
    ///
    /// # Errors
    /// When the address of another service makes no sense.
    pub fn maintain(
        &self,
        projections: impl IntoIterator<Item = Maintained>,
    ) -> Result<(), GroundError> {
        for Maintained { source, projection } in projections {
            if source == self.name {
                self.project(projection);
            } else {
                self.follow(source, projection)?;
            }
        }
        Ok(())
    }

    /// Keeps a projection of the service's own log up to date.
    fn project<P: Projection>(&self, projection: P) {
        let name = projection.name();
        let config = &self.config.projection;
        let options = ProjectorOptions {
            batch_events_max: i64::try_from(config.batch_events_max).unwrap_or(i64::MAX),
            poll_interval: Duration::from_millis(config.poll_interval_ms),
            linger: Duration::from_millis(config.linger_ms),
            lease: Duration::from_millis(config.lease_ms),
            retry_delay: RETRY_DELAY,
        };
        let projector = Projector::new(self.log.clone(), projection, options);
        self.run(name, projector.run(self.tasks.stopping()));
    }

    /// Keeps a projection of another service's log up to date.
    fn follow<P: Projection>(&self, source: ServiceName, projection: P) -> Result<(), GroundError> {
        let name = projection.name();
        let config = &self.config.projection;
        let options = FollowerOptions {
            batch_events_max: config.batch_events_max,
            lease: Duration::from_millis(config.lease_ms),
            retry_delay: RETRY_DELAY,
        };
        let origin = PeerLog(self.peer(source)?);
        let (log, bus) = (self.log.clone(), self.bus.clone());
        let follower = Follower::new(log, bus, source.as_str(), projection, origin, options);
        self.run(name, follower.run(self.tasks.stopping()));
        Ok(())
    }

    /// Serves until `shutdown`: relays the log, and answers with the services that `add` puts into the server. Then drains.
    ///
    /// # Errors
    /// When the server or a background task fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
        add: impl FnOnce(Server) -> Server,
    ) -> Result<(), GroundError> {
        let relay = RelayOptions {
            batch_events_max: self.config.relay.batch_events_max,
            batch_bytes_max: RelayOptions::default().batch_bytes_max,
            poll_interval: Duration::from_millis(self.config.relay.poll_interval_ms),
            linger: Duration::from_millis(self.config.relay.linger_ms),
            lease: Duration::from_millis(self.config.relay.lease_ms),
            retry_delay: RETRY_DELAY,
        };
        let relay = Relay::new(self.log.clone(), self.bus.clone(), relay);
        self.run("relay", relay.run(self.tasks.stopping()));
        self.run("sweep", sweep(self.log.clone(), self.tasks.stopping()));
        let authenticator = Authenticator::new(&self.secret, &self.config.auth);
        let logs = LogServiceServer::new(LogApi::new(self.name, self.log.clone()));
        let server = Server::new(&self.config, authenticator, contracts::FILE_DESCRIPTOR_SET)
            .add_service(limited!(logs, self.config.limits));
        tracing::info!(service = %self.name, address = ?listener.local_addr().ok(), "serving");
        let served = add(server).serve(listener, shutdown, self.tasks).await;
        self.log.close().await;
        Ok(served?)
    }
}

/// Forgets, now and then, the requests whose retention has run out.
async fn sweep(log: EventLog, stopping: CancellationToken) {
    while !stopping.is_cancelled() {
        if let Err(error) = log.sweep_expired_commands().await {
            let error = &error as &(dyn std::error::Error + 'static);
            tracing::warn!(error, "expired requests were not swept; trying again later");
        }
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
    }
}
