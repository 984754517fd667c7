//! Whether a log is what it promises to be. Reads only; every check is one statement over the whole log.

use std::time::Duration;

use sqlx::{FromRow, PgConnection, postgres::PgRow};

use crate::checkpoint::LEASES;

/// Findings of one check that are shown; the rest are counted.
const SHOWN_MAX: usize = 10;

/// What one check has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What holds when there are no findings, for example `positions are gapless`.
    pub claim: &'static str,
    /// Where it does not hold, at most ten; nothing personal.
    pub findings: Vec<String>,
    /// How many findings there are in all.
    pub findings_total: usize,
}

impl Check {
    /// A check with what it has found.
    #[must_use]
    pub fn new(claim: &'static str, mut findings: Vec<String>) -> Self {
        let findings_total = findings.len();
        findings.truncate(SHOWN_MAX);
        Self {
            claim,
            findings,
            findings_total,
        }
    }

    /// Whether the claim holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.findings_total == 0
    }
}

/// Checks a log and what is kept beside it. The connection should be in a read-only transaction of one snapshot (`repeatable
/// read`), so that a log that grows meanwhile is not taken for a broken one. A transaction of somebody else that does nothing
/// for longer than `idle_max` is a finding.
///
/// # Errors
/// When the database fails.
pub async fn verify(
    connection: &mut PgConnection,
    idle_max: Duration,
) -> Result<Vec<Check>, sqlx::Error> {
    let idle_ms = i64::try_from(idle_max.as_millis()).unwrap_or(i64::MAX);
    Ok(vec![
        positions(connection).await?,
        versions(connection).await?,
        commands(connection).await?,
        snapshots(connection).await?,
        erasures(connection).await?,
        checkpoints(connection).await?,
        paused(connection).await?,
        parked(connection).await?,
        divergences(connection).await?,
        idle_transactions(connection, idle_ms).await?,
    ])
}

