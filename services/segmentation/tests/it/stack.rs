//! The service under test with databases, streams and secrets of its own, and beside it the logs that it follows.

use std::time::Duration;

use aggregate::TenantId;
use contracts::segmentation::v1::{
    GetFitRequest, segmentation_service_client::SegmentationServiceClient,
};
use event_log::{ConsistencyToken, EventLog, FileKeyService};
use service::{Config, Ground, GroundError, Principal, Secret, ServiceName, TokenIssuer};
use sqlx::{PgPool, migrate::Migrator, postgres::PgPoolOptions};
use tempfile::TempDir;
use testing::{TestDatabase, TestServers};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// The tenant of the tests that need only one.
pub(crate) const TENANT: &str = "demo";
/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) type Client = SegmentationServiceClient<InterceptedService<Channel, Bearer>>;

/// Puts a token into every call.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

struct Running {
    shutdown: CancellationToken,
    tasks: JoinSet<Result<(), GroundError>>,
}

impl Running {
    async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

/// Everything around one service.
pub(crate) struct Stack {
    /// The service's database.
    pub(crate) pool: PgPool,
    /// The log of the customers service.
    pub(crate) customers: EventLog,
    /// The log of the interactions service.
    pub(crate) interactions: EventLog,
    /// The configuration of all three.
    pub(crate) config: Config,
    issuer: TokenIssuer,
    channel: Channel,
    service: Running,
    peers: [Running; 2],
    databases: [TestDatabase; 3],
    _secrets: TempDir,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let servers = TestServers::from_env().unwrap();
        let database = TestDatabase::create("segmentation").await.unwrap();
        let customers_database = TestDatabase::create("customers").await.unwrap();
        let interactions_database = TestDatabase::create("interactions").await.unwrap();
        let secrets = TempDir::new().unwrap();
        let file = |name: &str, content: &str| {
            let path = secrets.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let listeners = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let url = |n: usize| format!("http://{}", listeners[n].local_addr().unwrap());
        let settings = [
            (
                "VEFA__DATABASE__URL__SEGMENTATION",
                database.url().to_owned(),
            ),
            (
                "VEFA__DATABASE__URL__CUSTOMERS",
                customers_database.url().to_owned(),
            ),
            (
                "VEFA__DATABASE__URL__INTERACTIONS",
                interactions_database.url().to_owned(),
            ),
            ("VEFA__DATABASE__POOL_CONNECTIONS_MAX", "8".to_owned()),
            ("VEFA__NATS__URL", servers.nats_url),
            ("VEFA__NATS__STREAM_PREFIX", TestServers::unique_prefix()),
            (
                "VEFA__AUTH__SECRET_FILE",
                file("auth", "a secret of these tests, long enough"),
            ),
            (
                "VEFA__KEYS__MASTER_KEY_FILE",
                file("master", &FileKeyService::generate().unwrap()),
            ),
            ("VEFA__PEERS__CUSTOMERS", url(0)),
            ("VEFA__PEERS__INTERACTIONS", url(1)),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        let config = Config::from_layers(None, settings).unwrap();
        let secret = Secret::from_config(&config.auth).unwrap();

        let [customers_listener, interactions_listener] = listeners;
        let (customers_peer, customers) =
            serve_peer(ServiceName::Customers, &config, customers_listener).await;
        let (interactions_peer, interactions) =
            serve_peer(ServiceName::Interactions, &config, interactions_listener).await;
        let (service, channel) = serve(&config).await;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect(database.url())
            .await
            .unwrap();
        Self {
            pool,
            customers,
            interactions,
            issuer: TokenIssuer::new(&secret, &config.auth),
            config,
            channel,
            service,
            peers: [customers_peer, interactions_peer],
            databases: [database, customers_database, interactions_database],
            _secrets: secrets,
        }
    }

    /// Stops the service, lets `meanwhile` happen, and starts it anew on the same database.
    pub(crate) async fn restart(self, meanwhile: impl AsyncFnOnce(&Self)) -> Self {
        let Self { service, .. } = self;
        service.stop().await;
        let stopped = Running {
            shutdown: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        let stack = Self {
            service: stopped,
            ..self
        };
        meanwhile(&stack).await;
        let (service, channel) = serve(&stack.config).await;
        Self {
            service,
            channel,
            ..stack
        }
    }

    pub(crate) async fn stop(self) {
        self.service.stop().await;
        for peer in self.peers {
            peer.stop().await;
        }
        self.pool.close().await;
        for database in self.databases {
            database.drop().await.unwrap();
        }
    }

    /// A client of [`TENANT`] with all rights.
    pub(crate) fn client(&self) -> Client {
        self.client_of(TENANT, &["segmentation.*"])
    }

    pub(crate) fn client_of(&self, tenant: &str, scopes: &[&str]) -> Client {
        let principal = Principal::new(TenantId::parse(tenant).unwrap(), "tester", scopes);
        let token = self
            .issuer
            .mint(&principal, Duration::from_secs(600))
            .unwrap();
        let bearer = Bearer(Some(format!("Bearer {token}").parse().unwrap()));
        SegmentationServiceClient::with_interceptor(self.channel.clone(), bearer)
    }

    pub(crate) fn client_without_token(&self) -> Client {
        SegmentationServiceClient::with_interceptor(self.channel.clone(), Bearer(None))
    }

    /// A token for everything that was recorded about customers so far.
    pub(crate) async fn fed(&self) -> String {
        let mut tokens = Vec::new();
        for log in [&self.customers, &self.interactions] {
            tokens.push(
                ConsistencyToken::new(log.name(), log.epoch(), log.heads().await.unwrap())
                    .to_string(),
            );
        }
        tokens.join(" ")
    }

    /// How many events and how many idempotency records there are.
    pub(crate) async fn written(&self) -> (i64, i64) {
        sqlx::query_as("select (select sum(position)::bigint from log_head), (select count(*) from command_log)")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// The rows of a table as text, in order.
    pub(crate) async fn rows(&self, table: &str) -> Vec<String> {
        let query = format!("select t::text from {table} t order by 1");
        sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }
}

async fn serve(config: &Config) -> (Running, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let (config, stop) = (config.clone(), shutdown.clone());
    tasks.spawn(async move { segmentation::serve(&config, listener, stop).await });
    let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
    // Whoever is asked before it serves answers once it does.
    let asked = SegmentationServiceClient::new(channel.clone())
        .get_fit(GetFitRequest::default())
        .await;
    assert_eq!(
        asked.unwrap_err().code(),
        Code::Unauthenticated,
        "the service does not serve"
    );
    (Running { shutdown, tasks }, channel)
}

/// Another service, of which only the log and its relay are there.
async fn serve_peer(
    name: ServiceName,
    config: &Config,
    listener: TcpListener,
) -> (Running, EventLog) {
    let ground = Ground::open(name, config, Migrator::DEFAULT).await.unwrap();
    let log = ground.log().clone();
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(ground.serve(listener, shutdown.clone(), |server| server));
    (Running { shutdown, tasks }, log)
}
