//! Data keys under a new master key.

use anyhow::{Context as _, Result, bail};
use event_log::{KeyService, Rewrapped, rewrap_keys};
use service::{Config, ServiceName, master_keys};
use sqlx::postgres::PgPoolOptions;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Wraps the data keys of all services under the first master key of the file, beside the running services. What they seal stays as it is. When it
    /// says that none was left, the other master keys can be taken out of the file.
    Rewrap {
        /// Changes nothing. Exit status 1 when a key is wrapped under another master key than the first.
        #[arg(long)]
        check: bool,
    },
}

/// One service after the other.
///
/// # Errors
/// At the first that fails, and where a check finds a key to be wrapped anew.
pub(crate) fn run(config: &Config, command: &Command) -> Result<()> {
    let Command::Rewrap { check } = *command;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let service = master_keys(config)?;
    let mut outdated = 0;
    for name in ServiceName::ALL {
        let found = runtime
            .block_on(one(config, name, &service, check))
            .with_context(|| format!("the data keys of {name}"))?;
        told(name, found, check);
        outdated += found.outdated;
    }
    if check && outdated > 0 {
        bail!("{outdated} data keys are wrapped under another master key than the first");
    }
    Ok(())
}

async fn one(
    config: &Config,
    name: ServiceName,
    service: &dyn KeyService,
    check: bool,
) -> Result<Rewrapped> {
    let url = config.database.url.of(name).expose();
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await?;
    let rewrapped = rewrap_keys(&pool, service, check).await;
    pool.close().await;
    Ok(rewrapped?)
}

#[expect(
    clippy::print_stdout,
    reason = "what a command prints is what it is for"
)]
fn told(name: ServiceName, found: Rewrapped, check: bool) {
    let Rewrapped { keys, outdated } = found;
    let what = if check {
        "to be wrapped anew"
    } else {
        "wrapped anew"
    };
    println!("{name:<13} {keys} data keys, {outdated} {what}");
}