async fn rows<T>(connection: &mut PgConnection, query: &'static str) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'row> FromRow<'row, PgRow> + Send + Unpin,
{
    sqlx::query_as(query).fetch_all(connection).await
}

async fn positions(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let found: Vec<(i16, i64, i64, i64, i64)> = rows(
        connection,
        "select h.partition, h.position, count(e.position), coalesce(min(e.position), 1), coalesce(max(e.position), 0)
         from log_head h left join event e on e.partition = h.partition
         group by h.partition, h.position
         having count(e.position) <> h.position or coalesce(max(e.position), 0) <> h.position
            or coalesce(min(e.position), 1) <> 1
         order by h.partition",
    )
    .await?;
    let findings = found
        .into_iter()
        .map(|(partition, head, count, first, last)| {
            format!("partition {partition}: head {head}, but {count} events from {first} to {last}")
        });
    Ok(Check::new(
        "positions are gapless up to the head",
        findings.collect(),
    ))
}

async fn versions(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let found: Vec<(i16, String, i64, i64, i64)> = rows(
        connection,
        "select partition, stream_id::text, count(*), min(version), max(version)
         from event group by partition, tenant, stream_id
         having count(*) <> max(version) or min(version) <> 1
         order by partition, stream_id",
    )
    .await?;
    let findings = found.into_iter().map(|(partition, stream, count, first, last)| {
        format!("partition {partition}, stream {stream}: {count} events from version {first} to {last}")
    });
    Ok(Check::new(
        "versions are gapless in every stream",
        findings.collect(),
    ))
}

async fn commands(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let found: Vec<(i16, String, i64)> = rows(
        connection,
        "select c.stream_partition, c.stream_id::text, c.stream_version from command_log c
         where c.stream_partition is not null and not exists (
            select from event e where e.partition = c.stream_partition and e.tenant = c.tenant
                and e.stream_id = c.stream_id and e.version = c.stream_version)
         order by 1, 2",
    )
    .await?;
    let findings = found.into_iter().map(|(partition, stream, version)| {
        format!("a command is recorded, but not its event: partition {partition}, stream {stream}, version {version}")
    });
    Ok(Check::new(
        "every recorded command has its event",
        findings.collect(),
    ))
}

async fn snapshots(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let found: Vec<(i16, String, i64)> = rows(
        connection,
        "select s.partition, s.stream_id::text, s.version from snapshot s
         where not exists (
            select from event e where e.partition = s.partition and e.tenant = s.tenant
                and e.stream_id = s.stream_id and e.version = s.version)
         order by 1, 2",
    )
    .await?;
    let findings = found.into_iter().map(|(partition, stream, version)| {
        format!("partition {partition}, stream {stream}: a snapshot of version {version}, which the stream does not have")
    });
    Ok(Check::new(
        "no snapshot is ahead of its stream",
        findings.collect(),
    ))
}

async fn erasures(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let found: Vec<(i16, String)> = rows(
        connection,
        "select k.partition, k.subject::text from subject_key k
         where k.wrapped_key is not null and exists (
            select from wiped w where w.partition = k.partition and w.tenant = k.tenant and w.subject = k.subject)
         order by 1, 2",
    )
    .await?;
    let findings = found.into_iter().map(|(partition, subject)| {
        format!("partition {partition}, subject {subject}: the data key of somebody who was erased")
    });
    Ok(Check::new(
        "nobody who was erased has a data key",
        findings.collect(),
    ))
}

/// Of the service's own log; how far followers may be is for the log that they follow to say.
async fn checkpoints(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let found: Vec<(i16, String, i64, i64)> = sqlx::query_as(
        "select c.partition, c.projection, c.position, h.position
         from checkpoint c join log_head h on h.partition = c.partition
         where c.source_epoch = 0 and c.position > h.position and c.projection <> all($1)
         order by 1, 2",
    )
    .bind(LEASES)
    .fetch_all(connection)
    .await?;
    let findings = found
        .into_iter()
        .map(|(partition, projection, position, head)| {
            format!("{projection}, partition {partition}: at {position}, but the head is {head}")
        });
    Ok(Check::new(
        "no projection is ahead of its log",
        findings.collect(),
    ))
}

async fn paused(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let found: Vec<(String, String, String)> = rows(
        connection,
        "select distinct projection, paused_by, reason from paused order by 1, 2, 3",
    )
    .await?;
    let findings = found
        .into_iter()
        .map(|(projection, paused_by, reason)| format!("{projection}, by {paused_by}: {reason}"));
    Ok(Check::new("no projection is paused", findings.collect()))
}

async fn parked(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let found: Vec<(i16, String, String, i64)> = rows(
        connection,
        "select partition, projection, stream_id::text || ': ' || (array_agg(error order by position))[1], min(position)
         from parked group by partition, projection, tenant, stream_id order by 1, 2, 3",
    )
    .await?;
    let findings = found.into_iter().map(|(partition, projection, stream, position)| {
        format!("{projection}, partition {partition}, parked from position {position}, stream {stream}")
    });
    Ok(Check::new("no stream is parked", findings.collect()))
}

async fn divergences(connection: &mut PgConnection) -> Result<Check, sqlx::Error> {
    let found: Vec<(i16, String, String, i64, i64)> = rows(
        connection,
        "select partition, projection, source, to_position, from_position from divergence order by 1, 2",
    )
    .await?;
    let findings = found.into_iter().map(|(partition, projection, source, to, from)| {
        format!("{projection}, partition {partition}: applied {source} up to {from}, which was restored to {to}")
    });
    Ok(Check::new(
        "no follower has applied what its source no longer has",
        findings.collect(),
    ))
}

async fn idle_transactions(
    connection: &mut PgConnection,
    idle_ms: i64,
) -> Result<Check, sqlx::Error> {
    let found: Vec<(i32, i64)> = sqlx::query_as(
        "select pid, extract(epoch from clock_timestamp() - state_change)::bigint from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and state like 'idle in transaction%'
            and state_change <= clock_timestamp() - $1 * interval '1 millisecond'
         order by pid",
    )
    .bind(idle_ms)
    .fetch_all(connection)
    .await?;
    let findings = found
        .into_iter()
        .map(|(pid, seconds)| format!("process {pid}: idle in a transaction for {seconds} s"));
    Ok(Check::new("no transaction stands idle", findings.collect()))
}
