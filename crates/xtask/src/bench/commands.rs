//! Commands over gRPC, each with its token, its idempotency, its decision and its append.

pub(super) mod requests;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use contracts::interactions::v1::{ImportOutcome, ImportPurchasesRequest};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::backlog::{Backlog, RELAY, TIMELINE};
use super::limits;
use super::load::{Measured, closed};
use super::report::{Line, Report, ms};
use super::stage::{Load, Stage};
use crate::demo::service::Service;

/// Customers among whom purchases are spread.
const CUSTOMERS: u64 = 2_000;

/// `command_create`, `command_append`, `command_hot`, `import_stream`.
pub(super) fn measure(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    let before = limits::single_insert(stage)?;
    let mut stack = stage.block_on(stage.start(&[Service::Customers, Service::Interactions]))?;
    let load = stage.block_on(async { Load::new(&stack) })?;
    let seconds = Duration::from_secs(stage.seconds());

    let customers = stage.block_on(register(&load))?;
    let created = stage.block_on(create(&load, seconds))?;
    let hot_stream = stage.block_on(consents(&load, &customers, seconds));
    stage.block_on(settled(&load, &[Service::Customers]))?;
    stage.block_on(known(&load, &customers))?;
    // Only the service that is measured runs from here on.
    stack.stop(Service::Customers)?;
    let narrow = stage.block_on(append(&load, &customers, 64, seconds))?;
    let wide = stage.block_on(append(&load, &customers, 256, seconds))?;
    let one = Arc::new(vec![customers[0].clone()]);
    let hot = stage.block_on(append(&load, &one, 64, seconds))?;
    let imported = stage.block_on(import(&load, &customers, seconds))?;
    stage.block_on(settled(&load, &[Service::Interactions]))?;
    stack.all_run()?;
    drop(stack);
    let after = limits::single_insert(stage)?;
    let unnest = stage.block_on(limits::unnest_insert(stage))?;

    // The machine may have changed its mind meanwhile; the mean of before and after is what stood beside the measurements.
    let single = f64::midpoint(before, after);
    report.add(Line::new("limit: pgbench single insert", single, "/s"));
    report.add(Line::new("limit: unnest insert x1000", unnest, "rows/s"));
    let p99_met = ms(&narrow.latencies, 0.99) <= 10.0;
    report.add(Line::rate("command_append 64", &narrow).against(single, 1.0, "ratio >= 1.0"));
    report.add(
        Line::new("command_append p99", ms(&narrow.latencies, 0.99), "ms")
            .with_goal(p99_met, "<= 10 ms at 64"),
    );
    report.add(Line::rate("command_append 256", &wide).against(single, 1.2, "ratio >= 1.2"));
    report.add(Line::rate("command_create", &created).against(single, 0.5, "ratio >= 0.5"));
    report.add(
        Line::rate("command_hot one customer", &hot)
            .with_goal(hot.per_second >= 3000.0, ">= 3000/s"),
    );
    // An error counts as not one command: contention alone must not show.
    report.add(match &hot_stream {
        Ok(hot) => Line::rate("command_hot one stream", hot)
            .with_goal(hot.per_second >= 3000.0, ">= 3000/s"),
        Err(error) => {
            println!("    command_hot one stream: {error:#}");
            Line::new("command_hot one stream", 0.0, "/s").with_goal(false, ">= 3000/s")
        }
    });
    report.add(Line::new("import_stream", imported, "rows/s").against(unnest, 0.6, "ratio >= 0.6"));
    Ok(())
}

/// Registers the customers that the load is about.
pub(super) async fn register(load: &Load) -> anyhow::Result<Arc<Vec<String>>> {
    let ids: Vec<String> = stream::iter(0..CUSTOMERS)
        .map(|n| {
            let mut client = load.customers(usize::try_from(n).unwrap_or_default());
            async move {
                let answer = client
                    .register_customer(requests::registration("base", n))
                    .await;
                anyhow::Ok(answer.context("registering")?.into_inner().customer_id)
            }
        })
        .buffer_unordered(64)
        .try_collect()
        .await?;
    Ok(Arc::new(ids))
}

async fn create(load: &Load, duration: Duration) -> anyhow::Result<Measured> {
    let load = load.clone();
    closed(64, duration, move |worker, n| {
        let mut client = load.customers(worker);
        async move {
            let request = requests::registration("create", n);
            client
                .register_customer(request)
                .await
                .context("RegisterCustomer")?;
            Ok(())
        }
    })
    .await
}

/// Consents of one customer: all of them append to one stream.
async fn consents(
    load: &Load,
    customers: &Arc<Vec<String>>,
    duration: Duration,
) -> anyhow::Result<Measured> {
    let (load, customer) = (load.clone(), customers[0].clone());
    closed(64, duration, move |worker, n| {
        let mut client = load.customers(worker);
        let request = requests::consent(&customer, n);
        async move {
            client
                .record_consent(request)
                .await
                .context("RecordConsent")?;
            Ok(())
        }
    })
    .await
}

