//! `cargo xtask torture`: clients that send all kinds of commands while processes are killed and stopped, servers crash and streams are
//! lost; in the end ledger, logs, streams and read models have to agree.

mod client;
pub(crate) mod command;
mod draw;
pub(crate) mod faults;
pub(crate) mod ledger;
pub(crate) mod requests;
pub(crate) mod verdict;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::demo::client::Clients;
use crate::demo::service::{PerService, Service};
use crate::interrupt;
use crate::program;
use client::{Client, Shared, Way};
use draw::Draw;
use faults::Ground;
use ledger::Counts;

/// How long it may take after a fault until commands are acknowledged again.
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take in the end until everyone has read everything.
const READ_LIMIT: Duration = Duration::from_secs(120);
/// Within which each command of which nothing is known has to be answered in the end.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
/// Of those that were acknowledged, as many are sent again in the end.
const REPEATED: usize = 300;
const POLL: Duration = Duration::from_millis(100);
/// Findings that are shown; the rest are counted.
const SHOWN_MAX: usize = 40;

/// How long, and what of.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// For how long faults are fired
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Decides which faults are fired and what clients send; drawn and printed when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// Clients at a time
    #[arg(long, default_value_t = 8)]
    clients: usize,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    faults: usize,
    counts: Counts,
    per_second: f64,
    slowest_recovery: Duration,
    read_after: Duration,
    findings: Vec<String>,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    interrupt::watch()?;
    program::build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let (seed, _) = Uuid::new_v4().as_u64_pair();
    let seed = options.seed.unwrap_or(seed);
    let length = Duration::from_secs(60 * options.minutes);
    runtime.block_on(torture("run", length, seed, options.clients))
}

/// Fires faults for as long as `length`, and fails when something does not agree. Log lines go to `target/torture/<name>`.
async fn torture(name: &str, length: Duration, seed: u64, clients: usize) -> anyhow::Result<()> {
    println!("==> torture: seed {seed}, {length:?}, {clients} clients");
    let mut ground = Ground::start(name).await?;
    ground.stack.add_replica(Service::Customers)?;
    ground.stack.ready().await?;
    let shared = Arc::new(Shared::new(ways(&ground)?));
    let mut running = JoinSet::new();
    for number in 0..clients {
        let draw = Draw::new(seed, &format!("client {number}"));
        running.spawn(Client::new(Arc::clone(&shared), draw).run());
    }
    let played = play(&mut ground, &shared, Draw::new(seed, "faults"), length).await;
    shared.stop.store(true, Ordering::Relaxed);
    running.join_all().await;
    let (faults, slowest_recovery) = played?;
    let per_second = {
        let counts = shared.ledger.lock().await.counts();
        counts.acknowledged as f64 / length.as_secs_f64()
    };
    let outcome = examine(&mut ground, &shared).await?;
    Outcome {
        faults,
        per_second,
        slowest_recovery,
        ..outcome
    }
    .tell(seed)
}

/// One for each process of customers: the other services have one each.
fn ways(ground: &Ground) -> anyhow::Result<Vec<Way>> {
    let stack = &ground.stack;
    let replicas = stack
        .processes()
        .filter(|process| stack.service(*process) == Service::Customers);
    replicas
        .map(|replica| {
            let addresses = PerService {
                customers: stack.address(replica).to_owned(),
                ..stack.addresses.clone()
            };
            Way::new(addresses, stack.token.clone())
        })
        .collect()
}

