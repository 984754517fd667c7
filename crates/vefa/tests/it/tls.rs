//! All of it over TLS: four processes, each of which asks who calls, on a PostgreSQL and a NATS that do the same.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use sqlx::{Connection as _, PgConnection};
use testing::{
    Issued, NatsProgram, NatsServer, PostgresOptions, PostgresPrograms, PostgresServer,
    PostgresTls, TestCa, TestDatabase, eventually, free_port, spawn_bound, wait_until,
};

use crate::{SOON, refusal, text, vefa};

const SERVICES: [&str; 4] = ["customers", "interactions", "segmentation", "campaigns"];

struct Ground {
    /// The CA of the services, and what each of them shows, also as a client.
    ca: TestCa,
    issued: Issued,
    /// The CA of PostgreSQL, NATS, and whoever comes to them.
    stores: TestCa,
    client: Issued,
    _postgres: PostgresServer,
    nats: NatsServer,
    databases: BTreeMap<&'static str, TestDatabase>,
    addresses: BTreeMap<&'static str, String>,
    files: tempfile::TempDir,
    running: BTreeMap<&'static str, Child>,
}

impl Drop for Ground {
    fn drop(&mut self) {
        for name in SERVICES {
            self.kill(name);
        }
    }
}

impl Ground {
    async fn start() -> Self {
        let (ca, stores) = (TestCa::new().unwrap(), TestCa::new().unwrap());
        let server = stores.issue("server").unwrap();
        let client = stores.issue("client").unwrap();
        let mut options = PostgresOptions::for_tests(PostgresPrograms::find().unwrap().unwrap());
        options.tls = Some(PostgresTls {
            certificate: server.clone(),
            client_ca: Some(stores.file()),
        });
        let postgres = PostgresServer::start(options).unwrap();
        let administrator = format!(
            "{}?sslmode=verify-full&sslrootcert={}&sslcert={}&sslkey={}",
            postgres.url("postgres"),
            stores.file().display(),
            client.certificate.display(),
            client.key.display()
        );
        let tls = format!(
            "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
            server.certificate,
            server.key,
            stores.file()
        );
        let program = NatsProgram::find().unwrap().unwrap();
        let (mut databases, mut addresses) = (BTreeMap::new(), BTreeMap::new());
        for name in SERVICES {
            let database = TestDatabase::create_on(&administrator, name).await.unwrap();
            databases.insert(name, database);
            addresses.insert(name, format!("127.0.0.1:{}", free_port().unwrap()));
        }
        let mut ground = Self {
            issued: ca.issue("service").unwrap(),
            ca,
            nats: NatsServer::start_with(program, &tls).unwrap(),
            stores,
            client,
            _postgres: postgres,
            databases,
            addresses,
            files: tempfile::tempdir().unwrap(),
            running: BTreeMap::new(),
        };
        ground.ok(&["init"]);
        for name in SERVICES {
            ground.serve(name);
        }
        ground
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = vefa(arguments);
        for name in SERVICES {
            let upper = name.to_uppercase();
            let url = format!("VEFA__DATABASE__URL__{upper}");
            command
                .env(url, self.databases[name].url())
                .env(format!("VEFA__LISTEN__{upper}"), &self.addresses[name]);
        }
        command
            .env("VEFA__DATABASE__POOL_CONNECTIONS_MAX", "6")
            .env("VEFA__NATS__URL", self.nats.url())
            .env("VEFA__NATS__CA_FILE", self.stores.file())
            .env("VEFA__NATS__CERTIFICATE_FILE", &self.client.certificate)
            .env("VEFA__NATS__KEY_FILE", &self.client.key)
            .env("VEFA__TLS__CERTIFICATE_FILE", &self.issued.certificate)
            .env("VEFA__TLS__KEY_FILE", &self.issued.key)
            .env("VEFA__TLS__CLIENT_CA_FILE", self.ca.file())
            .env("VEFA__TLS__RELOAD_INTERVAL_MS", "50")
            .env("VEFA__PEERS__CA_FILE", self.ca.file())
            .env("VEFA__PEERS__CERTIFICATE_FILE", &self.issued.certificate)
            .env("VEFA__PEERS__KEY_FILE", &self.issued.key)
            .env("VEFA__AUTH__SECRET_FILE", self.file("auth.secret"))
            .env("VEFA__KEYS__MASTER_KEY_FILE", self.file("master.key"));
        command
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        text(&output.stdout).trim().to_owned()
    }

