//! What waits to be sent, in PostgreSQL: lines of events, who has a line at the moment, and what came of a try. No statement here spans a
//! request: a line is claimed, then something is sent, then what came of it is written down.

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// An event that is to be sent.
pub(crate) struct Queued {
    pub(crate) partition: Partition,
    pub(crate) subject: Uuid,
    pub(crate) event_id: Uuid,
    pub(crate) type_: String,
    pub(crate) body: String,
}

/// A line that this process has for a while.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    partition: i16,
    pub(crate) subject: Uuid,
    pub(crate) claim: Uuid,
    /// Failures of its first event so far.
    pub(crate) attempts: u32,
    /// Since the first try of that event.
    pub(crate) age: Duration,
}

/// The first event of a line.
#[derive(sqlx::FromRow)]
pub(crate) struct First {
    pub(crate) number: i64,
    pub(crate) event_id: Uuid,
    pub(crate) type_: String,
    pub(crate) body: String,
}

/// How a line stands after something was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// More events wait in it.
    More,
    /// None do, and the line is gone.
    Nothing,
    /// It is somebody else's: the claim has run out. Nothing was written down.
    Lost,
}

/// Puts events at the ends of their lines, in this order.
pub(crate) async fn queue(
    connection: &mut PgConnection,
    endpoint: &str,
    events: &[Queued],
) -> Result<(), sqlx::Error> {
    if events.is_empty() {
        return Ok(());
    }
    let mut ends = lengthen(connection, endpoint, events).await?;
    let (mut partitions, mut subjects, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ids, mut types, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    // From the last to the first, so that each line's end is where its last event stands.
    for event in events.iter().rev() {
        let partition = i16::from(event.partition.number());
        let end = ends.get_mut(&(partition, event.subject));
        let end = end.expect("every line of these events was made longer");
        partitions.push(partition);
        subjects.push(event.subject);
        numbers.push(*end);
        ids.push(event.event_id);
        types.push(event.type_.as_str());
        bodies.push(event.body.as_str());
        *end -= 1;
    }
    sqlx::query(
        "insert into webhook_event (partition, endpoint, subject, number, event_id, type, body, queued_at)
         select partition, $1, subject, number, event_id, type, body, now()
         from unnest($2::smallint[], $3::uuid[], $4::bigint[], $5::uuid[], $6::text[], $7::text[])
            as queued (partition, subject, number, event_id, type, body)",
    )
    .bind(endpoint)
    .bind(partitions)
    .bind(subjects)
    .bind(numbers)
    .bind(ids)
    .bind(types)
    .bind(bodies)
    .execute(connection)
    .await?;
    Ok(())
}

/// Makes room at the ends of lines; where each ends then. Lines are locked in one order, so that those who follow several services for one
/// endpoint do not wait for each other in a circle.
async fn lengthen(
    connection: &mut PgConnection,
    endpoint: &str,
    events: &[Queued],
) -> Result<BTreeMap<(i16, Uuid), i64>, sqlx::Error> {
    let mut more: BTreeMap<(i16, Uuid), i64> = BTreeMap::new();
    for event in events {
        let line = (i16::from(event.partition.number()), event.subject);
        *more.entry(line).or_default() += 1;
    }
    let (lines, counts): (Vec<_>, Vec<i64>) = more.into_iter().unzip();
    let (partitions, subjects): (Vec<i16>, Vec<Uuid>) = lines.into_iter().unzip();
    let ends: Vec<(i16, Uuid, i64)> = sqlx::query_as(
        "insert into webhook_line as l (partition, endpoint, subject, last_number, due_at)
         select partition, $1, subject, more, now()
         from unnest($2::smallint[], $3::uuid[], $4::bigint[]) as longer (partition, subject, more)
         order by partition, subject
         on conflict (partition, endpoint, subject) do update set last_number = l.last_number + excluded.last_number
         returning partition, subject, last_number",
    )
    .bind(endpoint)
    .bind(partitions)
    .bind(subjects)
    .bind(counts)
    .fetch_all(connection)
    .await?;
    Ok(ends
        .into_iter()
        .map(|(partition, subject, end)| ((partition, subject), end))
        .collect())
}

/// The lines of one endpoint.
#[derive(Clone)]
pub(crate) struct Outbox {
    pool: PgPool,
    endpoint: &'static str,
    /// How long a line that was claimed stays with whoever did.
    claim: Duration,
}

impl Outbox {
    pub(crate) fn new(pool: PgPool, endpoint: &'static str, claim: Duration) -> Self {
        Self {
            pool,
            endpoint,
            claim,
        }
    }

    fn claim_ms(&self) -> i64 {
        millis(self.claim)
    }

    /// Takes up to `limit` lines whose first event is due, those that have waited longest first. None while the endpoint is stopped.
    pub(crate) async fn claim(&self, limit: usize) -> Result<Vec<Line>, sqlx::Error> {
        let claim = Uuid::new_v4();
        let mut transaction = self.pool.begin().await?;
        let rows: Vec<(i16, Uuid, i32, i64)> = sqlx::query_as(
            "with due as (
                select l.partition, l.subject from generate_series(0, 63) as n
                cross join lateral (
                    select partition, subject, due_at from webhook_line
                    where partition = n and endpoint = $1 and due_at <= now() order by due_at limit $2
                ) as l
                where not exists (select from webhook_endpoint where name = $1 and stopped_at is not null)
                order by l.due_at limit $2
             ), free as (
                select l.partition, l.subject from webhook_line l
                join due on due.partition = l.partition and due.subject = l.subject
                where l.endpoint = $1 and l.due_at <= now()
                for update of l skip locked
             )
             update webhook_line l set claim = $3, due_at = now() + $4 * interval '1 millisecond'
             from free where l.partition = free.partition and l.endpoint = $1 and l.subject = free.subject
             returning l.partition, l.subject, l.attempts,
                coalesce(extract(epoch from now() - l.first_attempt_at) * 1000, 0)::bigint",
        )
        .bind(self.endpoint)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(claim)
        .bind(self.claim_ms())
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let line = |(partition, subject, attempts, age_ms): (i16, Uuid, i32, i64)| Line {
            partition,
            subject,
            claim,
            attempts: attempts.unsigned_abs(),
            age: Duration::from_millis(age_ms.unsigned_abs()),
        };
        Ok(rows.into_iter().map(line).collect())
    }

    /// The event that a line waits for.
    pub(crate) async fn first(&self, line: &Line) -> Result<First, sqlx::Error> {
        sqlx::query_as(
            "select number, event_id, type as type_, body from webhook_event
             where partition = $1 and endpoint = $2 and subject = $3 order by number limit 1",
        )
        .bind(line.partition)
        .bind(self.endpoint)
        .bind(line.subject)
        .fetch_one(&self.pool)
        .await
    }

    /// Writes down that the first event was taken. The line stays with its holder if it is to be kept and has more events.
    pub(crate) async fn taken(
        &self,
        line: &Line,
        number: i64,
        keep: bool,
    ) -> Result<Left, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let left = remove_first(&mut transaction, self.endpoint, line, number).await?;
        if left == Left::More {
            let kept = sqlx::query(
                "update webhook_line set due_at = now() + $5 * interval '1 millisecond', claim = $6
                 where partition = $1 and endpoint = $2 and subject = $3 and claim = $4",
            )
            .bind(line.partition)
            .bind(self.endpoint)
            .bind(line.subject)
            .bind(line.claim)
            .bind(if keep { self.claim_ms() } else { 0 })
            .bind(keep.then_some(line.claim))
            .execute(&mut *transaction)
            .await?;
            debug_assert_eq!(kept.rows_affected(), 1, "the row is locked");
        }
        if left == Left::Lost {
            transaction.rollback().await?;
        } else {
            transaction.commit().await?;
        }
        Ok(left)
    }

    /// Writes down that the first event was not taken, and when it is tried again; never, when it is dead. Whether the line was still ours.
    pub(crate) async fn failed(
        &self,
        line: &Line,
        outcome: &str,
        again: Option<Duration>,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let written = sqlx::query(
            "update webhook_line set claim = null, outcome = $5, attempts = attempts + 1,
                first_attempt_at = coalesce(first_attempt_at, now()),
                due_at = now() + $6 * interval '1 millisecond',
                dead_at = case when $6::bigint is null then now() end
             where partition = $1 and endpoint = $2 and subject = $3 and claim = $4",
        )
        .bind(line.partition)
        .bind(self.endpoint)
        .bind(line.subject)
        .bind(line.claim)
        .bind(outcome)
        .bind(again.map(millis))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(written.rows_affected() == 1)
    }

    /// Gives a line back as it was; nothing is known of the try, or it does not count.
    pub(crate) async fn put_back(&self, line: &Line) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        put_back(&mut transaction, self.endpoint, line).await?;
        transaction.commit().await
    }

    /// Stops the endpoint, and gives the line back. Whether it was not stopped before.
    pub(crate) async fn stop(&self, line: &Line, because: &str) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let stopped = sqlx::query(
            "update webhook_endpoint set stopped_at = now(), stopped_because = $2
             where name = $1 and stopped_at is null",
        )
        .bind(self.endpoint)
        .bind(because)
        .execute(&mut *transaction)
        .await?;
        put_back(&mut transaction, self.endpoint, line).await?;
        transaction.commit().await?;
        Ok(stopped.rows_affected() == 1)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

