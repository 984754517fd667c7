//! What an operator sees of webhooks, and can do. It is recorded in their database, so that it reaches whichever process sends.

use event_log::control::{self, Target};
use service::ServiceName;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::follow;

/// How an endpoint stands.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Standing {
    /// Its name.
    pub endpoint: String,
    /// Whose events it is told.
    pub tenant: String,
    /// From when on; none for all of history.
    pub since: Option<OffsetDateTime>,
    /// Since when nothing is sent.
    pub stopped_at: Option<OffsetDateTime>,
    /// Why.
    pub stopped_because: Option<String>,
    /// Events that wait, those behind dead ones too; counted up to 10,000 in each partition.
    pub pending: i64,
    /// Since when the oldest of these waits, in seconds; 0 when there is none.
    pub oldest_s: f64,
    /// Lines whose first event failed and is tried again.
    pub retried: i64,
    /// Lines whose first event is tried no more.
    pub dead: i64,
    /// Streams of which an event could not be put into the form in which it is sent.
    pub parked: i64,
    /// Partitions of a service's log in which the next event is of a type that this version does not know.
    pub paused: i64,
}

/// An event that is tried no more, at the head of its line.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Dead {
    /// Its endpoint.
    pub endpoint: String,
    /// Its id.
    pub event_id: Uuid,
    /// Its type.
    pub type_: String,
    /// The customer, or where there is none the stream, whose events wait.
    pub subject: Uuid,
    /// Events behind it.
    pub behind: i64,
    /// How often it was tried.
    pub attempts: i32,
    /// Since when it is tried no more.
    pub dead_at: OffsetDateTime,
    /// What came of the last try.
    pub outcome: String,
}

/// Every endpoint that was ever configured, by name.
///
/// # Errors
/// When the database fails.
pub async fn standings(pool: &PgPool) -> Result<Vec<Standing>, sqlx::Error> {
    sqlx::query_as(
        "select e.name as endpoint, e.tenant, e.since, e.stopped_at, e.stopped_because,
            events.pending, events.oldest_s, lines.retried, lines.dead,
            (select count(distinct (projection, partition, stream_id)) from parked where split_part(projection, '.', 2) = e.name) as parked,
            (select count(*) from paused where split_part(projection, '.', 2) = e.name) as paused
         from webhook_endpoint e
         cross join lateral (
            select coalesce(sum(part.pending), 0)::bigint as pending,
                coalesce(extract(epoch from now() - min(part.oldest)), 0)::float8 as oldest_s
            from generate_series(0, 63) as n
            cross join lateral (
                select (select count(*) from (select from webhook_event where partition = n and endpoint = e.name limit 10000) as counted) as pending,
                    (select min(queued_at) from webhook_event where partition = n and endpoint = e.name) as oldest
            ) as part
         ) as events
         cross join lateral (
            select count(*) filter (where dead_at is null) as retried, count(dead_at) as dead from webhook_line
            where endpoint = e.name and attempts > 0
         ) as lines
         order by e.name",
    )
    .fetch_all(pool)
    .await
}

/// The names of all these.
///
/// # Errors
/// When the database fails.
pub async fn names(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("select name from webhook_endpoint order by name")
        .fetch_all(pool)
        .await
}

/// Events that are tried no more, the oldest of them first; of one endpoint or of all, at most `limit`.
///
/// # Errors
/// When the database fails.
pub async fn dead(
    pool: &PgPool,
    endpoint: Option<&str>,
    limit: i64,
) -> Result<Vec<Dead>, sqlx::Error> {
    sqlx::query_as(
        "select l.endpoint, first.event_id, first.type as type_, l.subject, l.last_number - first.number as behind,
            l.attempts, l.dead_at, l.outcome
         from webhook_line l
         cross join lateral (
            select number, event_id, type from webhook_event
            where partition = l.partition and endpoint = l.endpoint and subject = l.subject order by number limit 1
         ) as first
         where l.attempts > 0 and l.dead_at is not null and ($1::text is null or l.endpoint = $1)
         order by l.dead_at, l.partition, l.subject limit $2",
    )
    .bind(endpoint)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Has dead events tried again, one or all of an endpoint, as if for the first time. How many.
///
/// # Errors
/// When the database fails.
pub async fn redrive(
    pool: &PgPool,
    endpoint: &str,
    event: Option<Uuid>,
) -> Result<u64, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let redriven = sqlx::query(
        "update webhook_line l set dead_at = null, due_at = now(), attempts = 0, first_attempt_at = null, outcome = ''
         where l.endpoint = $1 and l.attempts > 0 and l.dead_at is not null and ($2::uuid is null or $2 = (
            select e.event_id from webhook_event e
            where e.partition = l.partition and e.endpoint = l.endpoint and e.subject = l.subject order by e.number limit 1
         ))",
    )
    .bind(endpoint)
    .bind(event)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(redriven.rows_affected())
}

