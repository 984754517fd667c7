//! What follows from a command: its event at a subscriber of the stream, and the segments that it lets a customer enter.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use contracts::segmentation::v1::DefineSegmentRequest;

use super::arrivals::Arrivals;
use super::commands::{known, register, requests};
use super::load::{Measured, open};
use super::report::{Line, Report, ms};
use super::stage::{Load, Stage};
use crate::demo::service::Service;

/// Commands begun in a second.
const PER_SECOND: u64 = 1_000;
/// Not counted: connections are made, statements are prepared.
const WARM_UP: Duration = Duration::from_secs(2);
/// Segments in all, and those of them that are about how many purchases somebody has: each purchase lets its customer enter one of these.
const SEGMENTS: u64 = 100;
const STEPS: u64 = 40;

/// `end_to_end`: from the moment at which a purchase was to be sent until a NATS subscriber has its event. That is longer than from the
/// acknowledgement on, by the command itself.
pub(super) fn measure_end_to_end(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut stack = stage.block_on(stage.start(&[Service::Customers, Service::Interactions]))?;
    let measured = stage.block_on(async {
        let load = Load::new(&stack)?;
        let customers = register(&load).await?;
        known(&load, &customers).await?;
        let arrivals = Arrivals::at(
            &stage.servers.nats.url(),
            "vefa.*.interactions.*.PurchaseRecorded",
        )
        .await?;
        under_load(stage, &load, &customers, arrivals, Of::Purchase).await
    })?;
    stack.all_run()?;
    add(
        report,
        "end_to_end",
        &measured,
        20.0,
        "p99 <= 20 ms at 1000/s",
    );
    Ok(())
}

/// `reaction`: from the moment at which a purchase was to be sent until a NATS subscriber has the `SegmentEntered` that it led to.
pub(super) fn measure_reaction(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    let services = [
        Service::Customers,
        Service::Interactions,
        Service::Segmentation,
    ];
    let mut stack = stage.block_on(stage.start(&services))?;
    let measured = stage.block_on(async {
        let load = Load::new(&stack)?;
        let customers = register(&load).await?;
        known(&load, &customers).await?;
        define_segments(&load).await?;
        let purchases = PER_SECOND * (stage.seconds() + WARM_UP.as_secs());
        ensure!(
            2 + purchases / customers.len() as u64 <= STEPS,
            "there are too few segments for so long a load"
        );
        let arrivals = Arrivals::at(
            &stage.servers.nats.url(),
            "vefa.*.segmentation.*.SegmentEntered",
        )
        .await?;
        under_load(stage, &load, &customers, arrivals, Of::Customer).await
    })?;
    stack.all_run()?;
    add(
        report,
        "reaction",
        &measured,
        100.0,
        "p99 <= 100 ms at 1000/s",
    );
    Ok(())
}

fn add(
    report: &mut Report,
    name: &'static str,
    measured: &Measured,
    p99_ms_max: f64,
    goal: &'static str,
) {
    let p99 = ms(&measured.latencies, 0.99);
    println!(
        "    {name}: at {:.0}/s p50 {:.1} ms",
        measured.per_second,
        ms(&measured.latencies, 0.5)
    );
    let line = Line::new(name, p99, "ms").with_latencies(&measured.latencies);
    report.add(line.with_goal(p99 <= p99_ms_max, goal));
}

/// On whose stream is what follows from a purchase.
#[derive(Clone, Copy)]
enum Of {
    Purchase,
    Customer,
}

/// Purchases in an open loop, each until what follows from it has come.
async fn under_load(
    stage: &Stage<'_>,
    load: &Load,
    customers: &Arc<Vec<String>>,
    arrivals: Arrivals,
    of: Of,
) -> anyhow::Result<Measured> {
    let (load, customers, run) = (load.clone(), Arc::clone(customers), requests::fresh_run());
    let arrivals = Arc::new(arrivals);
    let warm_up = PER_SECOND * WARM_UP.as_secs();
    let call = move |number| {
        let mut client = load.interactions(usize::try_from(number).unwrap_or_default());
        let request = requests::purchase(&run, &customers, number);
        let arrivals = Arc::clone(&arrivals);
        async move {
            let customer = request.purchase.as_ref().map(|p| p.customer_id.clone());
            let answer = client.record_purchase(request).await;
            let purchase = answer.context("RecordPurchase")?.into_inner().purchase_id;
            let stream = match of {
                Of::Purchase => purchase,
                Of::Customer => customer.unwrap_or_default(),
            };
            arrivals.next_of(&stream).await
        }
    };
    let call = Arc::new(call);
    let first = Arc::clone(&call);
    open(PER_SECOND, WARM_UP, move |number| first(number)).await?;
    let duration = Duration::from_secs(stage.seconds());
    open(PER_SECOND, duration, move |number| call(warm_up + number)).await
}

/// Segments of all sorts. Whoever makes a purchase enters exactly one of them, the next of the steps.
async fn define_segments(load: &Load) -> anyhow::Result<()> {
    for n in 1..=SEGMENTS {
        let sort = n.saturating_sub(STEPS);
        let rule = match sort % 6 {
            _ if n <= STEPS => format!("purchases.count() >= {n}"),
            1 => format!(
                "purchases.within(\"{}d\").sum_minor() > 100000000",
                30 + sort
            ),
            2 => format!("measures.recency_days > {}", 1000 + sort),
            3 => format!(
                "purchases.within(\"{}d\").count() == 0 && measures.frequency > 1000",
                30 + sort
            ),
            4 => format!("touchpoints.within(\"{}d\").count() > {sort}", 30 + sort),
            5 => format!("returns.within(\"{}d\").count() > {sort}", 30 + sort),
            _ => format!("customer.country == \"X{sort}\""),
        };
        let request = DefineSegmentRequest {
            request_id: format!("segment-{n}"),
            name: format!("bench-{n}"),
            rule,
        };
        let mut client = load.of(0).segmentation.clone();
        let answer = client.define_segment(request).await;
        answer.with_context(|| format!("defining segment {n}"))?;
    }
    Ok(())
}
