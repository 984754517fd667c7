//! `vefa events export`: the events of the logs as files, for whoever asks questions of many of them at once.
//!
//! A log is exported in rounds. A round is a range of positions of each partition, chosen before anything of it is read and written down
//! (`state.json`); a log does not change, so that whoever does it again gets the same rows in files of the same names. A part is written
//! under another name, is on disk before it gets its own, and the round is done once all of its parts are there. Whatever dies whenever
//! thus leaves either a round that is done again over what it left, or one that is done: no row is missing or there twice.

mod cell;
mod layout;
mod parquet;
mod part;
mod round;
mod state;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use event_json::EventTypes;
use service::Config;
use time::OffsetDateTime;

use super::{
    access::Access,
    filter::{Filter, Wanted, parse_moment},
    log::ServiceLog,
};
use crate::{meter::Meter, projections::told};
use part::Format;
use round::Exporter;
use state::{Directory, Terms};

#[derive(clap::Args)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    wanted: Wanted,
    /// Directory for the files. With an export of before in it, that one goes on: with what was not done, and what came since.
    #[arg(long)]
    out: PathBuf,
    #[arg(long, value_enum, default_value = "parquet")]
    format: Format,
    /// Only what was recorded at this moment or later (RFC 3339).
    #[arg(long, value_parser = parse_moment)]
    from: Option<OffsetDateTime>,
    /// Only what was recorded before this moment (RFC 3339).
    #[arg(long, value_parser = parse_moment)]
    to: Option<OffsetDateTime>,
    /// Positions of a log in one round: how much is held in memory, and lost when it is killed.
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    round_positions: u64,
}

/// Exports up to where the logs are when it begins.
///
/// # Errors
/// When the token is refused, a log or a file fails, or the directory has an export of something else.
pub(crate) fn run(config: &Config, arguments: &ExportArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(export(config, arguments))
}

async fn export(config: &Config, arguments: &ExportArguments) -> Result<()> {
    if let (Some(from), Some(to)) = (arguments.from, arguments.to) {
        ensure!(from < to, "--from is not before --to");
    }
    let types = EventTypes::published()?;
    let filter = Filter {
        types: arguments.wanted.types(&types)?,
        since: arguments.from,
        until: arguments.to,
        ..Filter::default()
    };
    let (bearer, tenant) = arguments.access.open()?;
    // Before anything is made: whose token is refused leaves no directory.
    let mut ahead = Vec::new();
    for service in arguments.wanted.services() {
        let log = ServiceLog::new(config, service, &bearer, &tenant)?;
        let heads = log.heads().await?;
        ahead.push((log, heads));
    }
    let terms = Terms::new(&tenant, arguments.format, &filter)?;
    let mut directory = Directory::open(&arguments.out, terms)?;
    for (log, heads) in ahead {
        let service = log.service;
        directory.enter(service, &heads)?;
        let mut meter = Meter::new(service.as_str(), "events")?;
        let mut exporter = Exporter {
            log: &log,
            filter: &filter,
            types: &types,
            format: arguments.format,
            directory: &mut directory,
            round_positions: arguments.round_positions,
        };
        let total = exporter.left(&heads).unsigned_abs();
        let (mut exported, mut read) = (0, 0);
        while let Some(round) = exporter.next_round(&heads).await? {
            exported += round.events;
            read += round.positions.unsigned_abs();
            meter.show(read, Some(total));
        }
        let how = meter.finish(read);
        told(&format!("{service}: {exported} exported ({how})"));
    }
    Ok(())
}