/// Asks for events that could not be put into the form in which they are sent to be tried anew. How many streams.
///
/// # Errors
/// When the database fails.
pub async fn replay(pool: &PgPool, endpoint: &str) -> Result<usize, sqlx::Error> {
    let mut asked = 0;
    for service in ServiceName::ALL {
        let target = Target {
            // As long as the process: an operator's, which ends at once.
            projection: follow::name(endpoint, service).leak(),
            version: 1,
        };
        if !control::parked(pool, target).await?.is_empty() {
            asked += control::replay(pool, target, None).await?;
        }
    }
    Ok(asked)
}

/// Takes a dead event out of its line, for good; what is behind it goes on. Whether it was there and dead.
///
/// # Errors
/// When the database fails.
pub async fn skip(pool: &PgPool, endpoint: &str, event: Uuid) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    // Nobody sends what is dead, but somebody may redrive it or make its line longer at this moment.
    let found: Option<(i16, Uuid, i64)> = sqlx::query_as(
        "select l.partition, l.subject, e.number from webhook_line l
         join webhook_event e on e.partition = l.partition and e.endpoint = l.endpoint and e.subject = l.subject
         where l.endpoint = $1 and l.attempts > 0 and l.dead_at is not null and e.event_id = $2 and not exists (
            select from webhook_event before
            where before.partition = e.partition and before.endpoint = e.endpoint and before.subject = e.subject
                and before.number < e.number
         )
         for update of l",
    )
    .bind(endpoint)
    .bind(event)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((partition, subject, number)) = found else {
        return Ok(false);
    };
    for statement in [
        "delete from webhook_event where partition = $1 and endpoint = $2 and subject = $3 and number = $4",
        "delete from webhook_line where partition = $1 and endpoint = $2 and subject = $3 and last_number = $4",
        "update webhook_line set dead_at = null, due_at = now(), attempts = 0, first_attempt_at = null, outcome = ''
         where partition = $1 and endpoint = $2 and subject = $3 and last_number > $4",
    ] {
        sqlx::query(statement)
            .bind(partition)
            .bind(endpoint)
            .bind(subject)
            .bind(number)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Stops an endpoint: events gather, and nothing is sent until [`enable`]. Whether there is one that was not stopped.
///
/// # Errors
/// When the database fails.
pub async fn disable(pool: &PgPool, endpoint: &str, because: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let stopped = sqlx::query(
        "update webhook_endpoint set stopped_at = now(), stopped_because = $2 where name = $1 and stopped_at is null",
    )
    .bind(endpoint)
    .bind(because)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(stopped.rows_affected() == 1)
}

/// Lets an endpoint go on. What was tried before begins anew, since the time in between was not the receiver's. Whether it was stopped.
///
/// # Errors
/// When the database fails.
pub async fn enable(pool: &PgPool, endpoint: &str) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let started = sqlx::query(
        "update webhook_endpoint set stopped_at = null, stopped_because = null where name = $1 and stopped_at is not null",
    )
    .bind(endpoint)
    .execute(&mut *transaction)
    .await?;
    if started.rows_affected() == 1 {
        sqlx::query(
            "update webhook_line set attempts = 0, first_attempt_at = null, due_at = now()
             where endpoint = $1 and dead_at is null and claim is null and attempts > 0",
        )
        .bind(endpoint)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(started.rows_affected() == 1)
}
