//! What a service is made of besides its own logic, wired once for all four: log, bus, relay, projections, followers, server.

mod beside;
mod error;
mod options;
mod watching;

pub use beside::{Beside, EpochTold};
pub use error::GroundError;
pub use options::bus_options;
use options::{log_options, relay_options, retention};

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::common::v1::log_service_server::LogServiceServer;
use event_bus::{Bus, Follower, FollowerOptions, Relay};
use event_log::{AnyProjection, EventLog, FileKeyService, Projection, Projector, ProjectorOptions};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    Erasures,
    auth::{Authenticator, Secret, TokenIssuer},
    client::Peer,
    config::{Config, ServiceName},
    limited,
    log_service::{LogApi, PeerLog},
    metrics::{CallDurations, Watched},
    migration::{migrate, require_migrated},
    server::Server,
    tasks::Tasks,
    tls::ServerTls,
};

/// How long a task waits after a failure before it tries again.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// How often requests whose retention has run out are forgotten. They are replaced when they are used again, so this only bounds
/// the size of the table.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

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
    Ok(EventLog::attach(name.as_str(), &options, Arc::new(master_keys(config)?)).await?)
}

/// What wraps the data keys of all services.
///
/// # Errors
/// When the configuration names no file of master keys, or one that cannot be used.
pub fn master_keys(config: &Config) -> Result<FileKeyService, GroundError> {
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
    watched: Mutex<Vec<Watched>>,
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
        let keys = Arc::new(master_keys(config)?);
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
            watched: Mutex::default(),
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
            self.will_watch(source, &projection);
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
        let relay = relay_options(&self.config, RETRY_DELAY);
        let relay = Relay::new(self.log.clone(), self.bus.clone(), relay);
        let calls = CallDurations::default();
        let tls = ServerTls::open(&self.config.tls)?;
        self.show_metrics(&calls, relay.standing(), tls.clone())
            .await?;
        if let Some(tls) = tls.clone() {
            self.run("certificate", tls.watch(self.tasks.stopping()));
        }
        self.run("relay", relay.run(self.tasks.stopping()));
        self.run("sweep", sweep(self.log.clone(), self.tasks.stopping()));
        let authenticator = Authenticator::new(&self.secret, &self.config.auth);
        let logs = LogServiceServer::new(LogApi::new(self.name, self.log.clone()));
        let server = Server::new(&self.config, authenticator, contracts::FILE_DESCRIPTOR_SET)
            .measured_by(&calls)
            .over_tls(tls)
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
