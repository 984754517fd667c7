//! The `vefa` command: runs the services, makes the secrets and tokens that they need, and examines what they keep.

mod backup;
mod doctor;
mod events;
mod headers;
mod health;
mod import;
mod keys;
mod meter;
mod migrate;
mod projections;
mod restore;
mod secrets;
mod serve;
mod subject;
mod version;
mod webhooks;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use service::Config;

/// Every call makes and drops some hundred small values on several threads, at which the system's allocator is slow.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An event-sourced backend for customer relations.
#[derive(Parser)]
#[command(name = "vefa", version)]
struct Arguments {
    /// Configuration file; the environment (VEFA__SECTION__KEY) goes over it.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs services until SIGINT or SIGTERM: all four, or those that are named.
    Serve {
        /// customers, interactions, segmentation, campaigns.
        #[arg(value_parser = serve::parse_name)]
        services: Vec<service::ServiceName>,
    },
    /// Brings the tables of services up to date, of all four or of those that are named, and ends. Several may run at once.
    Migrate {
        /// customers, interactions, segmentation, campaigns.
        #[arg(value_parser = serve::parse_name)]
        services: Vec<service::ServiceName>,
    },
    /// Asks a service whether it serves. Exit status 1 when it does not.
    Health(health::HealthArguments),
    /// Makes the token secret and the master key that the configuration names, where they are not there yet.
    Init,
    /// Checks that logs and streams are whole and agree; changes nothing, also while the services run. Exit status 1 with findings.
    Doctor(doctor::DoctorArguments),
    /// Writes the four databases into a directory, each as of one moment, with a list of what they are. The services can run meanwhile.
    Backup(backup::BackupArguments),
    /// Puts a backup in the place of the databases, each in one transaction. The services must be stopped. Whoever was erased since stays
    /// erased; whose erasure has to be repeated through the API is listed.
    Restore(restore::RestoreArguments),
    /// What is kept up to date from logs: how it stands, and making it anew, beside the running services.
    Projections {
        #[command(subcommand)]
        command: projections::Command,
    },
    /// Events, for analysts: as they happen, and all that happened before.
    Events {
        #[command(subcommand)]
        command: events::Command,
    },
    /// Events as signed HTTP requests, for those who have no NATS: sending them, how they stand, and what to do about those that failed.
    Webhooks {
        #[command(subcommand)]
        command: webhooks::Command,
    },
    /// Registers customers from a file.
    Import {
        #[command(subcommand)]
        command: import::Command,
    },
    /// The keys that seal what is personal.
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// What is known of one customer.
    Subject {
        #[command(subcommand)]
        command: subject::Command,
    },
    /// Prints a token with which to call the services.
    Token(secrets::TokenArguments),
    /// Prints the version, and the commit that it was built from.
    Version,
}

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("failpoints are for tests: a release build has none");

fn main() -> Result<()> {
    #[cfg(feature = "failpoints")]
    let _failpoints = fail::FailScenario::setup();
    let arguments = Arguments::parse();
    // Not read by commands that do without, which so work also where it cannot be used.
    let config = || Config::load(arguments.config.as_deref());
    match arguments.command {
        Command::Serve { services } => serve::run(&config()?, &services),
        Command::Migrate { services } => migrate::run(&config()?, &services),
        Command::Health(health) => health::run(&health, || Ok(config()?)),
        Command::Init => secrets::init(&config()?),
        Command::Doctor(doctor) => doctor::run(&config()?, &doctor),
        Command::Backup(backup) => backup::run(&config()?, &backup),
        Command::Restore(restore) => restore::run(&config()?, &restore),
        Command::Projections { command } => projections::run(&config()?, &command),
        Command::Events { command } => events::run(|| Ok(config()?), &command),
        Command::Webhooks { command } => webhooks::run(&config()?, &command),
        Command::Import { command } => import::run(&config()?, &command),
        Command::Subject { command } => subject::run(&config()?, &command),
        Command::Keys { command } => keys::run(&config()?, &command),
        Command::Token(token) => secrets::print_token(&config()?, &token),
        Command::Version => {
            version::print();
            Ok(())
        }
    }
}

/// Bytes as digests are written.
fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
