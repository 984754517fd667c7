//! A service under test in this process, with databases, streams, secrets and peers of its own.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod access;
mod peers;
mod projections;
mod running;
mod surroundings;

use std::{ops::Deref, sync::Arc, time::Duration};

use aggregate::TenantId;
use contracts::common::v1::{GetHeadsRequest, log_service_client::LogServiceClient};
use event_log::{EventLog, FileKeyService, LogOptions};
use service::{Config, GroundError, ServiceName, TokenIssuer};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code,
    transport::{Channel, Endpoint},
};

pub use access::Authorized;
pub use peers::Peers;
use running::Running;
use surroundings::Surroundings;

/// The tenant of the tests that need only one.
pub const TENANT: &str = "demo";
/// How long a test waits for what must come.
pub const SOON: Duration = Duration::from_secs(30);

/// [`TENANT`], parsed.
pub fn tenant() -> TenantId {
    TenantId::parse(TENANT).unwrap()
}

/// What is particular to a service under test, and to what its tests put around it.
pub trait UnderTest: Sized + Send + Sync + 'static {
    /// The service.
    const NAME: ServiceName;
    /// The other services of which at least the log is there.
    const LOGS: &'static [ServiceName] = &[];
    /// The other services of which only the API is there.
    const APIS: &'static [ServiceName] = &[];
    /// Whoever calls the service.
    type Client;

    /// A client that calls with what the channel puts into every call.
    fn client(channel: Authorized) -> Self::Client;

    /// The service's own `serve`.
    fn serve(
        config: &Config,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), GroundError>> + Send;

    /// Starts the others, all of [`Self::LOGS`] and [`Self::APIS`].
    fn surround(peers: &mut Peers) -> impl Future<Output = Self>;
}

/// A service and everything around it. What is particular to it ([`UnderTest`]) is reached as if it stood here.
pub struct Stack<S> {
    /// The service's database.
    pub pool: PgPool,
    /// The configuration of all services of the test.
    pub config: Config,
    around: S,
    issuer: TokenIssuer,
    channel: Channel,
    service: Running,
    peers: Vec<Running>,
    surroundings: Surroundings,
}

impl<S> Deref for Stack<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.around
    }
}

impl<S: UnderTest> Stack<S> {
    /// Starts the service, and what stands around it.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings over those of the tests, as environment variables.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let (surroundings, mut peers) =
            Surroundings::create(S::NAME, S::LOGS, S::APIS, settings).await;
        let around = S::surround(&mut peers).await;
        let (config, issuer, peers) = peers.all_running();
        let (service, channel) = serve::<S>(&config).await;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect(config.database.url.of(S::NAME).expose())
            .await
            .unwrap();
        Self {
            pool,
            config,
            around,
            issuer,
            channel,
            service,
            peers,
            surroundings,
        }
    }

    /// Stops the service, lets `meanwhile` happen, and starts it anew on the same database.
    pub async fn restart(mut self, meanwhile: impl AsyncFnOnce(&Self)) -> Self {
        self.service.stop().await;
        meanwhile(&self).await;
        let (service, channel) = serve::<S>(&self.config).await;
        Self {
            service,
            channel,
            ..self
        }
    }

    /// Stops everything, which must end well, and removes the databases.
    pub async fn stop(mut self) {
        self.service.stop().await;
        for peer in &mut self.peers {
            peer.stop().await;
        }
        self.pool.close().await;
        self.surroundings.remove().await;
    }

    /// The service's log, to write into what the service itself would not.
    pub async fn open_log(&self) -> EventLog {
        let options = LogOptions {
            database_url: self.config.database.url.of(S::NAME).expose().to_owned(),
            ..LogOptions::default()
        };
        let keys = self.config.keys.master_key_file.as_deref().unwrap();
        let keys = FileKeyService::open(keys).unwrap();
        EventLog::open(S::NAME.as_str(), &options, Arc::new(keys))
            .await
            .unwrap()
    }

    /// How many events and how many idempotency records there are.
    pub async fn written(&self) -> (i64, i64) {
        sqlx::query_as(
            "select (select sum(position)::bigint from log_head), (select count(*) from command_log)",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// How many events there are.
    pub async fn events(&self) -> i64 {
        self.written().await.0
    }
}

async fn serve<S: UnderTest>(config: &Config) -> (Running, Channel) {
    let listener = surroundings::listener().await;
    let address = surroundings::url(&listener);
    let config = config.clone();
    let mut running = Running::new(|stop| async move { S::serve(&config, listener, stop).await });
    let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
    // Whoever asks before it serves is answered once it does. Any answer, be it a refusal, says that it serves.
    let mut log = LogServiceClient::new(channel.clone());
    let answer = tokio::select! {
        answer = log.get_heads(GetHeadsRequest::default()) => answer,
        ended = running.ended() => panic!("{} ended before it served: {ended:?}", S::NAME),
    };
    assert_eq!(
        answer.unwrap_err().code(),
        Code::Unauthenticated,
        "{} does not serve",
        S::NAME
    );
    (running, channel)
}
