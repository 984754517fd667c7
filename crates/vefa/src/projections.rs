//! Projections as an operator sees them, all of them or by name. Works on the services' databases, beside the running services: what
//! is asked of a projection is recorded there, and done by whoever keeps it up to date.

mod following;
mod list;
mod rebuild;

pub(crate) use following::{Following, following};
pub(crate) use rebuild::{comparison, line};

use std::time::Duration;

use aggregate::StreamId;
use anyhow::{Context as _, Result, bail};
use event_log::{AnyProjection, EventLog, Projection as _, control, control::Target};
use service::{Config, Maintained, ServiceName, attach};

/// How long an operator's wish may take until somebody has dealt with it.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Prints a line for each projection: its state, how far it is behind, what it has parked, and who keeps it up to date.
    List,
    /// Makes the rows anew from the log, beside the live ones, and puts them in their place in one step. Ends at the first event that
    /// cannot be applied; nothing has changed then.
    Rebuild(Names),
    /// Makes the rows anew beside the live ones, and tells where they differ. Changes nothing. Exit status 1 when they do.
    Compare(Names),
    /// Parks a stream: nothing more of it is applied until it is replayed.
    Park {
        projection: String,
        /// Id of the stream, such as a customer's.
        stream: uuid::Uuid,
        /// Why, for whoever looks later. No personal data.
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Applies what is parked, in order, one stream or all, and waits until it is done.
    Replay {
        projection: String,
        /// Only this stream.
        #[arg(long)]
        stream: Option<uuid::Uuid>,
    },
    /// Lets a projection stand still until it is resumed. Reads are still answered.
    Pause {
        projection: String,
        /// Why, for whoever looks later. No personal data.
        #[arg(long, default_value = "by hand")]
        reason: String,
    },
    /// Lets a paused projection go on.
    Resume { projection: String },
}

#[derive(clap::Args)]
pub(crate) struct Names {
    /// The projections, as `list` names them.
    #[arg(required_unless_present = "all")]
    projections: Vec<String>,
    /// All of them.
    #[arg(long, conflicts_with = "projections")]
    all: bool,
}

/// A projection, where its rows are, and the log that it follows.
pub(crate) struct Kept {
    pub(crate) service: ServiceName,
    pub(crate) source_name: ServiceName,
    pub(crate) log: EventLog,
    pub(crate) source: EventLog,
    pub(crate) projection: AnyProjection,
}

impl Kept {
    fn target(&self) -> Target {
        Target {
            projection: self.projection.name(),
            version: self.projection.version(),
        }
    }
}

/// What a service keeps up to date: the same lists that it runs by.
fn maintained(name: ServiceName, log: &EventLog) -> Vec<Maintained> {
    match name {
        ServiceName::Customers => customers::projections(log),
        ServiceName::Interactions => interactions::projections(log),
        ServiceName::Segmentation => segmentation::projections(log),
        ServiceName::Campaigns => campaigns::projections(log),
    }
}

/// Every projection of the installation.
pub(crate) async fn all(config: &Config) -> Result<Vec<Kept>> {
    let mut logs = Vec::new();
    for name in ServiceName::ALL {
        let log = attach(name, config)
            .await
            .with_context(|| format!("opening the log of {name}"))?;
        logs.push((name, log));
    }
    let log_of = |name| {
        logs.iter()
            .find(|(other, _)| *other == name)
            .map(|(_, log)| log.clone())
            .context("every service has a log")
    };
    let mut kept = Vec::new();
    for (service, log) in &logs {
        for Maintained { source, projection } in maintained(*service, log) {
            kept.push(Kept {
                service: *service,
                source_name: source,
                log: log.clone(),
                source: log_of(source)?,
                projection,
            });
        }
    }
    Ok(kept)
}

fn by_name(kept: Vec<Kept>, name: &str) -> Result<Kept> {
    let names: Vec<&str> = kept.iter().map(|one| one.projection.name()).collect();
    let names = names.join(", ");
    kept.into_iter()
        .find(|one| one.projection.name() == name)
        .with_context(|| format!("there is no projection {name}; there are {names}"))
}

