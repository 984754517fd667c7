//! Webhooks: the process that sends them, and what an operator sees of them and can do. Works on their own database alone.

use anyhow::{Context as _, Result, bail, ensure};
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use event_log::EventLog;
use serde::Serialize;
use service::{Config, shutdown};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use webhooks::operate::{self, Dead, Standing};

use crate::projections::told;

/// A line below the header, and nothing else.
const PLAIN: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON object a line.
    Jsonl,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Follows the services' events and sends them to the endpoints of the configuration, until SIGINT or SIGTERM. Several may run at once.
    Run,
    /// Brings the tables up to date, and ends.
    Migrate,
    /// Prints how each endpoint stands.
    List {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Prints events that are tried no more, those that have waited longest first. What comes behind them of the same customer waits.
    Dead {
        /// Only of this endpoint.
        endpoint: Option<String>,
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
        limit: i64,
    },
    /// Has dead events tried again, all of an endpoint (and what was parked of it) or one. Does not wait for what comes of it.
    Redrive {
        endpoint: String,
        /// Only this one, by the id that `dead` prints.
        #[arg(long)]
        event: Option<Uuid>,
    },
    /// Takes a dead event out, for good: the receiver never gets it, and what is behind it goes on.
    Skip {
        endpoint: String,
        /// Its id, as `dead` prints it.
        event: Uuid,
    },
    /// Sends an endpoint nothing more until it is enabled; events gather. Requests under way come to their end.
    Disable {
        endpoint: String,
        /// Why, for whoever looks later. No personal data.
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Lets a disabled endpoint go on, whoever disabled it.
    Enable { endpoint: String },
}

pub(crate) fn run(config: &Config, command: &Command) -> Result<()> {
    if matches!(command, Command::Run) {
        return send(config);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(operate(config, command))
}

/// Runs until a signal, or until something fails.
fn send(config: &Config) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let guard =
            telemetry::init(&config.telemetry, webhooks::NAME).context("setting up telemetry")?;
        let result = serve(config).await;
        if let Err(error) = guard.shutdown() {
            tracing::warn!(%error, "the last spans were not exported");
        }
        result
    })
}

async fn serve(config: &Config) -> Result<()> {
    let address = &config.webhooks.listen;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("webhooks.listen: cannot listen on {address}"))?;
    let stop = CancellationToken::new();
    let serving = webhooks::serve(config, listener, stop.clone());
    let served = shutdown::run_until_signal(&stop, serving)
        .await
        .context("receiving signals")?;
    served.context("webhooks failed")
}

async fn operate(config: &Config, command: &Command) -> Result<()> {
    if matches!(command, Command::Migrate) {
        webhooks::migrate(config)
            .await
            .context("the database of webhooks")?;
        told("the database of webhooks is up to date");
        return Ok(());
    }
    let log = webhooks::attach(config)
        .await
        .context("opening the database of webhooks")?;
    let outcome = ask(&log, command).await;
    log.close().await;
    outcome
}

async fn ask(log: &EventLog, command: &Command) -> Result<()> {
    let pool = log.pool();
    match command {
        Command::Run | Command::Migrate => Ok(()),
        Command::List { format } => list(&operate::standings(pool).await?, *format),
        Command::Dead {
            endpoint,
            format,
            limit,
        } => {
            if let Some(endpoint) = endpoint {
                known(log, endpoint).await?;
            }
            dead(
                &operate::dead(pool, endpoint.as_deref(), *limit).await?,
                *format,
            )
        }
        Command::Redrive { endpoint, event } => {
            known(log, endpoint).await?;
            let redriven = operate::redrive(pool, endpoint, *event).await?;
            ensure!(
                event.is_none() || redriven > 0,
                "{endpoint} has no dead event of this id"
            );
            told(&format!("{redriven} events are tried again"));
            if event.is_none() {
                let replayed = operate::replay(pool, endpoint).await?;
                if replayed > 0 {
                    told(&format!("{replayed} parked streams are tried again"));
                }
            }
            Ok(())
        }
        Command::Skip { endpoint, event } => {
            known(log, endpoint).await?;
            let skipped = operate::skip(pool, endpoint, *event).await?;
            ensure!(skipped, "{endpoint} has no dead event of this id");
            told(&format!("{event} is skipped"));
            Ok(())
        }
        Command::Disable { endpoint, reason } => {
            known(log, endpoint).await?;
            let state = if operate::disable(pool, endpoint, reason).await? {
                "is disabled"
            } else {
                "was disabled already"
            };
            told(&format!("{endpoint} {state}"));
            Ok(())
        }
        Command::Enable { endpoint } => {
            known(log, endpoint).await?;
            let state = if operate::enable(pool, endpoint).await? {
                "goes on"
            } else {
                "was not disabled"
            };
            told(&format!("{endpoint} {state}"));
            Ok(())
        }
    }
}

