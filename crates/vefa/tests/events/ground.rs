//! What runs around a command under test, and the command as an analyst starts it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use testing::{
    BoundSignal, NatsProgram, NatsServer, TestDatabase, bound_command, free_port, spawn_bound,
    wait_until,
};
use tonic::transport::{Channel, Endpoint};

use crate::{running::Tail, writer::Writer};

pub(crate) const SOON: Duration = Duration::from_secs(60);
pub(crate) const SERVICES: [&str; 4] = ["customers", "interactions", "segmentation", "campaigns"];
pub(crate) const TENANT: &str = "acme";
pub(crate) const OTHER_TENANT: &str = "globex";

fn vefa(arguments: &[&str]) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_vefa"));
    let mut command = bound_command(program, BoundSignal::Kill);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Four services in one process, with databases and a NATS that no other test has.
pub(crate) struct Ground {
    pub(crate) nats: NatsServer,
    pub(crate) databases: BTreeMap<&'static str, TestDatabase>,
    addresses: BTreeMap<&'static str, String>,
    secrets: tempfile::TempDir,
    /// Which secret the services take for their password of NATS.
    password: &'static str,
    services: Option<Child>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.kill_services();
    }
}

impl Ground {
    pub(crate) async fn start() -> Self {
        Self::start_with("nats.password").await
    }

    /// Services that NATS does not let in, so that they publish nothing: what is heard, the test says.
    pub(crate) async fn start_unheard() -> Self {
        Self::start_with("auth.secret").await
    }

    async fn start_with(password: &'static str) -> Self {
        let secrets = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut init = Command::new(root.join("deploy/init"));
        init.args([TENANT, OTHER_TENANT])
            .env("VEFA_SECRETS", secrets.path());
        assert!(init.output().unwrap().status.success());
        let users = std::fs::read_to_string(secrets.path().join("nats-users.conf")).unwrap();
        let program = NatsProgram::find().unwrap().unwrap();
        let mut databases = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        for name in SERVICES {
            databases.insert(name, TestDatabase::create(name).await.unwrap());
            addresses.insert(name, format!("127.0.0.1:{}", free_port().unwrap()));
        }
        let mut ground = Self {
            nats: NatsServer::start_with(program, &users).unwrap(),
            databases,
            addresses,
            secrets,
            password,
            services: None,
        };
        ground.start_services();
        ground
    }

    pub(crate) fn kill_services(&mut self) {
        if let Some(mut services) = self.services.take() {
            let _killed = services.kill().and_then(|()| services.wait());
        }
    }

    /// Returns when all four serve.
    pub(crate) fn start_services(&mut self) {
        let mut command = self.configured(&["serve"]);
        let log = std::fs::File::create(self.secrets.path().join("services.log")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.services = Some(spawn_bound(command).unwrap());
        for address in self.addresses.values() {
            let serves = wait_until(SOON, || {
                let asked = vefa(&["health", address]).output().unwrap();
                asked.status.success().then_some(())
            });
            assert!(serves.is_some(), "{address} does not serve");
        }
    }

    pub(crate) fn secret(&self, name: &str) -> PathBuf {
        self.secrets.path().join(name)
    }

    /// A command that is configured as the services are.
    fn configured(&self, arguments: &[&str]) -> Command {
        let mut command = vefa(arguments);
        for name in SERVICES {
            let upper = name.to_uppercase();
            command
                .env(
                    format!("VEFA__DATABASE__URL__{upper}"),
                    self.databases[name].url(),
                )
                .env(format!("VEFA__LISTEN__{upper}"), &self.addresses[name]);
        }
        command
            .env("VEFA__DATABASE__POOL_CONNECTIONS_MAX", "6")
            .env("VEFA__NATS__URL", self.nats.url())
            .env("VEFA__NATS__USER", "vefa")
            .env("VEFA__NATS__PASSWORD_FILE", self.secret(self.password))
            .env("VEFA__AUTH__SECRET_FILE", self.secret("auth.secret"))
            .env("VEFA__KEYS__MASTER_KEY_FILE", self.secret("master.key"));
        command
    }

    pub(crate) fn token(&self, tenant: &str, scopes: &[&str]) -> String {
        self.token_for("1", tenant, scopes)
    }

    /// For so many hours. One for none is good as long as clocks may differ, which is 5 s.
    pub(crate) fn token_for(&self, hours: &str, tenant: &str, scopes: &[&str]) -> String {
        let mut arguments = vec!["token", "--tenant", tenant, "--actor", "analyst"];
        arguments.extend(["--hours", hours]);
        for scope in scopes {
            arguments.extend(["--scope", scope]);
        }
        let made = self.configured(&arguments).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// A command with an analyst's rights and nothing else: no database, no secret of the services.
    pub(crate) fn analyst(&self, tenant: &str, arguments: &[&str]) -> Command {
        let mut command = self.stranger(tenant, arguments);
        let token = self.secret(&format!("{tenant}.token"));
        let scopes = SERVICES.map(|name| format!("{name}.read"));
        let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
        std::fs::write(&token, self.token(tenant, &scopes)).unwrap();
        command.arg("--token-file").arg(token);
        command
    }

    /// The same without a token.
    pub(crate) fn stranger(&self, tenant: &str, arguments: &[&str]) -> Command {
        let mut command = vefa(arguments);
        for (name, address) in &self.addresses {
            let listen = format!("VEFA__LISTEN__{}", name.to_uppercase());
            command.env(listen, address);
        }
        let password = self.secret(&format!("analysts/{tenant}.password"));
        command
            .env("VEFA__NATS__URL", self.nats.url())
            .env("VEFA__NATS__USER", format!("analyst-{tenant}"))
            .env("VEFA__NATS__PASSWORD_FILE", password);
        command
    }

    pub(crate) fn tail(&self, tenant: &str, arguments: &[&str]) -> Tail {
        let mut all = vec!["events", "tail"];
        all.extend(arguments);
        Tail::start(self.analyst(tenant, &all))
    }

    pub(crate) async fn writer(&self, tenant: &str) -> Writer {
        Writer {
            token: self.token(tenant, &["*"]),
            customers: self.channel("customers").await,
            interactions: self.channel("interactions").await,
        }
    }

    async fn channel(&self, name: &str) -> Channel {
        let address = format!("http://{}", self.addresses[name]);
        Endpoint::from_shared(address)
            .unwrap()
            .connect()
            .await
            .unwrap()
    }
}

pub(crate) fn said(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}
