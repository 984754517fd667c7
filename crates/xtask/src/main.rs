//! `cargo xtask`: what a developer or CI runs, on a machine that has Rust and nothing else of ours.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line: what it prints is what it is for"
)]

mod bench;
mod catalogue;
mod ci;
mod compose;
mod demo;
mod floors;
mod interrupt;
mod packages;
mod page;
#[cfg(test)]
mod portability;
mod postgres_package;
mod program;
mod readme;
mod servers;
mod step;
mod test;
mod tools;
mod torture;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The load of a measurement comes from here, and should not be what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Runs, tests and checks Vefa", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Put a real purchase history through all four services and report on it
    Demo {
        /// Leave everything running, and print addresses and a token to explore with
        #[arg(long)]
        keep: bool,
    },
    /// Run all tests against a PostgreSQL and a NATS of their own
    Test {
        /// Passed on to cargo nextest (or cargo test where that is not installed)
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure speed and memory against the limits of this machine
    Bench(bench::Options),
    /// Send commands while processes are killed, servers crash and streams are lost, and compare what is left
    Torture(torture::Options),
    /// Run the containers of docker-compose.yml, kill each of them, and look whether the services keep their word
    ComposeTest(compose::Options),
    /// Write the catalogue of all events to docs/events
    Catalogue {
        /// Fail unless the catalogue there is current, and write nothing
        #[arg(long)]
        check: bool,
    },
    /// Everything that must hold before a change lands
    Ci,
    /// Start PostgreSQL and NATS for development, and print how to reach them
    Servers,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Demo { keep } => demo::run(keep),
        Task::Test { arguments } => test::run(&arguments),
        Task::Bench(options) => bench::run(&options),
        Task::Torture(options) => torture::run(&options),
        Task::ComposeTest(options) => compose::run(options),
        Task::Catalogue { check: true } => catalogue::check(),
        Task::Catalogue { check: false } => catalogue::write(),
        Task::Ci => ci::run(),
        Task::Servers => servers::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            error
                .downcast_ref::<step::CommandFailed>()
                .map_or(ExitCode::FAILURE, |failed| failed.exit_code().into())
        }
    }
}
