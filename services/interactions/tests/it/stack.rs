//! The service under test with databases, streams, secrets and a customers service of its own.

use std::time::Duration;

use aggregate::{CustomerId, TenantId};
use contracts::{
    customers::v1::customers_service_server::CustomersServiceServer,
    interactions::v1::{
        GetPurchaseRequest, interactions_service_client::InteractionsServiceClient,
    },
};
use event_log::{EventLog, FileKeyService};
use service::{Config, Ground, GroundError, Principal, Secret, ServiceName, TokenIssuer, limited};
use sqlx::{PgPool, migrate::Migrator, postgres::PgPoolOptions};
use tempfile::TempDir;
use testing::{TestDatabase, TestServers, eventually};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::peer::Customers;

/// The tenant of the tests that need only one.
pub(crate) const TENANT: &str = "demo";
/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) type Client = InteractionsServiceClient<InterceptedService<Channel, Bearer>>;

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
    /// Whom the customers service knows.
    pub(crate) customers: Customers,
    /// The log of the customers service.
    pub(crate) customers_log: EventLog,
    config: Config,
    issuer: TokenIssuer,
    channel: Channel,
    service: Running,
    peer: Running,
    databases: [TestDatabase; 2],
    _secrets: TempDir,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings over those of the tests, as environment variables.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let servers = TestServers::from_env().unwrap();
        let database = TestDatabase::create("interactions").await.unwrap();
        let customers_database = TestDatabase::create("customers").await.unwrap();
        let secrets = TempDir::new().unwrap();
        let file = |name: &str, content: &str| {
            let path = secrets.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let peer_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = [
            (
                "VEFA__DATABASE__URL__INTERACTIONS",
                database.url().to_owned(),
            ),
            (
                "VEFA__DATABASE__URL__CUSTOMERS",
                customers_database.url().to_owned(),
            ),
            ("VEFA__DATABASE__POOL_CONNECTIONS_MAX", "6".to_owned()),
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
            (
                "VEFA__PEERS__CUSTOMERS",
                format!("http://{}", peer_listener.local_addr().unwrap()),
            ),
        ];
        let given = settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let settings = own
            .into_iter()
            .chain(given)
            .map(|(name, value)| (name.to_owned(), value));
        let config = Config::from_layers(None, settings).unwrap();
        let secret = Secret::from_config(&config.auth).unwrap();

        let customers = Customers::default();
        let (peer, customers_log) = serve_peer(&config, peer_listener, customers.clone()).await;
        let (service, channel) = serve(&config).await;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect(database.url())
            .await
            .unwrap();
        Self {
            pool,
            customers,
            customers_log,
            issuer: TokenIssuer::new(&secret, &config.auth),
            config,
            channel,
            service,
            peer,
            databases: [database, customers_database],
            _secrets: secrets,
        }
    }

    /// Stops the service, lets `meanwhile` happen, and starts it anew on the same database.
    pub(crate) async fn restart(self, meanwhile: impl AsyncFnOnce(&PgPool)) -> Self {
        self.service.stop().await;
        meanwhile(&self.pool).await;
        let (service, channel) = serve(&self.config).await;
        Self {
            service,
            channel,
            ..self
        }
    }

    pub(crate) async fn stop(self) {
        self.service.stop().await;
        self.peer.stop().await;
        self.pool.close().await;
        for database in self.databases {
            database.drop().await.unwrap();
        }
    }

    /// A customer of [`TENANT`] whom the customers service knows.
    pub(crate) fn customer(&self) -> CustomerId {
        self.customers.add(TENANT)
    }

    /// A client of [`TENANT`] with all rights.
    pub(crate) fn client(&self) -> Client {
        self.client_of(TENANT, &["interactions.*"])
    }

    pub(crate) fn client_of(&self, tenant: &str, scopes: &[&str]) -> Client {
        let principal = Principal::new(TenantId::parse(tenant).unwrap(), "tester", scopes);
        let token = self
            .issuer
            .mint(&principal, Duration::from_secs(600))
            .unwrap();
        let bearer = Bearer(Some(format!("Bearer {token}").parse().unwrap()));
        InteractionsServiceClient::with_interceptor(self.channel.clone(), bearer)
    }

    pub(crate) fn client_without_token(&self) -> Client {
        InteractionsServiceClient::with_interceptor(self.channel.clone(), Bearer(None))
    }

    /// How many events and how many idempotency records there are.
    pub(crate) async fn written(&self) -> (i64, i64) {
        sqlx::query_as("select (select sum(position)::bigint from log_head), (select count(*) from command_log)")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// The rows of a table as text, in order, once there are as many as expected.
    pub(crate) async fn rows(&self, table: &'static str, expected: usize) -> Vec<String> {
        let query = format!("select t::text from {table} t order by 1");
        eventually(SOON, &format!("{expected} rows of {table}"), || async {
            let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(query.clone()))
                .fetch_all(&self.pool)
                .await
                .unwrap();
            (rows.len() == expected).then_some(rows)
        })
        .await
    }
}

async fn serve(config: &Config) -> (Running, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let (config, stop) = (config.clone(), shutdown.clone());
    tasks.spawn(async move { interactions::serve(&config, listener, stop).await });
    let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
    // Whoever is asked before it serves answers once it does.
    let asked = InteractionsServiceClient::new(channel.clone())
        .get_purchase(GetPurchaseRequest::default())
        .await;
    assert_eq!(
        asked.unwrap_err().code(),
        Code::Unauthenticated,
        "the service does not serve"
    );
    (Running { shutdown, tasks }, channel)
}

async fn serve_peer(
    config: &Config,
    listener: TcpListener,
    customers: Customers,
) -> (Running, EventLog) {
    let ground = Ground::open(ServiceName::Customers, config, Migrator::DEFAULT)
        .await
        .unwrap();
    let log = ground.log().clone();
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let (limits, stop) = (config.limits.clone(), shutdown.clone());
    tasks.spawn(ground.serve(listener, stop, move |server| {
        server.add_service(limited!(CustomersServiceServer::new(customers), limits))
    }));
    (Running { shutdown, tasks }, log)
}
