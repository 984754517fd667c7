//! The service under test with databases, streams, secrets and peers of its own.

use std::time::Duration;

use aggregate::TenantId;
use contracts::campaigns::v1::{
    ListCampaignsRequest, campaigns_service_client::CampaignsServiceClient,
};
use event_log::{EventLog, FileKeyService};
use service::{Config, Principal, Secret, ServiceName, TokenIssuer};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use testing::{TestDatabase, TestServers, eventually};
use tokio::net::TcpListener;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    peers::{Running, serve_log},
    segmentation::{Segmentation, serve_segmentation},
};

/// The tenant of the tests that need only one.
pub(crate) const TENANT: &str = "demo";
/// How long a test waits for what must come.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) type Client = CampaignsServiceClient<InterceptedService<Channel, Bearer>>;

pub(crate) fn tenant() -> TenantId {
    TenantId::parse(TENANT).unwrap()
}

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

/// Everything around one service.
pub(crate) struct Stack {
    /// The service's database.
    pub(crate) pool: PgPool,
    /// The log of the customers service.
    pub(crate) customers: EventLog,
    /// The log of the interactions service.
    pub(crate) interactions: EventLog,
    /// The segments, and what is asked about them.
    pub(crate) segmentation: Segmentation,
    config: Config,
    issuer: TokenIssuer,
    channel: Channel,
    service: Running,
    peers: Vec<Running>,
    databases: [TestDatabase; 3],
    _secrets: TempDir,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings over those of the tests, as environment variables.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let servers = TestServers::from_env().unwrap();
        let databases = [
            TestDatabase::create("campaigns").await.unwrap(),
            TestDatabase::create("customers").await.unwrap(),
            TestDatabase::create("interactions").await.unwrap(),
        ];
        let secrets = TempDir::new().unwrap();
        let file = |name: &str, content: &str| {
            let path = secrets.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let [customers_at, interactions_at, segmentation_at] =
            [listener().await, listener().await, listener().await];
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let own = [
            (
                "VEFA__DATABASE__URL__CAMPAIGNS",
                databases[0].url().to_owned(),
            ),
            (
                "VEFA__DATABASE__URL__CUSTOMERS",
                databases[1].url().to_owned(),
            ),
            (
                "VEFA__DATABASE__URL__INTERACTIONS",
                databases[2].url().to_owned(),
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
            ("VEFA__PEERS__CUSTOMERS", url(&customers_at)),
            ("VEFA__PEERS__INTERACTIONS", url(&interactions_at)),
            ("VEFA__PEERS__SEGMENTATION", url(&segmentation_at)),
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

        let segmentation = Segmentation::default();
        let (customers_service, customers) =
            serve_log(&config, ServiceName::Customers, customers_at).await;
        let (interactions_service, interactions) =
            serve_log(&config, ServiceName::Interactions, interactions_at).await;
        let segmentation_service =
            serve_segmentation(&config, &secret, segmentation_at, segmentation.clone());
        let (service, channel) = serve(&config).await;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect(databases[0].url())
            .await
            .unwrap();
        Self {
            pool,
            customers,
            interactions,
            segmentation,
            issuer: TokenIssuer::new(&secret, &config.auth),
            config,
            channel,
            service,
            peers: vec![
                customers_service,
                interactions_service,
                segmentation_service,
            ],
            databases,
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
        self.client_of(TENANT, &["campaigns.*"])
    }

    pub(crate) fn client_of(&self, tenant: &str, scopes: &[&str]) -> Client {
        let principal = Principal::new(TenantId::parse(tenant).unwrap(), "tester", scopes);
        let token = self
            .issuer
            .mint(&principal, Duration::from_secs(600))
            .unwrap();
        let bearer = Bearer(Some(format!("Bearer {token}").parse().unwrap()));
        CampaignsServiceClient::with_interceptor(self.channel.clone(), bearer)
    }

    pub(crate) fn client_without_token(&self) -> Client {
        CampaignsServiceClient::with_interceptor(self.channel.clone(), Bearer(None))
    }

    /// How many events and how many idempotency records there are.
    pub(crate) async fn written(&self) -> (i64, i64) {
        sqlx::query_as("select (select sum(position)::bigint from log_head), (select count(*) from command_log)")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// The rows of a table as text, in order.
    pub(crate) async fn rows(&self, table: &'static str) -> Vec<String> {
        let query = format!("select t::text from {table} t order by 1");
        sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    /// Waits until a projection has applied this many events.
    pub(crate) async fn applied(&self, projection: &'static str, events: i64) {
        eventually(
            SOON,
            &format!("{projection} at {events} events"),
            || async {
                let applied: Option<i64> = sqlx::query_scalar(
                    "select sum(position)::bigint from checkpoint where projection = $1",
                )
                .bind(projection)
                .fetch_one(&self.pool)
                .await
                .unwrap();
                (applied == Some(events)).then_some(())
            },
        )
        .await;
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

async fn serve(config: &Config) -> (Running, Channel) {
    let listener = listener().await;
    let address = format!("http://{}", listener.local_addr().unwrap());
    let config = config.clone();
    let running =
        Running::new(|stop| async move { campaigns::serve(&config, listener, stop).await });
    let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
    // Any answer, be it a refusal, says that it serves.
    let mut client = CampaignsServiceClient::new(channel.clone());
    let answer = client.list_campaigns(ListCampaignsRequest::default()).await;
    assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated);
    (running, channel)
}
