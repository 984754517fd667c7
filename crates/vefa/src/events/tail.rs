//! `vefa events tail`: followers of all services that are wanted, and one thread that writes what they pass on.

use std::{
    io::{self, BufWriter, Write as _},
    sync::Arc,
    time::Duration,
};

use aggregate::CustomerId;
use anyhow::{Context as _, Result, ensure};
use event_bus::Bus;
use event_json::EventTypes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use service::{Config, bus_options, clock, shutdown};
use time::OffsetDateTime;
use tokio::{
    sync::mpsc::{Receiver, channel},
    task::JoinSet,
    time::{interval, sleep},
};

use super::{
    access::Access,
    filter::{self, Filter, parse_moment},
    follow::{Follower, Start, Wanted},
    line,
    log::ServiceLog,
};

/// Events that wait to be written.
const QUEUE_EVENTS: usize = 1024;
/// How often it is looked whether somebody still reads.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long what was passed on may take to be written after Ctrl-C, to a reader who is slow or has stopped.
const DRAIN_MAX: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// One JSON object a line, in the form of CloudEvents, with the payload as `data`.
    Jsonl,
    /// For people: when, where, what, and by whom, without the payload.
    Table,
}

#[derive(clap::Args)]
pub(crate) struct TailArguments {
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    wanted: filter::Wanted,
    /// Only what is about this customer: on the customer's stream, or naming the customer.
    #[arg(long)]
    customer: Option<CustomerId>,
    /// Only what was recorded at this moment or later (RFC 3339), from history too.
    #[arg(long, value_parser = parse_moment)]
    since: Option<OffsetDateTime>,
    /// Only what was recorded before this moment (RFC 3339); ends then.
    #[arg(long, value_parser = parse_moment)]
    until: Option<OffsetDateTime>,
    /// All of history first. Without this or --since, events from now on.
    #[arg(long)]
    from_beginning: bool,
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
}

/// Prints events until Ctrl-C, until nobody reads, or until --until.
///
/// # Errors
/// When the token is refused, a log cannot be read at the beginning, or what is asked for makes no sense.
pub(crate) fn run(config: &Config, arguments: &TailArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let outcome = runtime.block_on(tail(config, arguments));
    // A thread that writes to somebody who does not read is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn tail(config: &Config, arguments: &TailArguments) -> Result<()> {
    let types = EventTypes::published()?;
    let filter = Arc::new(Filter {
        types: arguments.wanted.types(&types)?,
        customer: arguments.customer,
        since: arguments.since,
        until: arguments.until,
    });
    let history = arguments.from_beginning || arguments.since.is_some();
    let over = arguments.until.is_some_and(|until| until <= clock::now());
    ensure!(
        history || !over,
        "--until has passed: with --since or --from-beginning it ends a history"
    );
    let (bearer, tenant) = arguments.access.open()?;
    let bus = if over {
        None
    } else {
        Some(Bus::connect(&bus_options(config)).await?)
    };
    let start = if history {
        Start::Beginning
    } else {
        Start::Now
    };
    let (out, events) = channel(QUEUE_EVENTS);
    let mut followers = JoinSet::new();
    for service in arguments.wanted.services() {
        let log = ServiceLog::new(config, service, &bearer, &tenant)?;
        let follower = Follower::new(log, filter.clone(), types.clone(), out.clone());
        followers.spawn(follower.run(bus.clone(), start));
    }
    let format = arguments.format;
    let mut writing = tokio::task::spawn_blocking(move || write(events, format, &types));
    let asked = tokio::select! {
        followed = all(&mut followers) => followed.map(|()| false),
        written = &mut writing => return written.context("writing events")?,
        asked = asked_to_end() => asked.map(|()| true),
    }?;
    followers.shutdown().await;
    // Ends the channel, and with it the writing, once it is empty. Not before: of followers that fail, the failure is to be told.
    drop(out);
    let drained = async {
        if asked {
            sleep(DRAIN_MAX).await;
            Ok(())
        } else {
            asked_to_end().await
        }
    };
    tokio::select! {
        written = writing => written.context("writing events")?,
        outcome = drained => outcome,
    }
}

/// Returns at Ctrl-C, or when nobody reads any more.
async fn asked_to_end() -> Result<()> {
    tokio::select! {
        asked = shutdown::signal() => asked.context("listening for signals"),
        () = nobody_reads() => Ok(()),
    }
}

/// Waits for all, or for the first that fails.
async fn all(followers: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = followers.join_next().await {
        ended.context("a follower panicked")??;
    }
    Ok(())
}

/// Writes until the channel ends, or until nobody reads, which is no error. What is there is written before more is waited for.
fn write(mut events: Receiver<Wanted>, format: Format, types: &EventTypes) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut writing = || {
        if matches!(format, Format::Table) {
            writeln!(out, "{}", line::TABLE_HEADER)?;
        }
        out.flush()?;
        while let Some((service, event)) = events.blocking_recv() {
            let line = match format {
                Format::Jsonl => event_json::json(service.as_str(), &event, types)?,
                Format::Table => line::table(service, &event),
            };
            writeln!(out, "{line}")?;
            if events.is_empty() {
                out.flush()?;
            }
        }
        out.flush()
    };
    match writing() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("writing to the standard output"),
    }
}

/// Returns once the standard output is a pipe that nobody reads from: without an event to write it would not be found out.
async fn nobody_reads() {
    let mut tick = interval(LOOK_AGAIN);
    loop {
        tick.tick().await;
        let output = io::stdout();
        let mut asked = [PollFd::new(&output, PollFlags::empty())];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // Where it cannot be asked, the next write finds out.
        if poll(&mut asked, Some(&at_once)).is_ok_and(|ready| ready > 0)
            && asked[0].revents().contains(PollFlags::ERR)
        {
            return;
        }
    }
}
