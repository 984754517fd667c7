//! What runs around webhooks: the logs of two services with relays and servers, a database, and whoever sends.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use aggregate::{CustomerId, StreamId, TenantId};
use contracts::{
    customers::v1::LifecycleStageChanged,
    interactions::v1::{PurchaseRecorded, TouchpointRecorded},
};
use event_log::{Append, EventLog, FileKeyService, NewEvent, Stream};
use prost::{Message, Name};
use service::{Config, Ground as ServiceGround, ServiceName, clock};
use sqlx::migrate::Migrator;
use testing::{TestDatabase, TestServers};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use webhooks::operate::{Standing, standings};

pub(crate) const SOON: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// An endpoint as a test wants it. It is told of interactions alone unless the test says otherwise.
pub(crate) struct Endpoint {
    pub(crate) name: &'static str,
    pub(crate) url: String,
    pub(crate) more: String,
    pub(crate) secrets: Vec<&'static str>,
}

impl Endpoint {
    pub(crate) fn new(url: impl Into<String>) -> Self {
        Self {
            name: "crm",
            url: url.into(),
            more: "from = \"start\"\nservices = [\"interactions\"]".to_owned(),
            secrets: vec![SECRET],
        }
    }
}

pub(crate) struct Ground {
    pub(crate) interactions: EventLog,
    pub(crate) customers: EventLog,
    databases: Vec<TestDatabase>,
    directory: tempfile::TempDir,
    settings: Vec<(String, String)>,
    services: JoinSet<()>,
    stop_services: CancellationToken,
}

/// A process that sends, on threads of its own, so that it can be killed with all that it does.
pub(crate) struct Sender {
    pub(crate) log: EventLog,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), webhooks::WebhooksError>>,
    threads: Option<Runtime>,
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

