//! Processes that die at the worst of moments, stand still, lose their clients, or find their database restored.

use std::time::Duration;

use anyhow::ensure;
use contracts::interactions::v1::PurchaseKind;
use futures::future::join_all;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use testing::eventually;
use tokio::time::timeout;

use super::play::{LIMIT, Play, is_yes};
use crate::demo::client::Clients;
use crate::demo::logs::Logs;
use crate::demo::service::Service;
use crate::torture::command::Command;
use crate::torture::ledger::{Answer, Expect, Logged};
use crate::torture::requests;

/// Clients that go away, one after the other within this time.
const IMPATIENT: u64 = 120;
const IMPATIENCE_MS_MAX: u64 = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_dies_whenever_loses_nothing_and_doubles_nothing() -> anyhow::Result<()> {
    let mut play = Play::start("faults").await?;
    between_insert_and_commit(&mut play).await?;
    after_commit_before_reply(&mut play).await?;
    around_publishing(&mut play).await?;
    before_a_reader_commits(&mut play).await?;
    play.check("after processes have died").await?;
    past_its_lease(&mut play).await?;
    play.check("after an owner has stood still").await?;
    clients_go_away(&mut play).await?;
    play.check("after clients have gone away").await?;
    restored(&mut play).await
}

async fn between_insert_and_commit(play: &mut Play) -> anyhow::Result<()> {
    // One writer, which has just met a conflict: so the next append is a transaction of several steps.
    let settings = [
        ("VEFA__LOG__WRITERS", "1"),
        ("FAILPOINTS", "writer-before-commit=return"),
    ];
    play.restart_with(Service::Customers, &settings).await?;
    let first = play.registration();
    let (mark, answer) = play.send(first.clone()).await;
    assert!(is_yes(&answer), "{answer:?}");
    assert_eq!(play.repeat(&mark, first).await, answer);
    let second = play.registration();
    let (mark, answer) = play.send(second.clone()).await;
    assert!(answer.is_open(), "{answer:?}");
    play.wait_dead(Service::Customers)?;
    assert_eq!(play.logged(Service::Customers, &mark).await?, [""; 0]);
    play.restart_with(Service::Customers, &[]).await?;
    let answer = play.repeat(&mark, second).await;
    assert!(is_yes(&answer), "{answer:?}");
    Ok(())
}

async fn after_commit_before_reply(play: &mut Play) -> anyhow::Result<()> {
    let customer = play.customer().await?;
    let n = play.next();
    let purchase = requests::purchase(
        n,
        &format!("c-{n}"),
        customer.clone(),
        PurchaseKind::Purchase,
    );
    let consent = requests::consent(n, &format!("consent-{n}"), customer);
    let registration = play.registration();
    for command in [registration, consent, purchase] {
        let service = command.service();
        let settings = [("FAILPOINTS", "writer-after-commit=return")];
        play.restart_with(service, &settings).await?;
        let (mark, answer) = play.send(command.clone()).await;
        assert!(answer.is_open(), "{answer:?}");
        play.wait_dead(service)?;
        assert_eq!(play.logged(service, &mark).await?, command.events());
        play.restart_with(service, &[]).await?;
        let answer = play.repeat(&mark, command.clone()).await;
        assert!(is_yes(&answer), "{answer:?}");
        assert_eq!(play.repeat(&mark, command.clone()).await, answer);
        assert_eq!(play.logged(service, &mark).await?, command.events());
    }
    Ok(())
}

async fn around_publishing(play: &mut Play) -> anyhow::Result<()> {
    for point in ["relay-before-publish", "relay-after-publish"] {
        play.die_at(Service::Customers, point).await?;
    }
    Ok(())
}

async fn before_a_reader_commits(play: &mut Play) -> anyhow::Result<()> {
    play.die_at(Service::Customers, "projection-before-commit")
        .await?;
    for follower in [
        Service::Interactions,
        Service::Segmentation,
        Service::Campaigns,
    ] {
        play.die_at(follower, "projection-before-commit").await?;
    }
    Ok(())
}

/// The owner of all leases stands still for longer than they last: another process takes over, and the first one, going on, does no harm.
async fn past_its_lease(play: &mut Play) -> anyhow::Result<()> {
    let first = play.ground.stack.first(Service::Customers)?;
    let second = play.ground.stack.add_replica(Service::Customers)?;
    play.ground.stack.ready().await?;
    let held = play.ground.stack.hold_still(first)?;
    play.address(second)?;
    for _ in 0..20 {
        let command = play.registration();
        let (_, answer) = play.send(command).await;
        assert!(is_yes(&answer), "{answer:?}");
    }
    // Its read model, and through its stream those of others.
    Logs::new(play.ground.stack.databases.clone())
        .wait_until_read(LIMIT)
        .await?;
    drop(held);
    play.address(first)?;
    for _ in 0..20 {
        let command = play.registration();
        let (_, answer) = play.send(command).await;
        assert!(is_yes(&answer), "{answer:?}");
    }
    Ok(())
}

