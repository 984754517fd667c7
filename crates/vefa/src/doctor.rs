//! Whether the logs, the streams and what is kept beside them are what they promise to be. Changes nothing.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use event_bus::{Bus, StreamEnd, compare_whole};
use event_log::{Check, Projection as _, verify};
use service::{Config, ServiceName, bus_options};
use sqlx::{Connection as _, PgConnection};

use crate::projections::{self, comparison, line};

/// A transaction that does nothing for longer than this is a finding.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// How long NATS may take to be reached.
const CONNECT_MAX: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(crate) struct DoctorArguments {
    /// Also reads every message of every stream: the same events as in the log, each partition in order.
    #[arg(long)]
    streams: bool,
    /// Also makes every read model anew beside the live one, and compares the rows.
    #[arg(long)]
    rebuild: bool,
}

/// Checks all four services and prints a line for each check.
///
/// # Errors
/// When something does not hold, or cannot be looked at.
pub(crate) fn run(config: &Config, arguments: &DoctorArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let found = runtime.block_on(examine(config, arguments))?;
    match found {
        0 => Ok(()),
        1 => bail!("1 finding"),
        many => bail!("{many} findings"),
    }
}

async fn examine(config: &Config, arguments: &DoctorArguments) -> Result<usize> {
    let bus = Bus::connect(&bus_options(config)).await?;
    let connected = async {
        while !bus.is_connected() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(CONNECT_MAX, connected)
        .await
        .context("NATS cannot be reached")?;
    let mut found = 0;
    for name in ServiceName::ALL {
        let mut checks = checks(config, &bus, name)
            .await
            .with_context(|| format!("examining {name}"))?;
        if arguments.streams {
            let mut connection = connect(config, name).await?;
            let compared = compare_whole(&bus, name.as_str(), &mut connection).await;
            checks.push(compared.with_context(|| format!("reading the stream of {name}"))?);
        }
        if arguments.rebuild {
            checks.push(read_models(config, name).await?);
        }
        for check in &checks {
            print(name, check);
            found += check.findings_total;
        }
    }
    Ok(found)
}

async fn connect(config: &Config, name: ServiceName) -> Result<PgConnection> {
    let url = config.database.url.of(name).expose();
    Ok(PgConnection::connect(url).await?)
}

/// Whether a rebuild makes the rows that are there. One that cannot be made is a finding as well.
async fn read_models(config: &Config, name: ServiceName) -> Result<Check> {
    let mut findings = Vec::new();
    let kept = projections::all(config).await?;
    for one in kept.iter().filter(|one| one.service == name) {
        let projection = one.projection.name();
        match comparison(one, false).await {
            Ok(found) => {
                let differ = found.tables.iter().filter(|table| !table.is_equal());
                findings.extend(differ.map(|table| line(projection, table)));
            }
            Err(error) => findings.push(format!("{error:#}")),
        }
    }
    Ok(Check::new("read models equal a rebuild", findings))
}

async fn checks(config: &Config, bus: &Bus, name: ServiceName) -> Result<Vec<Check>> {
    let end = StreamEnd::read(bus, name.as_str()).await?;
    let mut connection = connect(config, name).await?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("set transaction isolation level repeatable read, read only")
        .execute(&mut *transaction)
        .await?;
    let mut checks = verify(&mut transaction, IDLE_MAX).await?;
    checks.push(end.compare(&mut transaction).await?);
    transaction.rollback().await?;
    Ok(checks)
}

#[expect(
    clippy::print_stdout,
    reason = "what a command prints is what it is for"
)]
fn print(name: ServiceName, check: &Check) {
    let verdict = if check.holds() { "ok" } else { "FAILED" };
    println!("{name:<13} {:<54} {verdict}", check.claim);
    for finding in &check.findings {
        println!("{:<13}   {finding}", "");
    }
    let more = check.findings_total - check.findings.len();
    if more > 0 {
        println!("{:<13}   and {more} more", "");
    }
}