/// # Errors
/// When there is no such endpoint, with those that there are.
async fn known(log: &EventLog, endpoint: &str) -> Result<()> {
    let names = operate::names(log.pool()).await?;
    if !names.iter().any(|name| name == endpoint) {
        bail!(
            "there is no endpoint {endpoint}; there are {}",
            names.join(", ")
        );
    }
    Ok(())
}

#[derive(Serialize)]
struct StandingLine<'a> {
    endpoint: &'a str,
    tenant: &'a str,
    since: Option<String>,
    disabled: Option<String>,
    disabled_because: Option<&'a str>,
    pending: i64,
    oldest_s: f64,
    retried: i64,
    dead: i64,
    parked: i64,
    paused: i64,
}

fn list(standings: &[Standing], format: Format) -> Result<()> {
    match format {
        Format::Jsonl => {
            for one in standings {
                told(&serde_json::to_string(&StandingLine {
                    endpoint: &one.endpoint,
                    tenant: &one.tenant,
                    since: one.since.map(moment).transpose()?,
                    disabled: one.stopped_at.map(moment).transpose()?,
                    disabled_because: one.stopped_because.as_deref(),
                    pending: one.pending,
                    oldest_s: one.oldest_s,
                    retried: one.retried,
                    dead: one.dead,
                    parked: one.parked,
                    paused: one.paused,
                })?);
            }
        }
        Format::Table => {
            let mut table = Table::new();
            table.load_style(PLAIN).set_header([
                "endpoint", "tenant", "state", "pending", "oldest s", "retried", "dead", "parked",
            ]);
            for one in standings {
                table.add_row([
                    one.endpoint.clone(),
                    one.tenant.clone(),
                    state(one),
                    one.pending.to_string(),
                    format!("{:.0}", one.oldest_s),
                    one.retried.to_string(),
                    one.dead.to_string(),
                    one.parked.to_string(),
                ]);
            }
            for column in table.column_iter_mut().skip(3) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            told(&table.to_string());
        }
    }
    Ok(())
}

fn state(one: &Standing) -> String {
    match &one.stopped_because {
        Some(why) => format!("disabled: {why}"),
        None if one.paused > 0 => "paused: unknown event".to_owned(),
        None => "live".to_owned(),
    }
}

#[derive(Serialize)]
struct DeadLine<'a> {
    endpoint: &'a str,
    event: Uuid,
    #[serde(rename = "type")]
    type_: &'a str,
    subject: Uuid,
    behind: i64,
    attempts: i32,
    dead: String,
    outcome: &'a str,
}

fn dead(dead: &[Dead], format: Format) -> Result<()> {
    match format {
        Format::Jsonl => {
            for one in dead {
                told(&serde_json::to_string(&DeadLine {
                    endpoint: &one.endpoint,
                    event: one.event_id,
                    type_: &one.type_,
                    subject: one.subject,
                    behind: one.behind,
                    attempts: one.attempts,
                    dead: moment(one.dead_at)?,
                    outcome: &one.outcome,
                })?);
            }
        }
        Format::Table => {
            let mut table = Table::new();
            table.load_style(PLAIN).set_header([
                "endpoint", "event", "type", "subject", "behind", "attempts", "since", "outcome",
            ]);
            for one in dead {
                table.add_row([
                    one.endpoint.clone(),
                    one.event_id.to_string(),
                    event_bus::event_type_token(&one.type_).to_owned(),
                    one.subject.to_string(),
                    one.behind.to_string(),
                    one.attempts.to_string(),
                    moment(one.dead_at.replace_nanosecond(0)?)?,
                    one.outcome.clone(),
                ]);
            }
            told(&table.to_string());
        }
    }
    Ok(())
}

fn moment(moment: OffsetDateTime) -> Result<String> {
    Ok(moment.format(&Rfc3339)?)
}
