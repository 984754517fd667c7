//! kill -9 of any one process in the middle of an import.

mod expected;
mod pass;
mod segment;

use std::time::Duration;

use anyhow::{Context, ensure};
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt;

use super::World;
use crate::demo::client::Clients;
use crate::demo::history::History;
use crate::demo::logs::Logs;
use crate::demo::service::Service;
use crate::demo::{evaluate, import, streams};
use expected::{Customer, Expected};
use pass::Ledger;
use segment::Gated;

/// Customers that are killed for: one part of them for each victim.
const CUSTOMERS_PER_VICTIM: usize = 67;
/// For each wait of the scenario. On an idle machine the longest takes a few seconds.
const LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Service(Service),
    Nats,
    Postgres,
}

impl Victim {
    const ALL: [Self; 6] = [
        Self::Service(Service::Customers),
        Self::Service(Service::Interactions),
        Self::Service(Service::Segmentation),
        Self::Service(Service::Campaigns),
        Self::Nats,
        Self::Postgres,
    ];

    /// Whether an import needs it. Without the others it goes on.
    fn is_needed(self) -> bool {
        match self {
            Self::Service(Service::Customers | Service::Interactions) | Self::Postgres => true,
            Self::Service(Service::Segmentation | Service::Campaigns) | Self::Nats => false,
        }
    }
}

impl World {
    fn kill(&mut self, victim: Victim) -> anyhow::Result<()> {
        match victim {
            Victim::Service(service) => self.stack.kill(service),
            Victim::Nats => Ok(self.servers.nats.kill()?),
            Victim::Postgres => Ok(self.servers.postgres.kill()?),
        }
    }

