//! What is there before any service runs: databases, streams, secrets and addresses that no other test has.

use event_log::FileKeyService;
use service::{Config, ServiceName};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::Peers;
use crate::{TestDatabase, TestServers};

/// Connections of one service.
const POOL_CONNECTIONS_MAX: u32 = 8;

pub(super) struct Surroundings {
    databases: Vec<TestDatabase>,
    _secrets: TempDir,
}

impl Surroundings {
    /// A database for the service under test and for each of `logs`, a configuration for them all, and listeners for
    /// those beside the service under test.
    pub(super) async fn create(
        name: ServiceName,
        logs: &[ServiceName],
        apis: &[ServiceName],
        settings: &[(&str, &str)],
    ) -> (Self, Peers) {
        let servers = TestServers::from_env().unwrap();
        let secrets = TempDir::new().unwrap();
        let file = |name: &str, content: &str| {
            let path = secrets.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let auth = file("auth", "a secret of these tests, long enough");
        let master_key = file("master", &FileKeyService::generate().unwrap());
        let mut all = vec![
            setting("DATABASE__POOL_CONNECTIONS_MAX", POOL_CONNECTIONS_MAX),
            setting("NATS__URL", servers.nats_url),
            setting("NATS__STREAM_PREFIX", TestServers::unique_prefix()),
            setting("AUTH__SECRET_FILE", auth),
            setting("KEYS__MASTER_KEY_FILE", master_key),
        ];
        let mut databases = Vec::new();
        for name in [name].iter().chain(logs) {
            let database = TestDatabase::create(name.as_str()).await.unwrap();
            all.push(setting_of("DATABASE__URL", *name, database.url()));
            databases.push(database);
        }
        let mut listeners = Vec::new();
        for name in logs.iter().chain(apis) {
            let listener = listener().await;
            all.push(setting_of("PEERS", *name, url(&listener)));
            listeners.push((*name, listener));
        }
        let given = settings.iter();
        all.extend(given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let config = Config::from_layers(None, all).unwrap();
        let surroundings = Self {
            databases,
            _secrets: secrets,
        };
        (surroundings, Peers::new(config, listeners))
    }

    pub(super) async fn remove(self) {
        for database in self.databases {
            database.drop().await.unwrap();
        }
    }
}

fn setting(name: &str, value: impl ToString) -> (String, String) {
    (format!("VEFA__{name}"), value.to_string())
}

fn setting_of(name: &str, service: ServiceName, value: impl ToString) -> (String, String) {
    let service = service.as_str().to_ascii_uppercase();
    setting(&format!("{name}__{service}"), value)
}

pub(super) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

pub(super) fn url(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().unwrap())
}