impl Ground {
    pub(crate) async fn start() -> Self {
        let servers = TestServers::from_env().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let mut settings = vec![
            ("DATABASE__POOL_CONNECTIONS_MAX".to_owned(), "6".to_owned()),
            ("NATS__URL".to_owned(), servers.nats_url),
            (
                "NATS__STREAM_PREFIX".to_owned(),
                TestServers::unique_prefix(),
            ),
            (
                "AUTH__SECRET_FILE".to_owned(),
                file("auth", "a secret of these tests, long enough"),
            ),
            (
                "KEYS__MASTER_KEY_FILE".to_owned(),
                file("master", &FileKeyService::generate().unwrap()),
            ),
            ("PROJECTION__LEASE_MS".to_owned(), "1500".to_owned()),
        ];
        let mut databases = Vec::new();
        let mut listeners = Vec::new();
        for name in ["customers", "interactions"] {
            let upper = name.to_uppercase();
            let database = TestDatabase::create(name).await.unwrap();
            settings.push((format!("DATABASE__URL__{upper}"), database.url().to_owned()));
            databases.push(database);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            settings.push((format!("PEERS__{upper}"), url));
            listeners.push(listener);
        }
        let database = TestDatabase::create("webhooks").await.unwrap();
        settings.push((
            "WEBHOOKS__DATABASE_URL".to_owned(),
            database.url().to_owned(),
        ));
        databases.push(database);
        let settings: Vec<_> = settings
            .into_iter()
            .map(|(name, value)| (format!("VEFA__{name}"), value))
            .collect();
        let config = Config::from_layers(None, settings.clone()).unwrap();
        let mut services = JoinSet::new();
        let stop_services = CancellationToken::new();
        let mut logs = Vec::new();
        for (name, listener) in [ServiceName::Customers, ServiceName::Interactions]
            .into_iter()
            .zip(listeners)
        {
            let ground = ServiceGround::open(name, &config, Migrator::DEFAULT)
                .await
                .unwrap();
            logs.push(ground.log().clone());
            let stop = stop_services.clone();
            services.spawn(async move {
                ground.serve(listener, stop, |server| server).await.unwrap();
            });
        }
        Self {
            interactions: logs.pop().unwrap(),
            customers: logs.pop().unwrap(),
            databases,
            directory,
            settings,
            services,
            stop_services,
        }
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// With failures that are tried again soon, and not often.
    pub(crate) fn config(&self, endpoints: &[Endpoint]) -> Config {
        self.config_with("attempts_max = 3", endpoints)
    }

    pub(crate) fn config_with(&self, more: &str, endpoints: &[Endpoint]) -> Config {
        let mut text = format!(
            "[webhooks]\nretry_delay_ms = 40\nretry_delay_ms_max = 100\npoll_interval_ms = 50\n{more}\n"
        );
        for endpoint in endpoints {
            let secrets: Vec<PathBuf> = endpoint
                .secrets
                .iter()
                .enumerate()
                .map(|(n, secret)| self.file(&format!("{}-{n}.whsec", endpoint.name), secret))
                .collect();
            write!(
                text,
                "[[webhooks.endpoints]]\nname = {:?}\ntenant = \"acme\"\nurl = {:?}\nallow_http = true\nsecret_files = {secrets:?}\n{}\n",
                endpoint.name, endpoint.url, endpoint.more
            )
            .unwrap();
        }
        let file = self.file("vefa.toml", &text);
        Config::from_layers(Some(&file), self.settings.clone()).unwrap()
    }

    pub(crate) async fn send(&self, endpoint: Endpoint) -> Sender {
        Sender::start(self.config(&[endpoint])).await
    }

    /// A purchase of a customer, by a name; it has a stream of its own.
    pub(crate) async fn purchase(&self, tenant: &str, customer: CustomerId, name: &str) {
        let event = PurchaseRecorded {
            customer_id: customer.to_string(),
            source_id: name.to_owned(),
            ..PurchaseRecorded::default()
        };
        append(&self.interactions, tenant, customer, None, &event).await;
    }

    pub(crate) async fn touchpoint(&self, tenant: &str, customer: CustomerId, name: &str) {
        let event = TouchpointRecorded {
            customer_id: customer.to_string(),
            source_id: name.to_owned(),
            ..TouchpointRecorded::default()
        };
        append(&self.interactions, tenant, customer, None, &event).await;
    }

    /// The first event of a customer.
    pub(crate) async fn stage(&self, tenant: &str, customer: CustomerId) {
        let event = LifecycleStageChanged {
            customer_id: customer.to_string(),
            ..LifecycleStageChanged::default()
        };
        append(
            &self.customers,
            tenant,
            customer,
            Some(customer.into()),
            &event,
        )
        .await;
    }

    pub(crate) async fn stop(mut self) {
        self.stop_services.cancel();
        while let Some(ended) = self.services.join_next().await {
            ended.unwrap();
        }
        for database in self.databases {
            database.drop().await.unwrap();
        }
    }
}

async fn append<M: Message + Name>(
    log: &EventLog,
    tenant: &str,
    customer: CustomerId,
    stream: Option<StreamId>,
    event: &M,
) {
    let tenant = TenantId::parse(tenant).unwrap();
    let stream = stream.unwrap_or(StreamId(Uuid::new_v4()));
    let now = clock::now();
    let append = Append {
        stream: Stream::about_customer(&tenant, customer, stream).without_subject(),
        expected_version: 0,
        events: vec![NewEvent {
            event_id: Uuid::now_v7(),
            type_: M::full_name().leak(),
            schema_version: 1,
            payload: event.encode_to_vec().into(),
            metadata: bytes::Bytes::new(),
            occurred_at: now,
        }],
        new_key: None,
        erases: false,
    };
    testing::log::append(log, now, vec![append]).await;
}

pub(crate) fn customer(n: u128) -> CustomerId {
    CustomerId(Uuid::from_u128(n))
}

impl Sender {
    pub(crate) async fn start(config: Config) -> Self {
        webhooks::migrate(&config).await.unwrap();
        let log = webhooks::attach(&config).await.unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let threads = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = threads.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            webhooks::serve(&config, listener, stop).await
        });
        Self {
            log,
            shutdown,
            running,
            threads: Some(threads),
        }
    }

    /// How its endpoint stands, once it has written down that there is one.
    pub(crate) async fn standing(&self) -> Standing {
        testing::eventually(SOON, "an endpoint", || async {
            standings(self.log.pool()).await.unwrap().pop()
        })
        .await
    }

    /// Waits until nothing waits to be sent.
    pub(crate) async fn is_done(&self) {
        testing::eventually(SOON, "nothing that waits", || async {
            (self.standing().await.pending == 0).then_some(())
        })
        .await;
    }

    /// Ends it, which must succeed.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        (&mut self.running).await.unwrap().unwrap();
        self.log.close().await;
    }

    /// How it ended by itself.
    pub(crate) async fn ended(mut self) -> Result<(), webhooks::WebhooksError> {
        let ended = tokio::time::timeout(SOON, &mut self.running).await;
        ended.unwrap().unwrap()
    }

    /// As if it was killed: nothing is written down or given back.
    pub(crate) fn kill(self) {
        drop(self);
    }
}