    async fn restart(&mut self, victim: Victim) -> anyhow::Result<()> {
        match victim {
            Victim::Service(service) => self.stack.restart(service).await,
            Victim::Nats => Ok(self.servers.nats.restart()?),
            Victim::Postgres => Ok(self.servers.postgres.restart()?),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_any_process_in_the_middle_of_an_import_loses_nothing_and_doubles_nothing()
-> anyhow::Result<()> {
    let parts = expected::parts(&History::read()?, Victim::ALL.len(), CUSTOMERS_PER_VICTIM);
    let mut world = World::start("crash").await?;
    let gated = segment::define(&world.clients).await?;
    let logs = Logs::new(world.stack.databases.clone());
    let mut imported = Vec::new();
    let mut ledger = Ledger::new();
    for (victim, part) in Victim::ALL.into_iter().zip(&parts) {
        let acknowledged = import_with_a_kill(&mut world, victim, part)
            .await
            .with_context(|| format!("while {victim:?} was the victim"))?;
        ledger.extend(acknowledged);
        imported.extend(part.iter().cloned());
        check(&world, &logs, &Expected::of(&imported), &gated, &ledger)
            .await
            .with_context(|| format!("after {victim:?} had been killed"))?;
    }
    check_repeat(&world, &logs, &imported, &ledger).await?;
    segment::check_campaign(&world.clients, &gated, &Expected::of(&imported)).await?;
    logs.wait_until_read(LIMIT).await?;
    check_streams(&world, &Expected::of(&imported)).await?;
    check_with_doctor(&world).await?;
    world.stack.all_run()
}

/// `vefa doctor` finds nothing, and does find what is broken then.
async fn check_with_doctor(world: &World) -> anyhow::Result<()> {
    let (healthy, said) = world.stack.doctor()?;
    assert!(healthy, "{said}");
    assert_eq!(said.lines().count(), 4 * 11, "{said}");
    let mut connection = PgConnection::connect(&world.stack.databases.customers).await?;
    sqlx::query("update event set event_id = gen_random_uuid() where (partition, position) in (
            select partition, position from log_head where position > 0 order by partition limit 1)")
        .execute(&mut connection)
        .await?;
    let (healthy, said) = world.stack.doctor()?;
    assert!(!healthy, "{said}");
    let failed: Vec<&str> = said
        .lines()
        .filter(|line| line.ends_with("FAILED"))
        .collect();
    assert_eq!(failed.len(), 1, "{said}");
    assert!(
        failed[0].contains("the stream is a copy of the log"),
        "{said}"
    );
    Ok(())
}

/// Imports a part, kills in the middle, restarts, and imports it again until all of it is acknowledged.
async fn import_with_a_kill(
    world: &mut World,
    victim: Victim,
    part: &[Customer],
) -> anyhow::Result<Ledger> {
    let clients = world.clients.clone();
    let first = pass::send(&clients, part, || world.kill(victim)).await?;
    pass::none_refused(&first)?;
    if victim.is_needed() {
        ensure!(
            !pass::is_complete(&first, part),
            "all was acknowledged, so the kill came too late"
        );
    } else {
        // The restart comes when all is in without the victim.
        pass::send_until_complete(&clients, part, &first, LIMIT).await?;
    }
    if victim == Victim::Postgres {
        check_that_commands_are_shed(&clients, part).await;
    }
    if victim == Victim::Postgres || victim == Victim::Nats {
        // What they stand on is gone, and they wait for it.
        world.stack.all_run()?;
    }
    world.restart(victim).await?;
    pass::send_until_complete(&clients, part, &first, LIMIT).await
}

/// Without its database a service says so at once, rather than let everyone wait for their deadlines.
async fn check_that_commands_are_shed(clients: &Clients, part: &[Customer]) {
    let Customer { id, first_day, .. } = &part[0];
    let registration = import::registration(id, *first_day);
    let mut customers = clients.customers.clone();
    let answer = customers.register_customer(registration).await;
    let status = answer.expect_err("there is no database");
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    assert_eq!(
        (status.code(), reason),
        (Code::Unavailable, Some("LOG_UNAVAILABLE")),
        "{status:?}"
    );
    assert!(details.retry_info().is_some(), "{status:?}");
}

/// All that was imported so far is there once, and everyone who reads it has read it once.
async fn check(
    world: &World,
    logs: &Logs,
    expected: &Expected,
    gated: &Gated,
    ledger: &Ledger,
) -> anyhow::Result<()> {
    logs.wait_until_read(LIMIT).await?;
    assert_eq!(logs.event_counts().await?, expected.event_counts());
    let customer_ids = pass::customer_ids(ledger);
    assert_eq!(logs.purchases().await?, expected.purchases(&customer_ids)?);
    let listed = import::count_customers(&world.clients).await?;
    assert_eq!(listed, expected.customers.len() as u64);
    let token = world.clients.facts_token().await?;
    let values = evaluate::values_now(&world.clients, token, &customer_ids).await?;
    assert_eq!(
        expected::measured(values),
        expected.measures(&customer_ids)?
    );
    let members = segment::members(&world.clients, gated).await?;
    assert_eq!(members, expected.members(&customer_ids)?);
    Ok(())
}

/// Everything once more: every answer is that of the first time, and no log has a new event.
async fn check_repeat(
    world: &World,
    logs: &Logs,
    imported: &[Customer],
    ledger: &Ledger,
) -> anyhow::Result<()> {
    let before = logs.event_counts().await?;
    pass::send_until_complete(&world.clients, imported, ledger, LIMIT).await?;
    logs.wait_until_read(LIMIT).await?;
    assert_eq!(logs.event_counts().await?, before);
    Ok(())
}

/// Each stream is its log: the same events in the same order.
async fn check_streams(world: &World, expected: &Expected) -> anyhow::Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let (compared, published) =
            streams::compare(&world.servers, &world.stack, &world.clients).await?;
        let behind = compared
            .iter()
            .any(|(_, one)| one.counts.jetstream < one.counts.postgres);
        if behind && Instant::now() < deadline {
            continue;
        }
        for (service, one) in compared.iter() {
            assert_eq!(one.difference, None, "{service:?}");
            assert_eq!(one.counts.jetstream, one.counts.postgres, "{service:?}");
            assert_eq!(one.heads, one.counts.postgres, "{service:?}");
        }
        let rows = || {
            expected
                .customers
                .iter()
                .flat_map(|customer| &customer.rows)
        };
        assert_eq!(published.purchases, rows().count() as u64);
        assert_eq!(
            published.revenue_minor,
            rows().map(|row| row.amount_minor).sum::<i64>()
        );
        return Ok(());
    }
}
