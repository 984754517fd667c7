//! What examples/analyst tells its readers to do, done: with Python, its pinned packages, and the program's own descriptors and export.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use prost_types::Timestamp;
use testing::{BoundSignal, bound_command, spawn_bound, wait_until};

use super::World;
use super::refusals::requests::{purchase, record, registration};
use crate::packages::{kept, pip_install_all};
use crate::workspace;

const LIMIT: Duration = Duration::from_secs(60);
const MONTH_S: i64 = 31 * 24 * 3600;
const PNG: &[u8] = b"\x89PNG\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analyst_listens_and_draws() -> anyhow::Result<()> {
    let example = workspace::root().join("examples/analyst");
    let packages = kept("analyst-packages-1", |dir| {
        pip_install_all(&example.join("requirements.txt"), dir)
    })?;
    let world = World::start("analyst").await?;
    let place = tempfile::tempdir()?;
    let python = || python(&example.join("analyst.py"), &packages);
    let mut clients = world.clients.clone();
    let registered = clients.customers.register_customer(registration()).await?;
    let customer_id = registered.into_inner().customer_id;
    record(&world.clients, purchase(1, &customer_id)).await?;
    hears(&world, place.path(), python(), &customer_id).await?;
    draws(&world, place.path(), python())
}

/// A purchase of the month after the first one.
async fn hears(
    world: &World,
    place: &Path,
    mut listen: Command,
    customer: &str,
) -> anyhow::Result<()> {
    let file = |name| place.join(name);
    let (heard, told) = (file("heard"), file("told"));
    let descriptors = output(world.stack.command(&["events", "descriptors"])?)?;
    fs::write(file("vefa.binpb"), descriptors)?;
    // A NATS without users lets in whoever comes.
    fs::write(file("password"), "any")?;
    listen
        .args(["listen", "--tenant", "demo", "--count", "1", "--nats"])
        .arg(world.servers.nats.url())
        .arg("--descriptors")
        .arg(file("vefa.binpb"))
        .arg("--password-file")
        .arg(file("password"))
        .stdout(fs::File::create(&heard)?)
        .stderr(fs::File::create(&told)?);
    let mut listening = spawn_bound(listen)?;
    let told = || fs::read_to_string(&told).unwrap_or_default();
    let begun = wait_until(LIMIT, || told().contains("listening").then_some(()));
    begun.with_context(|| format!("it does not listen: {}", told()))?;
    let mut later = purchase(2, customer);
    later.occurred_time = later.occurred_time.map(|first| Timestamp {
        seconds: first.seconds + MONTH_S,
        ..first
    });
    record(&world.clients, later).await?;
    let ended = wait_until(LIMIT, || listening.try_wait().transpose());
    let ended = ended.context("it heard nothing")??;
    ensure!(ended.success(), "{}", told());
    let event: serde_json::Value = serde_json::from_str(&fs::read_to_string(&heard)?)?;
    assert_eq!(event["type"], "vefa.interactions.v1.PurchaseRecorded");
    assert_eq!(event["data"]["customerId"], customer);
    assert_eq!(event["data"]["totalMinor"], "2933");
    Ok(())
}

/// Both purchases, of one customer who came back.
fn draws(world: &World, place: &Path, mut drawing: Command) -> anyhow::Result<()> {
    let (export, picture) = (place.join("export"), place.join("retention.png"));
    let mut exporting = world.stack.command(&["events", "export", "--out"])?;
    exporting.arg(&export).args(["--token", &world.stack.token]);
    output(exporting)?;
    drawing.arg("cohorts").arg(&export).arg(&picture);
    let said = String::from_utf8(output(drawing)?)?;
    ensure!(
        said.starts_with("2 purchases of 1 customers in 1 cohorts"),
        "{said}"
    );
    ensure!(fs::read(&picture)?.starts_with(PNG), "no picture");
    Ok(())
}

fn python(script: &Path, packages: &Path) -> Command {
    let mut command = bound_command(Path::new("python3"), BoundSignal::Kill);
    command
        .arg(script)
        .env("PYTHONPATH", OsString::from(packages))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("MPLCONFIGDIR", packages.join("matplotlib-settings"))
        .stdin(Stdio::null());
    command
}

fn output(mut command: Command) -> anyhow::Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(output.stdout)
}
