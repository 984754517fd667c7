//! The four services as four processes, on databases, secrets and ports of their own.

mod faults;

pub(crate) use faults::Process;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;
use testing::{
    BoundSignal, bound_command, environment_variable, free_port, spawn_bound, terminate, wait_until,
};
use tonic::transport::Endpoint;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::service::{PerService, Service};
use crate::servers::Servers;
use crate::workspace;

/// Whose customers they are.
const TENANT: &str = "demo";
const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
const LOG_TAIL_LINES: usize = 15;

/// All that the four services need, and the services. They stop when this is dropped.
#[derive(Debug)]
pub(crate) struct Stack {
    running: Vec<Running>,
    pub(crate) addresses: PerService<String>,
    pub(crate) databases: PerService<String>,
    pub(crate) token: String,
    environment: Environment,
    logs: PathBuf,
    // Last, so that the secrets go after those who use them.
    _secrets: TempDir,
}

/// What the services are configured by.
type Environment = Vec<(String, OsString)>;

#[derive(Debug)]
struct Running {
    service: Service,
    address: String,
    child: Child,
    log: PathBuf,
}

impl Stack {
    /// Makes databases and secrets, and starts the four; [`Self::ready`] tells when they can be called.
    pub(crate) async fn start(servers: &Servers) -> anyhow::Result<Self> {
        Self::start_services(servers, logs(), Vec::new(), &Service::ALL).await
    }

    /// Some of them, with a place for their log lines and settings of their own. All four databases are made.
    pub(crate) async fn start_services(
        servers: &Servers,
        logs: PathBuf,
        settings: Environment,
        services: &[Service],
    ) -> anyhow::Result<Self> {
        let databases = create_databases(servers).await?;
        let addresses = PerService::try_new(|_| {
            let port = free_port().context("no free port on 127.0.0.1")?;
            anyhow::Ok(format!("127.0.0.1:{port}"))
        })?;
        let secrets = tempfile::Builder::new()
            .prefix("vefa-secrets-")
            .tempdir()
            .context("creating a directory for secrets")?;
        let mut environment = environment(&addresses, &databases, servers, secrets.path());
        environment.extend(settings);
        output(vefa(&environment, &["init"])?)?;
        let token = token(&environment, TENANT)?;
        let mut stack = Self {
            running: Vec::new(),
            addresses,
            databases,
            token,
            environment,
            logs,
            _secrets: secrets,
        };
        let logs = &stack.logs;
        fs::create_dir_all(logs).with_context(|| format!("creating {}", logs.display()))?;
        for service in services.iter().copied() {
            let log = stack.log(service);
            // Begun anew here; a process that is started again goes on with it.
            fs::write(&log, "").with_context(|| format!("creating {}", log.display()))?;
            let process = stack.run(service, stack.addresses.of(service).clone(), log, &[])?;
            stack.running.push(process);
        }
        Ok(stack)
    }

    fn run(
        &self,
        service: Service,
        address: String,
        log: PathBuf,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Running> {
        let mut command = vefa(&self.environment, &["serve", service.name()])?;
        let listen = format!("VEFA__LISTEN__{}", service.name().to_uppercase());
        command.env(listen, &address).envs(settings.iter().copied());
        Running::start(service, address, command, log)
    }

    fn log(&self, service: Service) -> PathBuf {
        self.logs.join(format!("{}.log", service.name()))
    }

    /// Waits until all four say that they are.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        for process in &mut self.running {
            let address = process.address.clone();
            let ready = async {
                while !serves(&address).await {
                    process.still_runs()?;
                    tokio::time::sleep(POLL).await;
                }
                anyhow::Ok(())
            };
            match tokio::time::timeout(READY_LIMIT, ready).await {
                Ok(outcome) => outcome?,
                Err(_) => bail!(
                    "{} was not ready after {READY_LIMIT:?}:\n{}",
                    process.service.name(),
                    tail(&process.log)
                ),
            }
        }
        Ok(())
    }

    /// Starts one that does not run; [`Self::ready`] tells when it can be called.
    pub(crate) fn start_one(&mut self, service: Service) -> anyhow::Result<()> {
        let address = self.addresses.of(service).clone();
        let process = self.run(service, address, self.log(service), &[])?;
        self.running.push(process);
        Ok(())
    }

    /// Stops one of them, as an operator would.
    pub(crate) fn stop(&mut self, service: Service) -> anyhow::Result<()> {
        let Some(index) = self.running.iter().position(|one| one.service == service) else {
            return Ok(());
        };
        let mut process = self.running.remove(index);
        terminate(&process.child).with_context(|| format!("stopping {}", service.name()))?;
        let child = &mut process.child;
        match wait_until(STOP_LIMIT, || child.try_wait().transpose()) {
            Some(status) => status
                .map(drop)
                .with_context(|| format!("waiting for {}", service.name())),
            None => bail!("{} does not stop within {STOP_LIMIT:?}", service.name()),
        }
    }

    /// A command of the `vefa` program that is configured as the services are.
    pub(crate) fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        vefa(&self.environment, arguments)
    }

    /// Fails when one of them has ended.
    pub(crate) fn all_run(&mut self) -> anyhow::Result<()> {
        self.running.iter_mut().try_for_each(Running::still_runs)
    }

    /// The processes' ids.
    pub(crate) fn process_ids(&self) -> impl Iterator<Item = (Service, u32)> {
        self.running
            .iter()
            .map(|process| (process.service, process.child.id()))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for process in &self.running {
            // One that is gone already needs no asking.
            let _asked = terminate(&process.child);
        }
        for process in &mut self.running {
            let child = &mut process.child;
            if wait_until(STOP_LIMIT, || child.try_wait().transpose()).is_none() {
                // It ends with us at the latest.
                let _killed = child.kill().and_then(|()| child.wait());
            }
        }
    }
}