async fn append(
    load: &Load,
    customers: &Arc<Vec<String>>,
    in_flight: usize,
    duration: Duration,
) -> anyhow::Result<Measured> {
    let (load, customers) = (load.clone(), Arc::clone(customers));
    let run = requests::fresh_run();
    closed(in_flight, duration, move |worker, n| {
        let mut client = load.interactions(worker);
        let request = requests::purchase(&run, &customers, n);
        async move {
            client
                .record_purchase(request)
                .await
                .context("RecordPurchase")?;
            Ok(())
        }
    })
    .await
}

/// Rows in a second over two import streams at once.
async fn import(
    load: &Load,
    customers: &Arc<Vec<String>>,
    duration: Duration,
) -> anyhow::Result<f64> {
    let start = Instant::now();
    let (one, two) = tokio::try_join!(
        import_until(load, 0, customers, start + duration),
        import_until(load, 1, customers, start + duration)
    )?;
    Ok((one + two) as f64 / start.elapsed().as_secs_f64())
}

async fn import_until(
    load: &Load,
    worker: usize,
    customers: &Arc<Vec<String>>,
    until: Instant,
) -> anyhow::Result<u64> {
    let (run, customers) = (requests::fresh_run(), Arc::clone(customers));
    let rows = stream::iter(0_u64..)
        .take_while(move |_| futures::future::ready(Instant::now() < until))
        .map(move |n| ImportPurchasesRequest {
            row: n,
            purchase: requests::purchase(&run, &customers, n).purchase,
        });
    let answers = load.interactions(worker).import_purchases(rows).await?;
    let mut answers = answers.into_inner();
    let mut recorded = 0;
    while let Some(answer) = answers.try_next().await? {
        ensure!(
            answer.outcome() == ImportOutcome::Recorded,
            "a row was not recorded: {}",
            answer.message
        );
        recorded += 1;
    }
    Ok(recorded)
}

/// Waits until interactions knows every customer: one purchase each.
pub(super) async fn known(load: &Load, customers: &Arc<Vec<String>>) -> anyhow::Result<()> {
    let run = requests::fresh_run();
    stream::iter(0..customers.len() as u64)
        .map(|n| {
            let mut client = load.interactions(usize::try_from(n).unwrap_or_default());
            let request = requests::purchase(&run, customers, n);
            async move { client.record_purchase(request).await.map(drop) }
        })
        .buffer_unordered(64)
        .try_collect::<()>()
        .await
        .context("a first purchase of each customer")
}

/// Readers of another service's log than their own, in the services that are measured here.
const FOLLOWERS: [&str; 2] = ["interactions.known_customers", "customers.purchases"];

/// Waits until the readers of these services have come up to their logs.
pub(super) async fn settled(load: &Load, services: &[Service]) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(300);
    for service in services {
        let clients = load.of(0);
        let wanted = clients.heads(*service).await?.events;
        while clients
            .progress(*service)
            .await?
            .iter()
            .filter(|(name, _)| {
                name.starts_with(service.name()) && !FOLLOWERS.contains(&name.as_str())
            })
            .any(|(_, applied)| *applied < wanted)
        {
            if Instant::now() > until {
                bail!("{} does not come up to its log", service.name());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// `growth`: the same load on ever longer logs, which grow by copies of what was recorded through the API. The relay and the timeline stand
/// aside, since they would be busy with the copies.
pub(super) fn measure_growth(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    let mut stack = stage.block_on(stage.start(&[Service::Customers, Service::Interactions]))?;
    let load = stage.block_on(async { Load::new(&stack) })?;
    let seconds = Duration::from_secs(stage.seconds());
    let customers = stage.block_on(register(&load))?;
    stage.block_on(known(&load, &customers))?;
    stack.stop(Service::Customers)?;
    let mut backlog = stage.block_on(Backlog::of(&stack))?;
    let mut rates = Vec::new();
    for events in [100_000, 1_000_000, 10_000_000_u64] {
        if events > stage.options.growth_events_max {
            break;
        }
        stack.stop(Service::Interactions)?;
        stage.block_on(async {
            backlog.grow(events).await?;
            backlog.hold(&[RELAY, TIMELINE]).await
        })?;
        stack.start_one(Service::Interactions)?;
        stage.block_on(stack.ready())?;
        let measured = stage.block_on(append(&load, &customers, 64, seconds))?;
        report.add(Line::rate(
            format!("command_append at {events} events"),
            &measured,
        ));
        rates.push(measured.per_second);
    }
    if let (Some(first), Some(last), true) = (rates.first(), rates.last(), rates.len() > 1) {
        report.add(Line::new("growth", *last, "/s").against(*first, 0.9, "last / first >= 0.9"));
    }
    Ok(())
}