    fn url(&self, name: &str) -> String {
        format!("https://{}", self.addresses[name])
    }

    /// Returns once it serves.
    fn serve(&mut self, name: &'static str) {
        let mut command = self.command(&["serve", name]);
        let path = self.file(&format!("{name}.log"));
        let log = fs::File::create(&path).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.running.insert(name, spawn_bound(command).unwrap());
        let serves = wait_until(SOON, || {
            let mut health = self.command(&["health", &self.url(name)]);
            health.output().unwrap().status.success().then_some(())
        });
        serves.unwrap_or_else(|| panic!("{}", fs::read_to_string(path).unwrap()));
    }

    fn kill(&mut self, name: &str) {
        if let Some(mut service) = self.running.remove(name) {
            let _killed = service.kill().and_then(|()| service.wait());
        }
    }

    fn import(&self, name: &str) {
        let file = self.file(name);
        fs::write(
            &file,
            format!("kind,given_name,external:erp\nperson,Oya,{name}\n"),
        )
        .unwrap();
        self.ok(&["import", "customers", path(&file), "--tenant", "demo"]);
    }

    /// Until segmentation has so many events of customers: they come through NATS, and what it lacks from the service itself.
    async fn followed(&self, events: i64) {
        let url = self.databases["segmentation"].url();
        let mut connection = PgConnection::connect(url).await.unwrap();
        let connection = tokio::sync::Mutex::new(&mut connection);
        eventually(SOON, "segmentation to follow customers", async || {
            let applied: i64 = sqlx::query_scalar(
                "select coalesce(max(applied), 0)::bigint from (select sum(position) as applied from checkpoint \
                 where source_epoch > 0 group by projection) one",
            )
            .fetch_one(&mut **connection.lock().await)
            .await
            .unwrap();
            (applied >= events).then_some(())
        })
        .await;
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn services_and_commands_work_with_certificates_everywhere_and_with_new_ones() {
    let mut ground = Ground::start().await;
    let address = &ground.addresses["customers"];
    let in_clear = ground.command(&["health", address]).output().unwrap();
    refusal(&in_clear);
    let mut nobody = vefa(&["health", &ground.url("customers")]);
    nobody.env("VEFA__PEERS__CA_FILE", ground.ca.file());
    // With TLS 1.3 a caller is done before the server has looked: why it is refused may be lost with the connection.
    refusal(&nobody.output().unwrap());

    ground.import("one.csv");
    ground.followed(1).await;
    let token = ground.file("token");
    fs::write(
        &token,
        ground.ok(&["token", "--tenant", "demo", "--actor", "analyst"]),
    )
    .unwrap();
    let out = ground.file("export");
    let export = [
        "events",
        "export",
        "--token-file",
        path(&token),
        "--out",
        path(&out),
    ];
    ground.ok(&export);

    // Another CA for all services: those that run take it, as servers and as clients.
    let next = TestCa::new().unwrap();
    let renewed = next.issue("service").unwrap();
    fs::copy(&renewed.key, &ground.issued.key).unwrap();
    fs::copy(&renewed.certificate, &ground.issued.certificate).unwrap();
    fs::copy(next.file(), ground.ca.file()).unwrap();
    for name in SERVICES {
        let healthy = wait_until(SOON, || {
            let mut health = ground.command(&["health", &ground.url(name)]);
            health.output().unwrap().status.success().then_some(())
        });
        assert!(healthy.is_some(), "{name} shows the old one");
    }
    // Whoever follows it has to connect anew.
    ground.kill("customers");
    ground.serve("customers");
    ground.import("two.csv");
    ground.followed(2).await;
    let whole = wait_until(SOON, || {
        let doctor = ground.command(&["doctor", "--streams"]).output().unwrap();
        doctor.status.success().then_some(())
    });
    assert!(whole.is_some());
}
