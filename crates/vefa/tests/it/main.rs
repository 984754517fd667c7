//! The program as a container engine runs it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod import;
mod tls;
mod traces;

use std::{
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use testing::{
    BoundSignal, TestDatabase, TestServers, bound_command, free_port, spawn_bound, wait_until,
};

const SOON: Duration = Duration::from_secs(30);

fn vefa(arguments: &[&str]) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_vefa"));
    let mut command = bound_command(program, BoundSignal::Kill);
    command.args(arguments).stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What a command says when it fails, as it must.
fn refusal(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    text(&output.stderr)
}

#[test]
fn tells_its_version_also_where_the_configuration_is_of_no_use() {
    let output = vefa(&["version"])
        .env("VEFA__NO__SUCH__KEY", "x")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let commit = option_env!("VEFA_COMMIT").unwrap_or("unknown");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        text(&output.stdout),
        format!("vefa {version} (commit {commit})\n")
    );
}

#[test]
fn says_what_a_backup_and_a_restore_lack_before_they_touch_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let nowhere = path("nowhere");
    let (new, programs) = (path("new"), ["--postgres-programs", &nowhere]);
    let backup = [&["backup", "--out", &new], &programs[..]].concat();
    let output = vefa(&backup).output().unwrap();
    let said = refusal(&output);
    assert!(
        said.contains("pg_dump cannot be run: install PostgreSQL's client programs"),
        "{said}"
    );
    let restore = [&["restore", "--from", &nowhere], &programs[..]].concat();
    let output = vefa(&restore).output().unwrap();
    let said = refusal(&output);
    assert!(said.contains("nowhere holds no backup"), "{said}");
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(names.is_empty(), "{names:?}");
}

#[tokio::test]
async fn says_why_a_service_is_not_healthy() {
    let port = free_port().unwrap();
    let address = format!("127.0.0.1:{port}");
    let output = vefa(&["health", &address]).output().unwrap();
    let said = refusal(&output);
    assert!(
        said.contains(&format!("{address} cannot be reached")),
        "{said}"
    );

    // It takes connections, and says nothing.
    let listener = std::net::TcpListener::bind(&address).unwrap();
    let output = vefa(&["health", &address, "--timeout-ms", "300"])
        .output()
        .unwrap();
    drop(listener);
    let said = refusal(&output);
    let silent = format!("{address} did not answer within 300ms");
    assert!(said.contains(&silent), "{said}");
}

/// A database that nobody has migrated, and what the customers service needs besides.
struct Ground {
    database: TestDatabase,
    address: String,
    nats_url: String,
    stream_prefix: String,
    secrets: tempfile::TempDir,
}

impl Ground {
    async fn new() -> Self {
        let ground = Self {
            database: TestDatabase::create("vefa_migrate").await.unwrap(),
            address: format!("127.0.0.1:{}", free_port().unwrap()),
            nats_url: TestServers::from_env().unwrap().nats_url,
            stream_prefix: TestServers::unique_prefix(),
            secrets: tempfile::tempdir().unwrap(),
        };
        let made = ground.command(&["init"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        ground
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = vefa(arguments);
        let secret = |name| self.secrets.path().join(name);
        command
            .env("VEFA__DATABASE__URL__CUSTOMERS", self.database.url())
            .env("VEFA__DATABASE__MIGRATE", "false")
            .env("VEFA__NATS__URL", &self.nats_url)
            .env("VEFA__NATS__STREAM_PREFIX", &self.stream_prefix)
            .env("VEFA__LISTEN__CUSTOMERS", &self.address)
            .env("VEFA__AUTH__SECRET_FILE", secret("auth"))
            .env("VEFA__KEYS__MASTER_KEY_FILE", secret("master"));
        command
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        spawn_bound(command).unwrap()
    }
}

#[tokio::test]
async fn serves_only_what_was_migrated_and_is_migrated_once_by_many() {
    let ground = Ground::new().await;
    let output = ground.command(&["serve", "customers"]).output().unwrap();
    let said = refusal(&output);
    assert!(
        said.contains("the database of customers lacks the migrations [1, 3, 4")
            && said.contains("run `vefa migrate customers`"),
        "{said}"
    );

    let at_once: Vec<Child> = (0..4)
        .map(|_| ground.start(&["migrate", "customers"]))
        .collect();
    for child in at_once {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            text(&output.stdout),
            "the database of customers is up to date\n"
        );
    }

    let mut service = ground.start(&["serve", "customers"]);
    let healthy = wait_until(SOON, || {
        let health = ["health", &ground.address];
        let asked = ground.command(&health).output().unwrap();
        asked.status.success().then_some(())
    });
    service.kill().unwrap();
    let ended = service.wait_with_output().unwrap();
    assert!(healthy.is_some(), "{ended:?}");
    ground.database.drop().await.unwrap();
}