/// Those that are named, in the order of the installation.
fn chosen(kept: Vec<Kept>, names: &Names) -> Result<Vec<Kept>> {
    if names.all {
        return Ok(kept);
    }
    let known: Vec<&str> = kept.iter().map(|one| one.projection.name()).collect();
    if let Some(name) = names
        .projections
        .iter()
        .find(|name| !known.contains(&name.as_str()))
    {
        bail!(
            "there is no projection {name}; there are {}",
            known.join(", ")
        );
    }
    let named = |one: &Kept| {
        names
            .projections
            .iter()
            .any(|name| name == one.projection.name())
    };
    Ok(kept.into_iter().filter(named).collect())
}

/// Makes the rows of these anew.
pub(crate) async fn rebuild(config: &Config, names: &[String]) -> Result<()> {
    let mut kept = all(config).await?;
    kept.retain(|one| names.iter().any(|name| name == one.projection.name()));
    rebuild::rebuild(kept).await
}

pub(crate) fn run(config: &Config, command: &Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        let kept = all(config).await?;
        match command {
            Command::List => list::print(&kept).await,
            Command::Rebuild(names) => rebuild::rebuild(chosen(kept, names)?).await,
            Command::Compare(names) => rebuild::compare(chosen(kept, names)?).await,
            Command::Park {
                projection,
                stream,
                reason,
            } => park(&by_name(kept, projection)?, StreamId(*stream), reason).await,
            Command::Replay { projection, stream } => {
                replay(&by_name(kept, projection)?, stream.map(StreamId)).await
            }
            Command::Pause { projection, reason } => {
                let one = by_name(kept, projection)?;
                control::pause(one.log.pool(), one.target(), reason).await?;
                told(&format!("{projection} is paused"));
                Ok(())
            }
            Command::Resume { projection } => {
                let one = by_name(kept, projection)?;
                let was_paused = control::resume(one.log.pool(), one.target()).await?;
                let state = if was_paused {
                    "goes on"
                } else {
                    "was not paused"
                };
                told(&format!("{projection} {state}"));
                Ok(())
            }
        }
    })
}

#[expect(
    clippy::print_stdout,
    reason = "what a command prints is what it is for"
)]
pub(crate) fn told(line: &str) {
    println!("{line}");
}

async fn park(one: &Kept, stream: StreamId, reason: &str) -> Result<()> {
    let found = control::find_stream(one.source.pool(), stream).await?;
    let source = one.source_name;
    let [(partition, tenant)] = &found[..] else {
        bail!("{source} has {} streams with this id", found.len());
    };
    let place = (*partition, tenant, stream);
    control::park(one.log.pool(), one.target(), place, reason).await?;
    told(&format!(
        "stream {} is parked in {}",
        stream.0,
        one.projection.name()
    ));
    Ok(())
}

/// Asks for it, and waits until the owner has dealt with it.
async fn replay(one: &Kept, stream: Option<StreamId>) -> Result<()> {
    let (pool, target) = (one.log.pool(), one.target());
    let asked = control::replay(pool, target, stream).await?;
    let waiting = async {
        loop {
            let parked = control::parked(pool, target).await?;
            if parked.iter().all(|stream| !stream.replay) {
                return Ok::<_, anyhow::Error>(parked);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let parked = tokio::time::timeout(ANSWER_MAX, waiting)
        .await
        .context("it was asked for, but nobody keeps the projection up to date")??;
    let left: Vec<_> = parked
        .iter()
        .filter(|one| stream.is_none_or(|stream| one.stream == stream))
        .collect();
    told(&format!(
        "{} of {asked} streams were applied",
        asked.saturating_sub(left.len())
    ));
    for stream in &left {
        told(&list::parked_line(stream));
    }
    if left.is_empty() {
        Ok(())
    } else {
        bail!("{} still cannot be applied", left.len());
    }
}
