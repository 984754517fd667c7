//! What services show of themselves, to a real Prometheus with our own rules; and an alert that is provoked.

mod names;
mod prometheus;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, ensure};
use testing::{free_port, wait_until};
use tonic::Code;

use super::World;
use super::refusals::requests::{consent, purchase, record, registration};
use crate::demo::service::{PerService, Service};
use crate::demo::settle::settle;
use prometheus::{Programs, Prometheus};

/// For each wait of the scenario.
const LIMIT: Duration = Duration::from_secs(60);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Follows the log of customers.
const PROJECTION: &str = "interactions.known_customers";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_sees_all_services_and_tells_of_a_lag_while_there_is_one() -> anyhow::Result<()>
{
    let programs = Programs::find_or_obtain()?;
    let addresses = PerService::try_new(|_| {
        let port = free_port().context("no free port on 127.0.0.1")?;
        anyhow::Ok(format!("127.0.0.1:{port}"))
    })?;
    let mut world = World::start_with("metrics", listen(&addresses)).await?;
    let customer = happens(&world).await?;
    settle(&world.clients).await?;
    let texts = PerService::try_new(|service| get(addresses.of(service), "/metrics"))?;
    for (service, text) in texts.iter() {
        programs.check_metrics(text)?;
        for personal in ["demo", &customer] {
            ensure!(!text.contains(personal), "{}: {text}", service.name());
        }
        ensure!(text.contains(&format!("service=\"{}\"", service.name())));
    }
    let texts: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    names::agree(&texts)?;

    let prometheus = Prometheus::start(&programs, &addresses)?;
    wait(
        &prometheus,
        "all targets are up and nothing is wrong",
        || Ok(prometheus.targets_up()? == Service::ALL.len() && prometheus.firing()?.is_empty()),
    )?;
    ask(&world, &["projections", "pause", PROJECTION])?;
    let mut clients = world.clients.clone();
    clients.customers.record_consent(consent(&customer)).await?;
    let expected = [
        ("VefaProjectionLagging".to_owned(), PROJECTION.to_owned()),
        ("VefaProjectionPaused".to_owned(), PROJECTION.to_owned()),
    ];
    wait(&prometheus, "the lag is told, and nothing else", || {
        Ok(prometheus.firing()? == BTreeSet::from(expected.clone()))
    })?;
    ask(&world, &["projections", "resume", PROJECTION])?;
    wait(&prometheus, "nothing is wrong any more", || {
        Ok(prometheus.firing()?.is_empty())
    })?;
    world.servers.nats.kill()?;
    let stopped = BTreeSet::from(["VefaRelayStopped".to_owned()]);
    wait(&prometheus, "a relay without NATS is told of", || {
        let firing = prometheus.firing()?;
        let names: BTreeSet<String> = firing.into_iter().map(|(name, _)| name).collect();
        Ok(names == stopped)
    })?;
    world.servers.nats.restart()?;
    wait(&prometheus, "the relays are back", || {
        Ok(prometheus.firing()?.is_empty())
    })?;
    // Whoever scraped is gone: nothing comes of that.
    drop(prometheus);
    record(&world.clients, purchase(3, &customer)).await?;
    world.stack.all_run()
}

fn listen(addresses: &PerService<String>) -> Vec<(String, OsString)> {
    addresses
        .iter()
        .map(|(service, address)| {
            let variable = format!("VEFA__METRICS__LISTEN__{}", service.name().to_uppercase());
            (variable, OsString::from(address))
        })
        .collect()
}

/// Something of everything that is measured: commands, a repeat, a refusal. Returns the customer's id.
async fn happens(world: &World) -> anyhow::Result<String> {
    let mut clients = world.clients.clone();
    let registered = clients.customers.register_customer(registration()).await?;
    let customer = registered.into_inner().customer_id;
    for _ in 0..2 {
        record(&world.clients, purchase(1, &customer)).await?;
    }
    let nobody = record(&world.clients, purchase(2, "nobody")).await;
    let refused = nobody.err().map(|status| status.code());
    ensure!(refused == Some(Code::InvalidArgument), "{refused:?}");
    Ok(customer)
}

fn wait(
    prometheus: &Prometheus,
    what: &str,
    mut holds: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let held = wait_until(LIMIT, || match holds() {
        Ok(true) => Some(Ok(())),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    });
    held.unwrap_or_else(|| anyhow::bail!("not so: {}", prometheus.state()))
        .with_context(|| format!("waiting until {what}"))
}

fn ask(world: &World, arguments: &[&str]) -> anyhow::Result<()> {
    run(world.stack.command(arguments)?, "").map(drop)
}

/// Runs a command, with this as its input, and returns what it printed; it must end well.
fn run(command: Command, input: &str) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    let output = output(command, input)?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown}: {said}{told}");
    Ok(said)
}

/// Runs a command to its end, however that is.
fn output(mut command: Command, input: &str) -> anyhow::Result<Output> {
    let mut file = tempfile::tempfile().context("a file for a command's input")?;
    file.write_all(input.as_bytes())
        .and_then(|()| file.rewind())
        .context("writing a command's input")?;
    let ended = command.stdin(file).output();
    ended.with_context(|| format!("{command:?}"))
}

/// The body of a page. In HTTP/1.0, so that it comes as it is and ends with the connection.
pub(super) fn get(address: &str, path: &str) -> anyhow::Result<String> {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = asked().with_context(|| format!("asking {address} for {path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.contains(" 200 "), "{address}{path}: {status}");
    Ok(body.to_owned())
}
