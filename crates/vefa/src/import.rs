//! Customers from a file, registered over the API like any others.

mod client;
mod fields;
mod lines;
mod record;
mod rejection;
mod source;

use std::{iter, path::PathBuf, time::Duration};

use aggregate::TenantId;
use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, stream};
use service::{Config, Principal, ServiceName};
use tonic::Status;

use crate::{headers::Headers, health, meter::Meter, projections::told};
use client::{Answer, Service};
use fields::Registration;
use lines::{Format, Line};
use record::{Counts, Identity, Record};
use rejection::{Rejection, code_name};
use source::{Source, is_standard_input, open, parse_name};

/// How long the token is good; an import that takes longer is gone on with.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
const SCOPES: [&str; 2] = ["customers.write", "customers.read"];

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Registers a customer for each line of a file. Columns: kind (person or business; the only one that must be there), affiliation,
    /// given_name, family_name, legal_name, locale, time_zone, country_code, formal_address, preferred_name, birth_date (as 1990-05-17), gender
    /// (female, male, other), income_band, occupation, sector, company_size (micro, small, medium, large), yearly_capacity (as 1250000 TRY, in
    /// minor units), region_code, address_lines (separated by |), locality, administrative_area, postal_code, email, phone, tckn, vkn,
    /// external:SYSTEM, registered_time, customer_id.
    ///
    /// Good lines are registered, bad ones written to FILE.rejected.jsonl: line, column, code, reason. Nobody is registered twice under one
    /// name: what was interrupted goes on when the same command is given again, and lines that were repaired in their place are
    /// registered then. Of two lines that claim one identifier, one is rejected. Exit status 1 when lines were rejected.
    Customers(CustomersArguments),
}

#[derive(clap::Args)]
pub(crate) struct CustomersArguments {
    /// The file, with a header when it is CSV; - for standard input.
    file: PathBuf,
    /// Tenant whose customers they become.
    #[arg(long, value_parser = TenantId::parse)]
    tenant: TenantId,
    /// Who acts, as it will stand beside every event. No personal data.
    #[arg(long, default_value = "import")]
    actor: String,
    /// Csv or jsonl, where the file's extension does not say.
    #[arg(long)]
    format: Option<Format>,
    /// Name of the import, at most 64 letters, digits, dots, dashes and underscores; the file's name where it is not given. A line is known
    /// by its number and this name.
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// Where the customers service is, as host:port or https://host:port, where that is not what the configuration says.
    #[arg(long)]
    address: Option<String>,
    /// Lines under way at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=512))]
    concurrency: u16,
    /// How long a line is tried again while the service is overloaded or away; then the import stops.
    #[arg(long, default_value_t = 60)]
    patience_s: u64,
    /// Has the service check each line and changes nothing; what it would reject goes to FILE.dry-run.jsonl. Identifiers that two lines
    /// share are not found by this.
    #[arg(long)]
    dry_run: bool,
    /// Where rejected lines are written, in place of FILE.rejected.jsonl.
    #[arg(long)]
    rejects: Option<PathBuf>,
}

/// Imports.
///
/// # Errors
/// When the file or the service is of no use, and when lines were rejected.
pub(crate) fn run(config: &Config, command: &Command) -> Result<()> {
    let Command::Customers(arguments) = command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(customers(config, arguments))
}

async fn customers(config: &Config, arguments: &CustomersArguments) -> Result<()> {
    let source = open(arguments)?;
    let name = source.name.clone();
    let principal = Principal::new(arguments.tenant.clone(), arguments.actor.as_str(), &SCOPES);
    let correlation_id = format!("import/{name}");
    let headers = Headers::new(config, &principal, TOKEN_LIFETIME, &correlation_id)?;
    let url = match &arguments.address {
        Some(address) => health::url(address),
        None => config.peer_url(ServiceName::Customers),
    };
    let patience = Duration::from_secs(arguments.patience_s);
    let service = Service::new(&url, &config.peers, headers, patience)?;
    let record = record(arguments, &source, &service, &url).await?;
    let total = source.examined.as_ref().map(|examined| examined.lines);
    let (counts, how_fast) = send(arguments, source, &service, record, total).await?;
    tell(arguments, &name, &counts, &how_fast)
}

