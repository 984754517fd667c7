//! Events from the command line, for analysts: what a token lets them read and their NATS user lets them hear. No database is opened and
//! nothing is decrypted; a sealed field is what it is everywhere, bytes.

mod access;
mod describe;
mod export;
mod filter;
mod follow;
mod line;
mod live;
mod log;
mod tail;

use std::io::Write as _;

use anyhow::{Context as _, Result};
use service::Config;

pub(crate) use describe::meaning;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Prints events as they happen, and on request all that happened before. Ends on Ctrl-C, when nobody reads, or at --until.
    Tail(tail::TailArguments),
    /// Writes events as files, by type and day, and goes on where it was.
    Export(export::ExportArguments),
    /// Tells what events mean: all in a line each, or one with its fields.
    Describe(describe::DescribeArguments),
    /// Writes the descriptors of all events (a FileDescriptorSet) to the standard output, for whoever decodes payloads elsewhere.
    Descriptors,
}

pub(crate) fn run(config: impl FnOnce() -> Result<Config>, command: &Command) -> Result<()> {
    match command {
        Command::Tail(arguments) => tail::run(&config()?, arguments),
        Command::Export(arguments) => export::run(&config()?, arguments),
        Command::Describe(arguments) => describe::run(arguments),
        Command::Descriptors => std::io::stdout()
            .write_all(contracts::FILE_DESCRIPTOR_SET)
            .context("writing the descriptors"),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the standard output has the events alone"
)]
fn tell(line: &str) {
    eprintln!("{line}");
}