async fn put_back(
    connection: &mut PgConnection,
    endpoint: &str,
    line: &Line,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update webhook_line set claim = null, due_at = now()
         where partition = $1 and endpoint = $2 and subject = $3 and claim = $4",
    )
    .bind(line.partition)
    .bind(endpoint)
    .bind(line.subject)
    .bind(line.claim)
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes the first event, and the line with it when it was the last. Whether there are more is asked of the line's own row, which whoever
/// makes the line longer has to lock: so nobody removes a line to which an event was added at this moment.
async fn remove_first(
    connection: &mut PgConnection,
    endpoint: &str,
    line: &Line,
    number: i64,
) -> Result<Left, sqlx::Error> {
    sqlx::query(
        "delete from webhook_event where partition = $1 and endpoint = $2 and subject = $3 and number = $4",
    )
    .bind(line.partition)
    .bind(endpoint)
    .bind(line.subject)
    .bind(number)
    .execute(&mut *connection)
    .await?;
    let removed = sqlx::query(
        "delete from webhook_line
         where partition = $1 and endpoint = $2 and subject = $3 and claim = $4 and last_number = $5",
    )
    .bind(line.partition)
    .bind(endpoint)
    .bind(line.subject)
    .bind(line.claim)
    .bind(number)
    .execute(&mut *connection)
    .await?;
    if removed.rows_affected() == 1 {
        return Ok(Left::Nothing);
    }
    let next = sqlx::query(
        "update webhook_line set attempts = 0, first_attempt_at = null, outcome = ''
         where partition = $1 and endpoint = $2 and subject = $3 and claim = $4",
    )
    .bind(line.partition)
    .bind(endpoint)
    .bind(line.subject)
    .bind(line.claim)
    .execute(connection)
    .await?;
    if next.rows_affected() == 1 {
        Ok(Left::More)
    } else {
        Ok(Left::Lost)
    }
}
