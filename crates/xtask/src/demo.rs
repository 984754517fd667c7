//! The demonstration: a real purchase history through all four services, and what they make of it.

mod chart;
mod checks;
pub(crate) mod client;
mod evaluate;
mod format;
mod history;
mod html;
pub(crate) mod import;
pub(crate) mod logs;
mod report;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod scenarios;
pub(crate) mod service;
mod settle;
pub(crate) mod stack;
mod story;
pub(crate) mod streams;
pub(crate) mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use testing::PostgresOptions;
use tokio::runtime::Runtime;

use crate::interrupt;
use crate::program;
use crate::servers::Servers;
use crate::step::step;
use crate::workspace;
use checks::Check;
use client::Clients;
use evaluate::{Valuation, WinBack};
use history::History;
use import::Imported;
use report::{CampaignTotals, Holdout, ImportedTotals, Models, Report, Seconds, SegmentTotals};
use service::PerService;
use stack::Stack;
use streams::{Compared, Published};

const POLL: Duration = Duration::from_millis(50);

/// All that the demo found out.
#[derive(Debug)]
pub(crate) struct Findings {
    report: Report,
    first: Imported,
    second: Imported,
    valuation: Valuation,
    win_back: WinBack,
    /// Events of each log before and after the second import.
    events_before: PerService<u64>,
    events_after: PerService<u64>,
    compared: PerService<Compared>,
    published: Published,
}

/// Runs it; with `keep`, everything is left running until Ctrl-C.
pub(crate) fn run(keep: bool) -> anyhow::Result<()> {
    interrupt::watch()?;
    let history = step("read the purchases", History::read)?;
    program::build()?;
    let start = Instant::now();
    let servers = Servers::start(PostgresOptions::durable)?;
    let stage = Stage::new()?;
    let mut stack = stage.play("start the four services", async {
        let mut stack = Stack::start(&servers).await?;
        stack.ready().await?;
        Ok(stack)
    })?;
    let clients = stage.enter(|| Clients::new(&stack))?;
    let seconds = Seconds {
        setup: start.elapsed().as_secs_f64(),
        ..Seconds::default()
    };
    let played = play(&stage, &servers, &stack, &clients, &history, seconds, start);
    // A service that died explains more than the call that then failed.
    stack.all_run()?;
    let findings = played?;
    let checks = checks::all(&findings);
    let files = write(&findings, &checks)?;
    terminal::print(&findings, &checks, &files);
    if keep {
        terminal::print_addresses(&servers, &stack);
        interrupt::wait();
        println!("Stopping everything.");
    }
    drop((clients, stack, servers));
    verdict(&checks)
}

/// The play itself: in, valued, contacted, in again, compared.
fn play(
    stage: &Stage,
    servers: &Servers,
    stack: &Stack,
    clients: &Clients,
    history: &History,
    mut seconds: Seconds,
    start: Instant,
) -> anyhow::Result<Findings> {
    let began = Instant::now();
    let first = stage.import("", clients, history)?;
    seconds.import = began.elapsed().as_secs_f64();

    let began = Instant::now();
    let valuation = stage.play("value the customers", async {
        let facts_token = clients.facts_token().await?;
        evaluate::value(clients, facts_token, &first.customer_ids).await
    })?;
    let win_back = stage.play("run the campaign on those who slip away", async {
        let facts_token = clients.facts_token().await?;
        settle::settle(clients).await?;
        evaluate::win_back(clients, facts_token).await
    })?;
    seconds.evaluate = began.elapsed().as_secs_f64();

    let events_before = stage.play("wait until nothing moves", settle::settle(clients))?;
    let second = stage.import(" a second time", clients, history)?;
    let events_after = stage.play("wait until nothing moves", settle::settle(clients))?;
    let customers = stage.play("count the customers", import::count_customers(clients))?;
    let (compared, published) = stage.play(
        "compare each stream with its log",
        streams::compare(servers, stack, clients),
    )?;
    seconds.total = start.elapsed().as_secs_f64();

    let report = assemble(
        customers,
        (&first, &second),
        &valuation,
        &win_back,
        &compared,
        seconds,
    )?;
    Ok(Findings {
        report,
        first,
        second,
        valuation,
        win_back,
        events_before,
        events_after,
        compared,
        published,
    })
}