/// Clients that close their connection at any moment leave the whole command or nothing, and nobody in a transaction.
async fn clients_go_away(play: &mut Play) -> anyhow::Result<()> {
    let mut sent = Vec::new();
    for _ in 0..IMPATIENT {
        let command = play.registration();
        let mark = play.enter(&command, Expect::Yes);
        sent.push((mark, command));
    }
    let stack = &play.ground.stack;
    let alone = (0..).zip(&sent).map(async |(number, (mark, command))| {
        let patience = Duration::from_millis(number % IMPATIENCE_MS_MAX);
        let mut clients = Clients::new(stack)?;
        let sending = command.clone().send(&mut clients, mark, LIMIT);
        let answer = timeout(patience, sending).await;
        anyhow::Ok(answer.ok().map(Answer::of))
    });
    let mut unanswered = 0;
    for ((mark, _), answer) in sent.iter().zip(join_all(alone).await) {
        match answer? {
            Some(answer) => play.ledger.note(mark, &answer),
            None => unanswered += 1,
        }
    }
    ensure!(unanswered > 0, "everyone was answered in time");
    eventually(LIMIT, "no transaction stands idle", || async {
        no_transaction_idle(&play.ground.stack.databases.customers)
            .await
            .ok()?
            .then_some(())
    })
    .await;
    play.check("before those who went away ask again").await?;
    for (mark, command) in sent {
        let answer = play.repeat(&mark, command).await;
        assert!(is_yes(&answer), "{answer:?}");
    }
    Ok(())
}

async fn no_transaction_idle(database: &str) -> anyhow::Result<bool> {
    let mut connection = PgConnection::connect(database).await?;
    let idle: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
            and state like 'idle in transaction%' and state_change < clock_timestamp() - interval '300 milliseconds'",
    )
    .fetch_one(&mut connection)
    .await?;
    Ok(idle == 0)
}

/// The database of customers is restored to an earlier point while its stream is ahead, and the process that finds out dies before it has
/// mended the stream.
async fn restored(play: &mut Play) -> anyhow::Result<()> {
    let mut administrator =
        PgConnection::connect(&play.ground.servers.postgres.url("postgres")).await?;
    play.kill_all(Service::Customers)?;
    execute(
        &mut administrator,
        "create database vefa_backup template vefa_customers",
    )
    .await?;
    play.restart_with(Service::Customers, &[]).await?;
    let lost: Vec<Command> = (0..5).map(|_| play.registration()).collect();
    let mut marks = Vec::new();
    for command in &lost {
        let (mark, answer) = play.send(command.clone()).await;
        assert!(is_yes(&answer), "{answer:?}");
        marks.push(mark);
    }
    play.check("before the restore").await?;
    play.kill_all(Service::Customers)?;
    execute(
        &mut administrator,
        "drop database vefa_customers with (force)",
    )
    .await?;
    execute(
        &mut administrator,
        "alter database vefa_backup rename to vefa_customers",
    )
    .await?;
    let settings = [("FAILPOINTS", "epoch-raised=return")];
    play.start_with(Service::Customers, &settings)?;
    play.wait_dead(Service::Customers)?;
    assert_eq!(epoch(play).await?, 2);
    play.restart_with(Service::Customers, &[]).await?;
    // What the restore took back is known to be lost, and is sent again under marks of its own.
    for mark in &marks {
        play.ledger.forget(mark);
    }
    for command in lost {
        let (_, answer) = play.send(command).await;
        assert!(is_yes(&answer), "{answer:?}");
    }
    play.wait_until_read().await?;
    assert_eq!(epoch(play).await?, 2, "raised once");
    let logged = Logged::read(&play.ground.stack.databases).await?;
    assert_eq!(play.ledger.check(&logged), [""; 0]);
    let (healthy, said) = play.ground.stack.doctor()?;
    assert!(!healthy, "{said}");
    for line in said.lines().filter(|line| line.ends_with("FAILED")) {
        let claim = "no follower has applied what its source no longer has";
        assert!(line.contains(claim), "{said}");
    }
    Ok(())
}

async fn execute(connection: &mut PgConnection, statement: &'static str) -> anyhow::Result<()> {
    connection.execute(AssertSqlSafe(statement)).await?;
    Ok(())
}

async fn epoch(play: &Play) -> anyhow::Result<i32> {
    let mut connection = PgConnection::connect(&play.ground.stack.databases.customers).await?;
    let epoch = sqlx::query_scalar("select epoch from log_epoch");
    Ok(epoch.fetch_one(&mut connection).await?)
}
