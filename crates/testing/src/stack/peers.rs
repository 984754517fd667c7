//! The services around the one under test: real logs, relays and servers, with an API that the test makes up.

use event_log::EventLog;
use service::{Authenticator, Config, Ground, Secret, Server, ServiceName, Tasks, TokenIssuer};
use sqlx::migrate::Migrator;
use tokio::net::TcpListener;

use super::running::Running;

/// The other services while they are started.
pub struct Peers {
    config: Config,
    secret: Secret,
    waiting: Vec<(ServiceName, TcpListener)>,
    running: Vec<Running>,
}

impl Peers {
    pub(super) fn new(config: Config, waiting: Vec<(ServiceName, TcpListener)>) -> Self {
        let secret = Secret::from_config(&config.auth).unwrap();
        Self {
            config,
            secret,
            waiting,
            running: Vec::new(),
        }
    }

    /// The configuration of all services of the test.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Serves the log of `name` and nothing else.
    pub async fn serve_log(&mut self, name: ServiceName) -> EventLog {
        self.serve_log_and(name, |server| server).await
    }

    /// Serves the log of `name` beside what `add` puts into the server.
    pub async fn serve_log_and(
        &mut self,
        name: ServiceName,
        add: impl FnOnce(Server) -> Server + Send + 'static,
    ) -> EventLog {
        let listener = self.listener(name);
        let ground = Ground::open(name, &self.config, Migrator::DEFAULT)
            .await
            .unwrap();
        let log = ground.log().clone();
        let running = Running::new(|stop| ground.serve(listener, stop, add));
        self.running.push(running);
        log
    }

    /// Serves what `add` puts into the server, without a log.
    pub fn serve_api(&mut self, name: ServiceName, add: impl FnOnce(Server) -> Server) {
        let listener = self.listener(name);
        let authenticator = Authenticator::new(&self.secret, &self.config.auth);
        let server = Server::new(&self.config, authenticator, contracts::FILE_DESCRIPTOR_SET);
        let server = add(server);
        let running = Running::new(|stop| server.serve(listener, stop, Tasks::new()));
        self.running.push(running);
    }

    fn listener(&mut self, name: ServiceName) -> TcpListener {
        let place = self
            .waiting
            .iter()
            .position(|(waiting, _)| *waiting == name);
        let place = place.expect("each of LOGS and APIS is started once");
        self.waiting.swap_remove(place).1
    }

    pub(super) fn all_running(self) -> (Config, TokenIssuer, Vec<Running>) {
        let waiting: Vec<_> = self.waiting.iter().map(|(name, _)| name).collect();
        assert!(waiting.is_empty(), "not started: {waiting:?}");
        let issuer = TokenIssuer::new(&self.secret, &self.config.auth);
        (self.config, issuer, self.running)
    }
}