/// The report of what was found.
fn assemble(
    customers: u64,
    (first, second): (&Imported, &Imported),
    valuation: &Valuation,
    win_back: &WinBack,
    compared: &PerService<Compared>,
    seconds: Seconds,
) -> anyhow::Result<Report> {
    let models = Models::of(&valuation.fit).context("the fit lacks a model")?;
    Ok(Report {
        imported: totals(customers, first, second, valuation),
        bgnbd: models.bgnbd,
        paretonbd: models.paretonbd,
        mbgnbd: models.mbgnbd,
        gamma_gamma: models.gamma_gamma,
        holdout: Holdout::from(&valuation.validation),
        tiers: valuation.tiers.iter().map(Into::into).collect(),
        segment: SegmentTotals {
            name: win_back.segment.name.clone(),
            rule: win_back.segment.rule.clone(),
            members: win_back.members,
        },
        campaign: CampaignTotals::new(&win_back.campaign, &win_back.outcome),
        streams: PerService::try_new(|service| anyhow::Ok(compared.of(service).counts))?,
        seconds,
    })
}

/// What the services hold: counted by customers, measured by segmentation.
fn totals(
    customers: u64,
    first: &Imported,
    second: &Imported,
    valuation: &Valuation,
) -> ImportedTotals {
    let measured = || valuation.now.values();
    ImportedTotals {
        customers,
        purchases: measured().map(|value| u64::from(value.purchases)).sum(),
        customer_days: measured().map(|value| u64::from(value.purchase_days)).sum(),
        revenue_minor: measured().map(|value| value.monetary_minor).sum(),
        rejected: first.rejected,
        duplicates_on_second_import: second.duplicates,
    }
}

/// Where steps that call the services run.
struct Stage {
    runtime: Runtime,
}

impl Stage {
    fn new() -> anyhow::Result<Self> {
        let runtime = Runtime::new().context("starting the runtime")?;
        Ok(Self { runtime })
    }

    /// A step that Ctrl-C breaks off.
    fn play<T>(
        &self,
        name: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        step(name, || {
            self.runtime.block_on(async {
                tokio::select! {
                    outcome = work => outcome,
                    () = interrupted() => bail!("interrupted"),
                }
            })
        })
    }

    fn import(
        &self,
        again: &str,
        clients: &Clients,
        history: &History,
    ) -> anyhow::Result<Imported> {
        let customers = self.play(
            &format!("register the customers{again}"),
            import::customers(clients, history),
        )?;
        let imported = self.play(
            &format!("import the purchases{again}"),
            import::purchases(clients, history, customers),
        )?;
        for refusal in &imported.refusals {
            println!("    refused: {refusal}");
        }
        Ok(imported)
    }

    /// For what needs the runtime and does not wait.
    fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.enter();
        work()
    }
}

async fn interrupted() {
    while !interrupt::happened() {
        tokio::time::sleep(POLL).await;
    }
}

/// Where the reports are.
#[derive(Debug)]
pub(crate) struct Files {
    json: PathBuf,
    html: PathBuf,
}

fn write(findings: &Findings, checks: &[Check]) -> anyhow::Result<Files> {
    let dir = workspace::target().join("demo");
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let files = Files {
        json: dir.join("report.json"),
        html: dir.join("report.html"),
    };
    let json = serde_json::to_string_pretty(&findings.report).context("writing JSON")?;
    write_file(&files.json, &(json + "\n"))?;
    write_file(&files.html, &html::page(findings, checks))?;
    Ok(files)
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

/// Fails when a check did.
fn verdict(checks: &[Check]) -> anyhow::Result<()> {
    let failed: Vec<String> = checks
        .iter()
        .filter(|check| !check.holds())
        .map(|check| {
            let Check {
                what,
                expected,
                found,
            } = check;
            format!("{what}: expected {expected}, found {found}")
        })
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("{} checks failed: {}", failed.len(), failed.join("; "))
}