/// Hits one thing or two at once, mends, and waits until commands are acknowledged again. Returns how many faults were fired and the
/// longest wait.
async fn play(
    ground: &mut Ground,
    shared: &Shared,
    mut draw: Draw,
    length: Duration,
) -> anyhow::Result<(usize, Duration)> {
    let start = Instant::now();
    let mut fired = 0;
    let mut slowest = Duration::ZERO;
    sleep(Duration::from_secs(2)).await;
    while start.elapsed() < length {
        let at_once = if draw.percent(25) { 2 } else { 1 };
        let mut names = Vec::new();
        for _ in 0..at_once {
            let fault = ground.draw(&mut draw)?;
            let name = ground.name(&fault);
            // What is gone already, or cannot be reached, is not hit a second time.
            match ground.hit(&fault).await {
                Ok(()) => names.push(name),
                Err(error) => println!("    {name}: not now, {error:#}"),
            }
        }
        fired += names.len();
        let hit_at = start.elapsed();
        let held = draw.millis(200, 3500);
        sleep(held).await;
        tokio::task::block_in_place(|| ground.mend())?;
        let mended = Instant::now();
        ground.wait_ready().await?;
        let recovered = recover(ground, shared, mended).await?;
        slowest = slowest.max(recovered);
        println!(
            "    {:6.1} s  {}, for {:.1} s; acknowledges again after {:.1} s",
            hit_at.as_secs_f64(),
            names.join(" and "),
            held.as_secs_f64(),
            recovered.as_secs_f64()
        );
        interrupt::check()?;
        let pause = draw.millis(300, 2000);
        sleep(pause).await;
    }
    Ok((fired, slowest))
}

/// Waits until both services that clients write to most have acknowledged something since then.
async fn recover(
    ground: &mut Ground,
    shared: &Shared,
    mended: Instant,
) -> anyhow::Result<Duration> {
    loop {
        ground.look_after().await?;
        let customers = shared.has_progressed(Service::Customers, mended).await;
        if customers && shared.has_progressed(Service::Interactions, mended).await {
            return Ok(mended.elapsed());
        }
        if mended.elapsed() > RECOVERY_LIMIT {
            bail!("{RECOVERY_LIMIT:?} after the fault was mended, nothing is acknowledged yet");
        }
        sleep(POLL).await;
    }
}

/// Lets everyone read to the end, compares, has every open command answered, and compares again.
async fn examine(ground: &mut Ground, shared: &Shared) -> anyhow::Result<Outcome> {
    ground.mend()?;
    ground.wait_ready().await?;
    let began = Instant::now();
    verdict::wait_until_read(ground, READ_LIMIT).await?;
    let read_after = began.elapsed();
    let counts = shared.ledger.lock().await.counts();
    let mut findings = verdict::findings(ground, &*shared.ledger.lock().await).await?;
    if findings.is_empty() {
        let (open, done) = {
            let ledger = shared.ledger.lock().await;
            (ledger.unknown(), ledger.acknowledged())
        };
        let step = (done.len() / REPEATED).max(1);
        let repeats = done.into_iter().step_by(step);
        for (mark, command) in open.into_iter().chain(repeats) {
            shared.settle(&mark, command, SETTLE_LIMIT).await;
        }
        verdict::wait_until_read(ground, READ_LIMIT).await?;
        let ledger = shared.ledger.lock().await;
        findings = verdict::findings(ground, &ledger).await?;
        if let Some(segment) = shared.segment().await {
            let mut clients = Clients::new(&ground.stack)?;
            findings.extend(verdict::check_segment(&mut clients, segment).await?);
        }
    }
    Ok(Outcome {
        faults: 0,
        counts,
        per_second: 0.0,
        slowest_recovery: Duration::ZERO,
        read_after,
        findings,
    })
}

impl Outcome {
    /// Prints it, and fails when it is not good.
    fn tell(&self, seed: u64) -> anyhow::Result<()> {
        let Counts {
            acknowledged,
            refused,
            unknown,
        } = self.counts;
        println!("    faults fired: {}", self.faults);
        println!("    acknowledged: {acknowledged}, {:.0}/s", self.per_second);
        println!("    refused: {refused}, unknown: {unknown}");
        println!(
            "    slowest recovery: {:.1} s; all read {:.1} s after the last command",
            self.slowest_recovery.as_secs_f64(),
            self.read_after.as_secs_f64()
        );
        for finding in self.findings.iter().take(SHOWN_MAX) {
            println!("    {finding}");
        }
        let found = self.findings.len();
        println!("    findings: {found}; seed {seed}");
        ensure!(self.faults > 0, "no fault was fired");
        ensure!(acknowledged > 0, "nothing was acknowledged");
        ensure!(found == 0, "{found} findings with seed {seed}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_minute_of_torture_breaks_nothing() -> anyhow::Result<()> {
        torture("minute", Duration::from_secs(60), 1, 8).await
    }
}
