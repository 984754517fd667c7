//! Speed and memory: Vefa and the limits that it is measured against, in one run on one PostgreSQL and one NATS.
//!
//! A figure alone says little on a machine that others use too; its ratio to a limit taken moments before says more.

mod arrivals;
mod backlog;
mod bulk;
mod commands;
mod flow;
mod footprint;
mod limits;
mod load;
mod report;
mod search;
mod stage;

use anyhow::bail;
use testing::PostgresOptions;

use crate::interrupt;
use crate::servers::Servers;
use crate::step::{self, command, step};
use crate::workspace;
use report::Report;
use stage::Stage;

/// What is measured, and for how long.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Only these, by name: footprint, commands, projection_rebuild, relay, end_to_end, reaction, growth, search
    parts: Vec<String>,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Longest log at which commands are measured; 10000000 for the whole of `growth`
    #[arg(long, default_value_t = 1_000_000)]
    growth_events_max: u64,
    /// Events of the log that `projection_rebuild` and `relay` work off
    #[arg(long, default_value_t = 1_000_000)]
    backlog_events: u64,
    /// Customers among whom `search` looks
    #[arg(long, default_value_t = 1_000_000)]
    search_customers: u64,
    /// Set by the task itself when it runs as a release build
    #[arg(long, hide = true)]
    built: bool,
}

const PARTS: [&str; 8] = [
    "footprint",
    "commands",
    "projection_rebuild",
    "relay",
    "end_to_end",
    "reaction",
    "growth",
    "search",
];

impl Options {
    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }
}

/// Measures, prints a table and writes `target/bench/report.json`. Unknown parts are refused. Goals that are not met are shown, and
/// are no failure: machines differ.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(unknown) = options
        .parts
        .iter()
        .find(|part| !PARTS.contains(&part.as_str()))
    {
        bail!("there is no part {unknown}; there are {}", PARTS.join(", "));
    }
    if !options.built {
        return run_release_build();
    }
    interrupt::watch()?;
    let servers = Servers::start(PostgresOptions::for_load)?;
    let mut report = Report::default();
    let stage = Stage::new(&servers, options)?;
    if options.wants("footprint") {
        step("footprint", || footprint::measure(&stage, &mut report))?;
    }
    if options.wants("commands") {
        step("commands", || commands::measure(&stage, &mut report))?;
    }
    let (rebuild, relay) = (options.wants("projection_rebuild"), options.wants("relay"));
    if rebuild || relay {
        step("a long log", || {
            bulk::measure(&stage, &mut report, rebuild, relay)
        })?;
    }
    if options.wants("end_to_end") {
        step("end_to_end", || {
            flow::measure_end_to_end(&stage, &mut report)
        })?;
    }
    if options.wants("reaction") {
        step("reaction", || flow::measure_reaction(&stage, &mut report))?;
    }
    if options.wants("growth") {
        step("growth", || commands::measure_growth(&stage, &mut report))?;
    }
    if options.wants("search") {
        step("search", || search::measure(&stage, &mut report))?;
    }
    report.print();
    report.write(&workspace::target().join("bench/report.json"))
}

/// Both sides are measured as release builds: the services, and this program, which makes the load.
fn run_release_build() -> anyhow::Result<()> {
    step("build Vefa and the load generator", || {
        step::run(command(
            "cargo",
            [
                "build",
                "--release",
                "--package",
                "vefa",
                "--package",
                "xtask",
            ],
        ))
    })?;
    let program = workspace::target().join("release/xtask");
    let arguments = std::env::args().skip(1).chain(["--built".to_owned()]);
    step::run(command(&program.to_string_lossy(), arguments))
}
