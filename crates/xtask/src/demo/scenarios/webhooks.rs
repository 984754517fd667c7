//! Webhooks, as an operator and a partner have them: real services, `vefa webhooks run`, and the receiver of examples/webhooks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use testing::{BoundSignal, bound_command, free_port, spawn_bound, terminate, wait_until};

use super::World;
use super::refusals::requests::{purchase, record, registration};
use crate::demo::stack::serves;
use crate::workspace;

const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Found nowhere else.
const GIVEN_NAME: &str = "Zulfiyegul";
const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

/// A program that runs, with what it says in files.
struct Program {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Program {
    fn start(mut command: Command, place: &Path, name: &str) -> anyhow::Result<Self> {
        let (out, err) = (
            place.join(format!("{name}.out")),
            place.join(format!("{name}.err")),
        );
        command
            .stdin(Stdio::null())
            .stdout(fs::File::create(&out)?)
            .stderr(fs::File::create(&err)?);
        let child = spawn_bound(command)?;
        Ok(Self { child, out, err })
    }

    fn told(&self) -> String {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        format!("{}{}", read(&self.out), read(&self.err))
    }

    /// The events that the receiver has printed.
    fn events(&self) -> anyhow::Result<Vec<Value>> {
        let text = fs::read_to_string(&self.out)?;
        let lines = text.lines().map(serde_json::from_str);
        Ok(lines.collect::<Result<_, _>>()?)
    }

    fn stop(mut self) -> anyhow::Result<()> {
        terminate(&self.child)?;
        let ended = wait_until(LIMIT, || self.child.try_wait().transpose());
        ended.with_context(|| format!("it does not end: {}", self.told()))??;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended needs no killing.
        let _killed = self.child.kill().and_then(|()| self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_tell_a_partner_what_the_services_record() -> anyhow::Result<()> {
    let world = World::start("webhooks").await?;
    let mut administrator = PgConnection::connect(&world.servers.postgres.url("postgres")).await?;
    administrator
        .execute("create database vefa_webhooks")
        .await?;
    let place = tempfile::tempdir()?;
    let port = free_port().context("no free port")?;
    let (listen, metrics) = (address()?, address()?);
    let config = configure(place.path(), port, &listen, &metrics)?;
    let database = world.servers.postgres.url("vefa_webhooks");
    let vefa = |arguments: &[&str]| {
        let mut command = world.stack.command(&["webhooks"])?;
        command
            .args(arguments)
            .arg("--config")
            .arg(&config)
            .env("VEFA__WEBHOOKS__DATABASE_URL", &database);
        anyhow::Ok(command)
    };
    output(vefa(&["migrate"])?)?;
    // A receiver that knows another secret takes nothing, and what is not taken dies.
    let other = Program::start(
        receiver(port, &place.path().join("other.whsec")),
        place.path(),
        "other",
    )?;
    wait(&other, "a receiver", || {
        Ok(other.told().contains("listening").then_some(()))
    })?;
    let sending = Program::start(vefa(&["run"])?, place.path(), "webhooks")?;
    let mut clients = world.clients.clone();
    let mut request = registration();
    if let Some(profile) = &mut request.profile {
        GIVEN_NAME.clone_into(&mut profile.given_name);
    }
    let registered = clients.customers.register_customer(request).await?;
    let customer = registered.into_inner().customer_id;
    record(&world.clients, purchase(1, &customer)).await?;

    let dead = wait(&sending, "dead events", || {
        let printed = output(vefa(&["dead", "--format", "jsonl"])?)?;
        let dead: Vec<Value> = printed
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        Ok((!dead.is_empty()).then_some(dead))
    })?;
    assert_eq!(dead[0]["outcome"], "status 401");
    ensure!(other.events()?.is_empty(), "{}", other.told());
    other.stop()?;
    ensure!(serves(&listen).await, "{}", sending.told());
    shows(&metrics)?;

    // With the right one it gets them all, the customer's in order, once an operator says so.
    let partner = Program::start(
        receiver(port, &place.path().join("crm.whsec")),
        place.path(),
        "crm",
    )?;
    let all = wait(&partner, "every event", || {
        output(vefa(&["redrive", "crm"])?)?;
        let events = partner.events()?;
        let purchases = events
            .iter()
            .filter(|event| event["service"] == "interactions");
        Ok((purchases.count() > 0 && pending(&vefa)? == 0).then_some(events))
    })?;
    let of_customer: Vec<u64> = all
        .iter()
        .filter(|event| event["service"] == "customers" && event["subject"] == customer.as_str())
        .filter_map(|event| event["version"].as_u64())
        .collect();
    let versions: Vec<u64> = (1..=of_customer.len() as u64).collect();
    ensure!(
        !versions.is_empty() && of_customer == versions,
        "{of_customer:?}"
    );
    let table = output(vefa(&["list"])?)?;
    ensure!(table.contains("crm") && table.contains("live"), "{table}");
    // Nothing personal is sent, stored or logged.
    for text in [partner.told(), sending.told()] {
        ensure!(!text.contains(GIVEN_NAME), "{text}");
        ensure!(!text.contains(SECRET), "{text}");
    }
    sending.stop()?;
    partner.stop()
}

fn address() -> anyhow::Result<String> {
    let port = free_port().context("no free port")?;
    Ok(format!("127.0.0.1:{port}"))
}

fn configure(place: &Path, port: u16, listen: &str, metrics: &str) -> anyhow::Result<PathBuf> {
    let secret = place.join("crm.whsec");
    fs::write(&secret, SECRET)?;
    fs::write(place.join("other.whsec"), OTHER_SECRET)?;
    let config = place.join("vefa.toml");
    let text = format!(
        r#"[webhooks]
listen = "{listen}"
metrics_listen = "{metrics}"
attempts_max = 2
retry_delay_ms = 50
retry_delay_ms_max = 100

[[webhooks.endpoints]]
name = "crm"
tenant = "demo"
url = "http://127.0.0.1:{port}/vefa"
allow_http = true
secret_files = [{secret:?}]
from = "start"
"#
    );
    fs::write(&config, text)?;
    Ok(config)
}

fn receiver(port: u16, secret: &Path) -> Command {
    let script = workspace::root().join("examples/webhooks/receiver.py");
    let mut command = bound_command(Path::new("python3"), BoundSignal::Kill);
    command
        .arg(script)
        .args(["--port", &port.to_string()])
        .arg("--secret-file")
        .arg(secret)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// The metrics are what the documentation says, and no more.
fn shows(address: &str) -> anyhow::Result<()> {
    let text = super::metrics::get(address, "/metrics")?;
    let documented = fs::read_to_string(workspace::root().join("deploy/README.md"))?;
    let shown = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: Vec<&str> = shown.filter_map(|line| line.split(' ').next()).collect();
    ensure!(names.len() == 7, "{text}");
    for name in names {
        ensure!(documented.contains(&format!("`{name}`")), "{name}");
    }
    ensure!(text.contains("endpoint=\"crm\""), "{text}");
    Ok(())
}

fn pending(vefa: &impl Fn(&[&str]) -> anyhow::Result<Command>) -> anyhow::Result<u64> {
    let printed = output(vefa(&["list", "--format", "jsonl"])?)?;
    let standing: Value = serde_json::from_str(printed.trim())?;
    standing["pending"].as_u64().context("a number")
}

fn wait<T>(
    whose: &Program,
    what: &str,
    mut condition: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let waited = wait_until(LIMIT, || condition().transpose());
    waited.with_context(|| format!("waited for {what} in vain: {}", whose.told()))?
}

fn output(mut command: Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}
