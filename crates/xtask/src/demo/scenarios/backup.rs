//! The drill: a backup, life that goes on, an erasure, and a restore to the earlier point, with and without the databases that knew of it.

mod drill;
mod traffic;
mod working;

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use contracts::customers::v1::RecordConsentRequest;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use testing::eventually;

use super::World;
use super::refusals::requests::{consent, purchase, record};
use crate::demo::service::Service;
use crate::demo::settle::settle;
use drill::{Drill, LIMIT, refusal};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_loses_nothing_of_the_backup_and_brings_nobody_back() -> anyhow::Result<()> {
    let world = World::start("backup").await?;
    let mut drill = Drill {
        clients: world.clients.clone(),
        world,
        files: tempfile::tempdir().context("a directory for backups")?,
    };
    let mut kept = Vec::new();
    for n in 0..6 {
        kept.push(drill.register(n).await?);
    }
    let erased = kept.remove(0);
    let gone_before = kept.remove(0);
    for id in [&erased, &kept[0]] {
        let given = RecordConsentRequest {
            request_id: format!("consent of {id}"),
            ..consent(id)
        };
        drill.clients.customers.record_consent(given).await?;
    }
    record(&drill.clients, purchase(1, &erased)).await?;
    record(&drill.clients, purchase(2, &kept[0])).await?;
    drill.erase(&gone_before).await?;
    drill.backup(&["--out", &drill.path("backup")])?;
    let again = drill.vefa(&["backup", "--out", &drill.path("backup")])?;
    ensure!(refusal(&again)?.contains("is there already"), "{again:?}");
    let lost = [drill.register(6).await?, drill.register(7).await?];
    drill.erase(&erased).await?;
    drill.backup(&["--erased", &drill.path("erased.jsonl")])?;
    refused_while_it_would_harm(&mut drill).await?;

    let said = drill.restore(&["--replace"]).await?;
    ensure!(
        said.contains(&erased) && !said.contains(&gone_before),
        "{said}"
    );
    drill.is_keyless(&erased).await?;
    for service in Service::ALL {
        drill.world.stack.start_one(service)?;
    }
    drill.world.stack.ready().await?;
    // Repeated, since the log does not know of it.
    drill.erase(&erased).await?;
    settle(&drill.clients).await?;
    eventually(LIMIT, "the doctor finds nothing", || async {
        let examined = drill.vefa(&["doctor", "--streams", "--rebuild"]).ok()?;
        examined.status.success().then_some(())
    })
    .await;
    drill.knows(&kept, &[&erased, &gone_before], &lost).await?;
    without_databases(&mut drill, &erased).await
}

/// While services run, onto databases with something in them, and from a backup that is not what it was.
async fn refused_while_it_would_harm(drill: &mut Drill) -> anyhow::Result<()> {
    let from = drill.path("backup");
    let restore = ["restore", "--from", &from, "--replace"];
    let running = drill.vefa(&restore)?;
    ensure!(
        refusal(&running)?.contains("stop the services"),
        "{running:?}"
    );
    for service in Service::ALL {
        drill.world.stack.stop(service)?;
    }
    let filled = drill.vefa(&restore[..3])?;
    ensure!(refusal(&filled)?.contains("it is not empty"), "{filled:?}");
    let dump = Path::new(&from).join("campaigns.dump");
    let whole = std::fs::read(&dump)?;
    let mut torn = whole.clone();
    *torn.last_mut().context("a dump has bytes")? ^= 1;
    std::fs::write(&dump, torn)?;
    let differs = drill.vefa(&restore)?;
    ensure!(
        refusal(&differs)?.contains("its SHA-256 differs"),
        "{differs:?}"
    );
    std::fs::write(&dump, whole)?;
    given_up_in_the_middle(drill).await
}

/// A pg_restore that fails when it has written everything: a database that is half replaced, or replaced by what may be half, is none.
async fn given_up_in_the_middle(drill: &Drill) -> anyhow::Result<()> {
    let real = drill.world.servers.postgres_bin_dir();
    let programs = PathBuf::from(drill.path("programs"));
    std::fs::create_dir(&programs)?;
    symlink(real.join("psql"), programs.join("psql"))?;
    let fails = programs.join("pg_restore");
    let real = real.join("pg_restore");
    std::fs::write(
        &fails,
        format!(
            "#!/bin/sh\n'{}' \"$@\" || exit\n[ \"$1\" = --version ]\n",
            real.display()
        ),
    )?;
    std::fs::set_permissions(&fails, Permissions::from_mode(0o755))?;
    let before = drill.events().await?;
    let output = drill
        .restore_with(&programs, "backup", &["--replace"], &[])
        .await;
    let said = refusal(&output)?;
    ensure!(
        said.contains("the database of customers is as it was")
            && said.contains("pg_restore failed"),
        "{said}"
    );
    ensure!(drill.events().await? == before, "it is not as it was");
    Ok(())
}

/// The databases are lost, and with them what they knew of erasures after the backup: the list knows.
async fn without_databases(drill: &mut Drill, erased: &str) -> anyhow::Result<()> {
    for service in Service::ALL {
        drill.world.stack.stop(service)?;
    }
    let mut administrator =
        PgConnection::connect(&drill.world.servers.postgres.url("postgres")).await?;
    for service in Service::ALL {
        let name = format!("vefa_{}", service.name());
        for statement in [
            format!("drop database {name} with (force)"),
            format!("create database {name}"),
        ] {
            administrator.execute(AssertSqlSafe(statement)).await?;
        }
    }
    let list = drill.path("erased.jsonl");
    let said = drill.restore(&["--erased", &list]).await?;
    ensure!(said.contains(erased), "{said}");
    drill.is_keyless(erased).await
}
