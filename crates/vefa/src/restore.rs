//! A backup in the place of the databases. Each database changes in one transaction, and in it the keys of everybody who was erased since
//! are destroyed again: at no moment does anybody come back. And in it each log begins a new history, so that nothing that is recorded from then
//! on is taken for what was recorded before.

mod guard;
mod history;
mod replace;

use std::path::PathBuf;

use aggregate::{CustomerId, Partition, TenantId};
use anyhow::{Context as _, Result, bail};
use service::{Config, ServiceName};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    backup::{ERASED_FILE, Erased, Extent, Manifest, Tools, erased_by_now},
    migrate,
    projections::{self, told},
    serve,
};

#[derive(clap::Args)]
pub(crate) struct RestoreArguments {
    /// Directory that `vefa backup` made.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Replaces databases that are not empty.
    #[arg(long)]
    replace: bool,
    /// File that `vefa backup --erased` keeps up: who is to stay erased where the present databases are gone, and cannot tell.
    #[arg(long, value_name = "FILE")]
    erased: Option<PathBuf>,
    #[command(flatten)]
    tools: Tools,
    /// customers, interactions, segmentation, campaigns; all four when none is named.
    #[arg(value_parser = serve::parse_name)]
    services: Vec<ServiceName>,
}

const EVENT_OF_ERASURE: &str = "vefa.customers.v1.CustomerErased";

/// Restores.
///
/// # Errors
/// Before anything has changed: when the backup is torn, a service runs, or a database is not empty. A database that cannot be restored
/// stays as it was; those before it are restored then.
pub(crate) fn run(config: &Config, arguments: &RestoreArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(restore(config, arguments))
}

async fn restore(config: &Config, arguments: &RestoreArguments) -> Result<()> {
    let manifest = Manifest::read(&arguments.from)?;
    let all = &ServiceName::ALL[..];
    let chosen = if arguments.services.is_empty() {
        all
    } else {
        &arguments.services
    };
    for service in chosen {
        let dumped = manifest.of(*service)?;
        dumped.verify(&arguments.from)?;
        known_here(*service, &dumped.extent)?;
    }
    arguments.tools.require(&["pg_restore", "psql"]).await?;
    for service in chosen {
        guard::may_be_replaced(config, *service, arguments.replace)
            .await
            .with_context(|| format!("the database of {service}"))?;
    }
    let erased = erased(config, arguments).await?;
    told(&format!(
        "the backup is of {}, and whole; {} erased customers stay erased",
        manifest.made_at.replace_nanosecond(0)?,
        erased.len()
    ));
    let beginnings = history::beginnings(config, &manifest, chosen).await?;
    let mut taken_back = Vec::new();
    for service in chosen {
        let dumped = manifest.of(*service)?;
        let file = arguments.from.join(&dumped.file);
        let history = history::sql(*service, dumped, &beginnings);
        replace::replace(config, &arguments.tools, *service, &file, &erased, &history)
            .await
            .with_context(|| format!("the database of {service} is as it was"))?;
        let mut connection = connect(config, *service).await?;
        let extent = Extent::read(&mut connection).await?;
        let expected = Extent {
            epoch: beginnings[service].epoch,
            ..dumped.extent.clone()
        };
        if extent != expected {
            bail!("the database of {service} is not what the backup says: {extent:?}");
        }
        told(&format!("{service}: {} events", extent.events()));
        taken_back.extend(history::taken_back(&mut connection, &beginnings).await?);
    }
    without_what_was_taken_back(config, &taken_back).await?;
    if chosen.contains(&ServiceName::Customers) {
        to_be_repeated(config, &erased).await?;
    }
    Ok(())
}

/// Makes the rows anew of followers that had applied what the restored logs do not have: rows tell of it still.
async fn without_what_was_taken_back(config: &Config, projections: &[String]) -> Result<()> {
    if projections.is_empty() {
        return Ok(());
    }
    let names = projections.join(" ");
    told(&format!(
        "these had applied what the restored logs do not have, and are made anew: {names}"
    ));
    projections::rebuild(config, projections)
        .await
        .with_context(|| {
            format!(
                "all is restored, but rows still show what is no more: run `vefa projections rebuild {names}`"
            )
        })
}

/// Passes where this program knows the tables of a dump.
fn known_here(service: ServiceName, extent: &Extent) -> Result<()> {
    let log = event_log::migrations();
    let own = migrate::of(service);
    let known: Vec<i64> = log
        .iter()
        .chain(own.iter())
        .map(|one| one.version)
        .collect();
    let unknown = extent.migrations.iter();
    let unknown: Vec<&i64> = unknown.filter(|one| !known.contains(one)).collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        bail!(
            "the dump of {service} has the migrations {unknown:?}, which this program does not know: a newer one made it"
        )
    }
}

async fn connect(config: &Config, service: ServiceName) -> Result<PgConnection> {
    let url = config.database.url.of(service).expose();
    Ok(PgConnection::connect(url).await?)
}

/// Everybody who was erased, as far as the present databases, the backup and the list know.
async fn erased(config: &Config, arguments: &RestoreArguments) -> Result<Erased> {
    let mut erased = Erased::read(&arguments.from.join(ERASED_FILE))?;
    if let Some(file) = &arguments.erased {
        if !file.exists() {
            bail!("{} is not there", file.display());
        }
        erased.merge(&Erased::read(file)?);
    }
    erased.merge(&erased_by_now(config).await?);
    Ok(erased)
}

/// Tells whose erasure the restored log does not know: their keys are gone, and the rest of it only the service can repeat.
async fn to_be_repeated(config: &Config, erased: &Erased) -> Result<()> {
    let mut connection = connect(config, ServiceName::Customers).await?;
    let mut missing = Vec::new();
    for (tenant, customer, at) in erased.iter() {
        if is_known_and_not_erased(&mut connection, tenant, customer).await? {
            missing.push(format!("{customer} of tenant {}, {at}", tenant.as_str()));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    told(&format!(
        "{} were erased after the backup. Their keys are destroyed again; once the services run, call EraseCustomer for each:",
        missing.len()
    ));
    for line in missing {
        told(&format!("  {line}"));
    }
    Ok(())
}

async fn is_known_and_not_erased(
    connection: &mut PgConnection,
    tenant: &TenantId,
    customer: Uuid,
) -> Result<bool> {
    let partition = Partition::of_customer(tenant, CustomerId(customer)).number();
    let found: Option<bool> = sqlx::query_scalar(
        "select not bool_or(type = $4) from public.event where partition = $1 and tenant = $2 and stream_id = $3",
    )
    .bind(i16::from(partition))
    .bind(tenant.as_str())
    .bind(customer)
    .bind(EVENT_OF_ERASURE)
    .fetch_one(connection)
    .await?;
    // Of a stream without events, neither is so.
    Ok(found.unwrap_or(false))
}
