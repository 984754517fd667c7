//! The limits: what the servers can do when nothing of Vefa is in the way.

mod batches;
mod upserts;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::{Connection, Executor, PgConnection};
use tokio::time::Instant;
use uuid::Uuid;

use super::stage::Stage;
use crate::step::command;

pub(super) use batches::{Template, atomic_batches};
pub(super) use upserts::upserts;

/// Size of a limit's payloads: about that of a purchase.
const PAYLOAD_BYTES: usize = 200;
const ROWS: usize = 1000;

/// pgbench's bare insert of one row in a transaction, prepared, fsync on; the better of 32 and 64 clients, in a second.
pub(super) fn single_insert(stage: &Stage<'_>) -> anyhow::Result<f64> {
    stage.block_on(recreate(stage))?;
    let mut best: f64 = 0.0;
    for clients in ["32", "64"] {
        best = best.max(pgbench(stage, clients)?);
    }
    Ok(best)
}

async fn recreate(stage: &Stage<'_>) -> anyhow::Result<()> {
    let mut connection = limits_database(stage).await?;
    connection
        .execute("drop table if exists bare; create table bare (id uuid primary key, payload bytea not null)")
        .await?;
    Ok(())
}

async fn limits_database(stage: &Stage<'_>) -> anyhow::Result<PgConnection> {
    PgConnection::connect(&stage.limits_url())
        .await
        .context("connecting to PostgreSQL")
}

fn pgbench(stage: &Stage<'_>, clients: &str) -> anyhow::Result<f64> {
    let program = stage.postgres_programs().join("pgbench");
    if !program.is_file() {
        bail!(
            "pgbench is needed for the limits: apt install postgresql-contrib, or a full PostgreSQL"
        );
    }
    let directory = tempfile::tempdir()?;
    let script = directory.path().join("insert.sql");
    let payload = "ab".repeat(PAYLOAD_BYTES);
    std::fs::write(
        &script,
        format!("insert into bare values (gen_random_uuid(), '\\x{payload}');\n"),
    )?;
    let output = run_pgbench(&program, &script, clients, stage)?;
    output
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
        .with_context(|| format!("pgbench said no rate: {output}"))
}

fn run_pgbench(
    program: &Path,
    script: &Path,
    clients: &str,
    stage: &Stage<'_>,
) -> anyhow::Result<String> {
    let (script, seconds, url) = (
        script.to_string_lossy(),
        stage.seconds().to_string(),
        stage.limits_url(),
    );
    let arguments = [
        "-n", "-M", "prepared", "-j", "2", "-c", clients, "-T", &seconds, "-f", &script, &url,
    ];
    let output = command(&program.to_string_lossy(), arguments)
        .output()
        .context("running pgbench")?;
    if !output.status.success() {
        bail!(
            "pgbench failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Rows in a second by one `insert ... select from unnest` of 1000 rows in a transaction, on two connections at once.
pub(super) async fn unnest_insert(stage: &Stage<'_>) -> anyhow::Result<f64> {
    recreate(stage).await?;
    rows_in_a_second(
        stage,
        "insert into bare select * from unnest($1::uuid[], $2::bytea[])",
    )
    .await
}

async fn rows_in_a_second(stage: &Stage<'_>, statement: &'static str) -> anyhow::Result<f64> {
    let duration = Duration::from_secs(stage.seconds());
    let start = Instant::now();
    let (one, two) = tokio::try_join!(
        insert_until(stage, statement, start + duration),
        insert_until(stage, statement, start + duration)
    )?;
    Ok((one + two) as f64 / start.elapsed().as_secs_f64())
}

async fn insert_until(
    stage: &Stage<'_>,
    statement: &'static str,
    until: Instant,
) -> anyhow::Result<usize> {
    let mut connection = limits_database(stage).await?;
    let payloads = vec![vec![0xab_u8; PAYLOAD_BYTES]; ROWS];
    let mut rows = 0;
    while Instant::now() < until {
        let ids: Vec<Uuid> = (0..ROWS).map(|_| Uuid::new_v4()).collect();
        let mut transaction = connection.begin().await?;
        sqlx::query(statement)
            .bind(&ids)
            .bind(&payloads)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        rows += ROWS;
    }
    Ok(rows)
}
