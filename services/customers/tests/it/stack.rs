//! The service under test with a database, streams and secrets of its own.

use std::time::Duration;

use aggregate::TenantId;
use contracts::customers::v1::{
    GetCustomerRequest, customers_service_client::CustomersServiceClient,
};
use event_log::FileKeyService;
use service::{Config, GroundError, Principal, Secret, TokenIssuer};
use sqlx::{PgPool, postgres::PgPoolOptions};
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

pub(crate) type Client = CustomersServiceClient<InterceptedService<Channel, Bearer>>;

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
    /// The service's configuration.
    pub(crate) config: Config,
    issuer: TokenIssuer,
    channel: Channel,
    service: Running,
    database: TestDatabase,
    _secrets: TempDir,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        let servers = TestServers::from_env().unwrap();
        let database = TestDatabase::create("customers").await.unwrap();
        let secrets = TempDir::new().unwrap();
        let file = |name: &str, content: &str| {
            let path = secrets.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let settings = [
            ("VEFA__DATABASE__URL__CUSTOMERS", database.url().to_owned()),
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
        ];
        let settings = settings
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value));
        let config = Config::from_layers(None, settings).unwrap();
        let secret = Secret::from_config(&config.auth).unwrap();
        let (service, channel) = serve(&config).await;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect(database.url())
            .await
            .unwrap();
        Self {
            pool,
            issuer: TokenIssuer::new(&secret, &config.auth),
            config,
            channel,
            service,
            database,
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
        self.pool.close().await;
        self.database.drop().await.unwrap();
    }

    /// A client of [`TENANT`] with all rights.
    pub(crate) fn client(&self) -> Client {
        self.client_of(TENANT, &["customers.*"])
    }

    pub(crate) fn client_of(&self, tenant: &str, scopes: &[&str]) -> Client {
        let principal = Principal::new(TenantId::parse(tenant).unwrap(), "tester", scopes);
        let token = self
            .issuer
            .mint(&principal, Duration::from_secs(600))
            .unwrap();
        let bearer = Bearer(Some(format!("Bearer {token}").parse().unwrap()));
        CustomersServiceClient::with_interceptor(self.channel.clone(), bearer)
    }

    pub(crate) fn client_without_token(&self) -> Client {
        CustomersServiceClient::with_interceptor(self.channel.clone(), Bearer(None))
    }

    /// How many events and how many idempotency records there are.
    pub(crate) async fn written(&self) -> (i64, i64) {
        sqlx::query_as("select (select sum(position)::bigint from log_head), (select count(*) from command_log)")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// How many events there are.
    pub(crate) async fn events(&self) -> i64 {
        self.written().await.0
    }
}

async fn serve(config: &Config) -> (Running, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let (config, stop) = (config.clone(), shutdown.clone());
    tasks.spawn(async move { customers::serve(&config, listener, stop).await });
    let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
    // Whoever is asked before it serves answers once it does.
    let asked = CustomersServiceClient::new(channel.clone())
        .get_customer(GetCustomerRequest::default())
        .await;
    assert_eq!(
        asked.unwrap_err().code(),
        Code::Unauthenticated,
        "the service does not serve"
    );
    (Running { shutdown, tasks }, channel)
}
