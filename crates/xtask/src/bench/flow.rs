//! What follows from a command: its event at a subscriber of the stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt as _;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::commands::{known, register, requests};
use super::load::{Measured, open};
use super::report::{Line, Report, ms};
use super::stage::{Load, Stage};
use crate::demo::service::Service;

/// Commands begun in a second.
const PER_SECOND: u64 = 1_000;
/// How long an event may be under way before the measurement is given up.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);

/// When the event of each stream came to the subscriber.
#[derive(Default)]
struct Arrivals {
    by_stream: Mutex<HashMap<String, Instant>>,
    changed: Notify,
}

impl Arrivals {
    fn add(&self, stream: &str) {
        self.by_stream
            .lock()
            .expect("no holder of the lock panics")
            .insert(stream.to_owned(), Instant::now());
        self.changed.notify_waiters();
    }

    async fn of(&self, stream: &str) -> anyhow::Result<Instant> {
        let limit = Instant::now() + ARRIVAL_LIMIT;
        loop {
            // Registered before looking, so that no arrival in between is missed.
            let changed = self.changed.notified();
            let arrived = self
                .by_stream
                .lock()
                .expect("no holder of the lock panics")
                .remove(stream);
            if let Some(arrived) = arrived {
                return Ok(arrived);
            }
            if tokio::time::timeout_at(limit, changed).await.is_err() {
                bail!("the event of {stream} did not come within {ARRIVAL_LIMIT:?}");
            }
        }
    }
}

/// `end_to_end`: from the moment at which a purchase was to be sent until a NATS subscriber has its event. That is longer than from the
/// acknowledgement on, by the command itself.
pub(super) fn measure(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut stack = stage.block_on(stage.start(&[Service::Customers, Service::Interactions]))?;
    let measured = stage.block_on(async {
        let load = Load::new(&stack)?;
        let customers = register(&load).await?;
        known(&load, &customers).await?;
        end_to_end(stage, &load, &customers).await
    })?;
    stack.all_run()?;
    let p99 = ms(&measured.latencies, 0.99);
    report.add(Line::rate("end_to_end load", &measured));
    report.add(Line::new("end_to_end p99", p99, "ms").with_goal(p99 <= 20.0, "<= 20 ms at 1000/s"));
    Ok(())
}

async fn end_to_end(
    stage: &Stage<'_>,
    load: &Load,
    customers: &Arc<Vec<String>>,
) -> anyhow::Result<Measured> {
    let client = async_nats::connect(stage.servers.nats.url())
        .await
        .context("connecting to NATS")?;
    let mut messages = client
        .subscribe("vefa.*.interactions.>")
        .await
        .context("subscribing")?;
    client.flush().await.context("subscribing")?;
    let arrivals = Arc::new(Arrivals::default());
    let mut subscriber = JoinSet::new();
    let seen = Arc::clone(&arrivals);
    subscriber.spawn(async move {
        while let Some(message) = messages.next().await {
            let headers = message.headers.unwrap_or_default();
            if let Some(stream) = headers.get("Vefa-Stream") {
                seen.add(stream.as_str());
            }
        }
    });
    let (load, customers, run) = (load.clone(), Arc::clone(customers), requests::fresh_run());
    open(
        PER_SECOND,
        Duration::from_secs(stage.seconds()),
        move |number| {
            let mut client = load.interactions(usize::try_from(number).unwrap_or_default());
            let request = requests::purchase(&run, &customers, number);
            let arrivals = Arc::clone(&arrivals);
            async move {
                let answer = client.record_purchase(request).await;
                let purchase = answer.context("RecordPurchase")?.into_inner().purchase_id;
                arrivals.of(&purchase).await
            }
        },
    )
    .await
}