/// The record to go on with, or a new one.
async fn record(
    arguments: &CustomersArguments,
    source: &Source,
    service: &Service,
    url: &str,
) -> Result<Record> {
    let digest = source.examined.as_ref().map(|one| one.digest.clone());
    let keeps = !arguments.dry_run && digest.is_some();
    let identity = Identity {
        name: source.name.clone(),
        tenant: arguments.tenant.as_str().to_owned(),
        digest: digest.unwrap_or_default(),
    };
    let beside = |ending: &str| {
        let mut path = if is_standard_input(&arguments.file) {
            PathBuf::from(&source.name).into_os_string()
        } else {
            arguments.file.clone().into_os_string()
        };
        path.push(ending);
        PathBuf::from(path)
    };
    let rejects = arguments.rejects.clone();
    // A question must not take away what belongs to an import that is to be gone on with.
    let ending = if arguments.dry_run {
        ".dry-run.jsonl"
    } else {
        ".rejected.jsonl"
    };
    let rejects = rejects.unwrap_or_else(|| beside(ending));
    let state = keeps.then(|| beside(".import"));
    if let Some(state) = &state
        && let Some(record) = Record::resume(&identity, state, &rejects)?
    {
        told(&format!("going on behind line {}", record.line()));
        return Ok(record);
    }
    let heads = service.heads().await;
    let heads = heads.map_err(|status| anyhow::anyhow!("{url}: {}", said(&status)))?;
    Record::begin(identity, heads, state, rejects)
}

fn said(status: &Status) -> String {
    format!("{}: {}", code_name(status.code()), status.message())
}

/// What became of a line.
enum Outcome {
    /// Registered, now or before, as the token tells.
    Done(String),
    /// Not asked for in earnest, and there already.
    There,
    Rejected(Vec<Rejection>),
}

async fn send(
    arguments: &CustomersArguments,
    source: Source,
    service: &Service,
    mut record: Record,
    total: Option<u64>,
) -> Result<(Counts, String)> {
    let Source {
        name, mut lines, ..
    } = source;
    let done = record.line();
    let answered_before = record.counts().lines;
    let mut meter = Meter::new(&name, "lines")?;
    let (name, dry_run) = (&name, arguments.dry_run);
    let left = iter::from_fn(|| lines.next().transpose())
        .filter(|line| !matches!(line, Ok(line) if line.number <= done));
    let mut answers = stream::iter(left)
        .map(|line| async move { one(service, name, dry_run, line?).await })
        .buffered(arguments.concurrency.into());
    while let Some(answer) = answers.next().await {
        match answer {
            Ok((line, Outcome::Done(token))) => {
                let already = record.begun_at().cover(&token);
                record.registered(line, already)?;
            }
            Ok((line, Outcome::There)) => record.registered(line, true)?,
            Ok((line, Outcome::Rejected(rejections))) => record.rejected(line, &rejections)?,
            Err(error) => {
                record.save()?;
                let counts = record.counts();
                return Err(error.context(format!(
                    "stopped behind line {} ({} registered, {} rejected); the same command goes on from there",
                    record.line(),
                    counts.registered,
                    counts.rejected
                )));
            }
        }
        let answered = record.counts().lines - answered_before;
        meter.show(answered, total.map(|total| total - answered_before));
    }
    drop(answers);
    let how_fast = meter.finish(record.counts().lines - answered_before);
    Ok((record.finish()?, how_fast))
}

/// Has one line registered.
async fn one(service: &Service, name: &str, dry_run: bool, line: Line) -> Result<(u64, Outcome)> {
    let number = line.number;
    let registration = line.content.and_then(|fields| Registration::parse(&fields));
    let mut registration = match registration {
        Ok(registration) => registration,
        Err(rejections) => return Ok((number, Outcome::Rejected(rejections))),
    };
    registration.request.request_id = format!("import/{name}/{number}");
    registration.request.validate_only = dry_run;
    let outcome = match service.register(&registration.request).await {
        Ok(Answer::Done(token)) => Outcome::Done(token),
        Ok(Answer::Refused(status)) => {
            let rejections = Rejection::all_of(&status, &registration);
            // A mere question has no request id to be known by, but the customer's id, which follows from it.
            let is_itself =
                |one: &Rejection| one.reason == "CUSTOMER_EXISTS" && one.column.is_empty();
            if dry_run && rejections.iter().all(is_itself) {
                Outcome::There
            } else {
                Outcome::Rejected(rejections)
            }
        }
        Err(status) => bail!("line {number}: {}", said(&status)),
    };
    Ok((number, outcome))
}

fn tell(arguments: &CustomersArguments, name: &str, counts: &Counts, how_fast: &str) -> Result<()> {
    let Counts {
        registered,
        already,
        rejected,
        reasons,
        ..
    } = counts;
    let done = if arguments.dry_run {
        "can be registered"
    } else {
        "registered"
    };
    told(&format!(
        "{name}: {registered} {done}, {already} there already, {rejected} rejected; {how_fast}"
    ));
    for (reason, times) in reasons {
        told(&format!("  {times} {reason}"));
    }
    match rejected {
        0 => Ok(()),
        1 => bail!("1 line was rejected"),
        many => bail!("{many} lines were rejected"),
    }
}