impl Running {
    fn start(
        service: Service,
        address: String,
        mut command: Command,
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let file = fs::File::options().append(true).open(&log);
        let out = file.with_context(|| format!("opening {}", log.display()))?;
        let err = out.try_clone().context("sharing a log file")?;
        command.stdout(out).stderr(err);
        let child = spawn_bound(command).with_context(|| format!("starting {}", service.name()))?;
        Ok(Self {
            service,
            address,
            child,
            log,
        })
    }

    fn still_runs(&mut self) -> anyhow::Result<()> {
        let name = self.service.name();
        let ended = self.child.try_wait();
        match ended.with_context(|| format!("looking at {name}"))? {
            None => Ok(()),
            Some(status) => bail!("{name} has ended ({status}):\n{}", tail(&self.log)),
        }
    }
}

/// Where the services' own log lines are kept, also after the demo.
pub(crate) fn logs() -> PathBuf {
    workspace::target().join("demo/logs")
}

/// A command of the `vefa` program, which has to be built.
fn vefa(environment: &Environment, arguments: &[&str]) -> anyhow::Result<Command> {
    let name = format!("vefa{}", std::env::consts::EXE_SUFFIX);
    // Of the same build as this program, so that a measurement does not compare two of them.
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let program = workspace::target().join(profile).join(name);
    if !program.is_file() {
        bail!(
            "{} is missing: `cargo xtask` builds it for the demo and for the tests, `cargo build --package vefa --features failpoints` by hand",
            program.display()
        );
    }
    let mut command = bound_command(&program, BoundSignal::Kill);
    for (name, _) in std::env::vars_os() {
        // What configures another Vefa on this machine must not configure this one.
        if name.as_encoded_bytes().starts_with(b"VEFA") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    Ok(command)
}

fn token(environment: &Environment, tenant: &str) -> anyhow::Result<String> {
    let arguments = ["token", "--tenant", tenant, "--actor", tenant];
    Ok(output(vefa(environment, &arguments)?)?.trim().to_owned())
}

async fn create_databases(servers: &Servers) -> anyhow::Result<PerService<String>> {
    let mut administrator = PgConnection::connect(&servers.postgres.url("postgres"))
        .await
        .context("connecting to PostgreSQL")?;
    for service in Service::ALL {
        // Names cannot be bound as parameters; these are constants.
        let statement = format!("create database vefa_{}", service.name());
        administrator
            .execute(AssertSqlSafe(statement))
            .await
            .context("creating a database")?;
    }
    administrator
        .close()
        .await
        .context("leaving PostgreSQL in good order")?;
    PerService::try_new(|service| Ok(servers.postgres.url(&format!("vefa_{}", service.name()))))
}

fn environment(
    addresses: &PerService<String>,
    databases: &PerService<String>,
    servers: &Servers,
    secrets: &Path,
) -> Environment {
    let filter = environment_variable("RUST_LOG").unwrap_or_else(|| "info".to_owned());
    let mut variables: Environment = vec![
        ("VEFA__NATS__URL".to_owned(), servers.nats.url().into()),
        (
            "VEFA__AUTH__SECRET_FILE".to_owned(),
            secrets.join("auth.secret").into(),
        ),
        (
            "VEFA__KEYS__MASTER_KEY_FILE".to_owned(),
            secrets.join("master.key").into(),
        ),
        ("VEFA__TELEMETRY__FILTER".to_owned(), filter.into()),
    ];
    for service in Service::ALL {
        let name = service.name().to_uppercase();
        let address = addresses.of(service).into();
        let database = databases.of(service).into();
        variables.push((format!("VEFA__LISTEN__{name}"), address));
        variables.push((format!("VEFA__DATABASE__URL__{name}"), database));
    }
    variables
}

/// Whether a service says that it serves.
pub(crate) async fn serves(address: &str) -> bool {
    let Ok(endpoint) = Endpoint::from_shared(format!("http://{address}")) else {
        return false;
    };
    let Ok(channel) = endpoint.connect().await else {
        return false;
    };
    let request = HealthCheckRequest {
        service: String::new(),
    };
    HealthClient::new(channel)
        .check(request)
        .await
        .is_ok_and(|answer| answer.get_ref().status == ServingStatus::Serving as i32)
}

fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().context("starting vefa")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("vefa failed ({}): {}", output.status, said.trim());
    }
    String::from_utf8(output.stdout).context("what vefa printed is no text")
}

fn tail(log: &Path) -> String {
    match fs::read_to_string(log) {
        Ok(text) => {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
        }
        Err(error) => format!("(its log cannot be read: {error})"),
    }
}
