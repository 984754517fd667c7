//! How fast a long log goes where its events are to be: into a read model that is made anew, and into a stream of NATS.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::backlog::{Backlog, RELAY, TIMELINE};
use super::commands::{known, register, requests};
use super::limits::{self, Template};
use super::report::{Line, Report};
use super::stage::{Load, Stage};
use crate::demo::service::Service;
use crate::demo::stack::Stack;

/// Purchases through the API, of which the backlog is made of copies.
const ORIGINALS: u64 = 20_000;
/// How often it is looked how far they have come.
const POLL: Duration = Duration::from_millis(20);
const LIMIT: Duration = Duration::from_secs(600);

/// `projection_rebuild` and `relay`, each of them alone on the machine.
pub(super) fn measure(
    stage: &Stage<'_>,
    report: &mut Report,
    rebuild: bool,
    relay: bool,
) -> anyhow::Result<()> {
    let mut stack = stage.block_on(stage.start(&[Service::Customers, Service::Interactions]))?;
    let mut backlog = stage.block_on(Backlog::of(&stack))?;
    stage.block_on(record(&stack))?;
    stack.stop(Service::Customers)?;
    stack.stop(Service::Interactions)?;
    stage.block_on(backlog.grow(stage.options.backlog_events))?;
    if rebuild {
        measure_rebuild(stage, &mut stack, &mut backlog, report)?;
    }
    if relay {
        measure_relay(stage, &mut stack, &mut backlog, report)?;
    }
    Ok(())
}

async fn record(stack: &Stack) -> anyhow::Result<()> {
    let load = Load::new(stack)?;
    let customers = register(&load).await?;
    known(&load, &customers).await?;
    let run = requests::fresh_run();
    stream::iter(0..ORIGINALS)
        .map(|n| {
            let mut client = load.interactions(usize::try_from(n).unwrap_or_default());
            let request = requests::purchase(&run, &customers, n);
            async move { client.record_purchase(request).await.map(drop) }
        })
        .buffer_unordered(64)
        .try_collect::<()>()
        .await
        .context("recording what the backlog is made of")
}

fn measure_rebuild(
    stage: &Stage<'_>,
    stack: &mut Stack,
    backlog: &mut Backlog,
    report: &mut Report,
) -> anyhow::Result<()> {
    let before = stage.block_on(limits::upserts(stage))?;
    stage.block_on(async {
        backlog.hold(&[RELAY]).await?;
        backlog.forget_timeline().await?;
        backlog.rest().await
    })?;
    stack.start_one(Service::Interactions)?;
    let rate = stage.block_on(async {
        let events = backlog.events().await?;
        let mut meter = Meter::new(events);
        while meter.goes_on(backlog.timeline_applied().await?)? {
            stack.all_run()?;
            tokio::time::sleep(POLL).await;
        }
        let rows = backlog.timeline_rows().await?;
        ensure!(rows == events, "{events} events have made {rows} rows");
        anyhow::Ok(meter.rate())
    })?;
    stack.stop(Service::Interactions)?;
    let after = stage.block_on(limits::upserts(stage))?;
    stage.block_on(backlog.release(&[RELAY]))?;
    let limit = f64::midpoint(before, after);
    report.add(Line::new(
        "limit: row upserts 1000 a commit",
        limit,
        "rows/s",
    ));
    report.add(Line::new("projection_rebuild", rate, "events/s").against(
        limit,
        1.0,
        "ratio >= 1.0",
    ));
    Ok(())
}

fn measure_relay(
    stage: &Stage<'_>,
    stack: &mut Stack,
    backlog: &mut Backlog,
    report: &mut Report,
) -> anyhow::Result<()> {
    let jetstream = stage.block_on(async {
        backlog.hold(&[TIMELINE]).await?;
        backlog.rest().await?;
        let client = async_nats::connect(stage.servers.nats.url()).await?;
        anyhow::Ok(async_nats::jetstream::new(client))
    })?;
    let template = stage.block_on(async {
        Template::last_of(&jetstream.get_stream("INTERACTIONS").await?).await
    })?;
    let before = stage.block_on(limits::atomic_batches(stage, &template))?;
    stack.start_one(Service::Interactions)?;
    let rate = stage.block_on(async {
        let events = backlog.events().await?;
        let mut stream = jetstream.get_stream("INTERACTIONS").await?;
        let mut meter = Meter::new(events);
        while meter.goes_on(stream.info().await?.state.messages)? {
            stack.all_run()?;
            tokio::time::sleep(POLL).await;
        }
        anyhow::Ok(meter.rate())
    })?;
    stack.stop(Service::Interactions)?;
    let after = stage.block_on(limits::atomic_batches(stage, &template))?;
    stage.block_on(backlog.release(&[TIMELINE]))?;
    let limit = f64::midpoint(before, after);
    report.add(Line::new(
        "limit: JetStream atomic batches x1000",
        limit,
        "messages/s",
    ));
    report.add(Line::new("relay", rate, "events/s").against(limit, 0.8, "ratio >= 0.8"));
    Ok(())
}

/// From when something is seen to move until all is done.
struct Meter {
    wanted: u64,
    started: Instant,
    seen_first: Option<u64>,
    moving_since: Option<(u64, Instant)>,
    ended: Option<Instant>,
}

impl Meter {
    fn new(wanted: u64) -> Self {
        Self {
            wanted,
            started: Instant::now(),
            seen_first: None,
            moving_since: None,
            ended: None,
        }
    }

    /// Takes note of how many are done; tells whether there are more to come.
    fn goes_on(&mut self, done: u64) -> anyhow::Result<bool> {
        let now = Instant::now();
        let first = *self.seen_first.get_or_insert(done);
        if self.moving_since.is_none() && done != first {
            self.moving_since = Some((done, now));
        }
        if done >= self.wanted {
            self.ended = Some(now);
            return Ok(false);
        }
        if now - self.started > LIMIT {
            bail!("{done} of {} after {LIMIT:?}", self.wanted);
        }
        Ok(true)
    }

    fn rate(&self) -> f64 {
        let (Some((done, since)), Some(ended)) = (self.moving_since, self.ended) else {
            return 0.0;
        };
        self.wanted.saturating_sub(done) as f64 / (ended - since).as_secs_f64()
    }
}
