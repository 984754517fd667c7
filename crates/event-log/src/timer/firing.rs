//! Fires timers: the owner of their partitions, in transactions that take them away.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aggregate::{Partition, TenantId};
use sqlx::{Connection as _, PgConnection};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Timer, TimerKey};
use crate::{
    EventLog, broken,
    checkpoint::{Checkpoint, Checkpoints},
    projection::ProjectionError,
    read::partition_of,
};

/// How timers are fired.
#[derive(Clone, Copy, Debug)]
pub struct TimerOptions {
    /// Timers in one transaction.
    pub batch_timers_max: i64,
    /// How often it is looked for timers that are due: how late one is at most when nothing else is in the way.
    pub poll_interval: Duration,
    /// How long a lease on partitions lasts without renewal.
    pub lease: Duration,
    /// How long a timer that could not be fired, or all after a failure of the database, are left alone.
    pub retry_delay: Duration,
}

impl Default for TimerOptions {
    fn default() -> Self {
        Self {
            batch_timers_max: 500,
            poll_interval: Duration::from_millis(200),
            lease: Duration::from_secs(10),
            retry_delay: Duration::from_secs(1),
        }
    }
}

/// What happens when timers are due.
pub trait TimerHandler: Send + Sync + 'static {
    /// Does what the timers ask for, within the transaction that takes them away: appends by [`append_in`](crate::append_in), rows, further
    /// timers. The timers are due at `now` or before it, earliest first; all of it takes effect, or nothing.
    ///
    /// # Errors
    /// Whatever keeps them from being fired. They come again: first each by itself, so that one that cannot be fired holds up no other.
    fn fire(
        &self,
        connection: &mut PgConnection,
        timers: &[Timer],
        now: OffsetDateTime,
    ) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}

/// The timers of a log, as one process fires them. Leases spread the partitions over processes.
///
/// A timer fires at most once also when two processes take themselves for its owner: it is taken away before it is handled, in the same
/// transaction, and whoever comes second finds it gone.
pub struct Timers<H, C> {
    log: EventLog,
    handler: H,
    clock: C,
    checkpoints: Checkpoints,
    options: TimerOptions,
}

/// What came of looking for timers that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// So many of them were taken, and there may be more.
    Full,
    /// Nothing more is due.
    Done,
}

impl<H: TimerHandler, C: Fn() -> OffsetDateTime + Send + Sync + 'static> Timers<H, C> {
    /// The timers in the database of `log`, by `clock`. Nothing has begun yet.
    #[must_use]
    pub fn new(log: EventLog, handler: H, clock: C, options: TimerOptions) -> Self {
        let checkpoints = Checkpoints::new(log.pool().clone(), "timers", 1, options.lease);
        Self {
            log,
            handler,
            clock,
            checkpoints,
            options,
        }
    }

    /// Fires what is due, until `shutdown`. Failures are logged and tried again.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.work(&shutdown).await {
                tracing::error!(
                    log = self.log.name(),
                    error = &error as &(dyn std::error::Error + 'static),
                    "timers stand still and are tried again"
                );
                pause(&shutdown, self.options.retry_delay).await;
            }
        }
        if let Err(error) = self.checkpoints.release().await {
            tracing::warn!(
                log = self.log.name(),
                error = &error as &(dyn std::error::Error + 'static),
                "leases were not given up"
            );
        }
    }

    async fn work(&self, shutdown: &CancellationToken) -> Result<(), ProjectionError> {
        let mut held = self.checkpoints.acquire().await?;
        let mut renew_at = Instant::now() + self.options.lease / 3;
        let mut left_alone: BTreeMap<TimerKey, Instant> = BTreeMap::new();
        while !shutdown.is_cancelled() {
            if Instant::now() >= renew_at {
                held = self.checkpoints.acquire().await?;
                renew_at = Instant::now() + self.options.lease / 3;
            }
            left_alone.retain(|_, until| *until > Instant::now());
            if self.round(&mut held, &mut left_alone).await? == Round::Done {
                pause(shutdown, self.options.poll_interval).await;
            }
        }
        Ok(())
    }

    async fn round(
        &self,
        held: &mut BTreeMap<Partition, Checkpoint>,
        left_alone: &mut BTreeMap<TimerKey, Instant>,
    ) -> Result<Round, ProjectionError> {
        let now = (self.clock)();
        let due = self.due(held, left_alone, now).await?;
        let full = i64::try_from(due.len()).unwrap_or(i64::MAX) >= self.options.batch_timers_max;
        if due.is_empty() {
            return Ok(Round::Done);
        }
        if self.fire(held, &due, now).await.is_err() {
            // Each by itself shows which of them it was. It may have been the lease.
            *held = self.checkpoints.acquire().await?;
            for key in due {
                if !held.contains_key(&key.partition) {
                    continue;
                }
                if let Err(error) = self.fire(held, std::slice::from_ref(&key), now).await {
                    self.leave_alone(left_alone, &key, &error);
                }
            }
        }
        Ok(if full { Round::Full } else { Round::Done })
    }

    fn leave_alone(
        &self,
        left_alone: &mut BTreeMap<TimerKey, Instant>,
        key: &TimerKey,
        error: &ProjectionError,
    ) {
        tracing::error!(
            log = self.log.name(),
            partition = key.partition.number(),
            timer = key.key,
            error = error as &(dyn std::error::Error + 'static),
            "a timer could not be fired; it comes again"
        );
        left_alone.insert(key.clone(), Instant::now() + self.options.retry_delay);
    }

    /// Timers that are due, earliest first.
    async fn due(
        &self,
        held: &BTreeMap<Partition, Checkpoint>,
        left_alone: &BTreeMap<TimerKey, Instant>,
        now: OffsetDateTime,
    ) -> Result<Vec<TimerKey>, sqlx::Error> {
        let partitions: Vec<i16> = held.keys().map(|held| held.number().into()).collect();
        let but = super::Keys::of(left_alone.keys());
        let rows: Vec<(i16, String, String)> = sqlx::query_as(
            "select t.partition, t.tenant, t.key from timer t
             where t.partition = any($1) and t.due_at <= $2
                and not exists (select from unnest($3::smallint[], $4::text[], $5::text[]) as b (partition, tenant, key)
                    where b.partition = t.partition and b.tenant = t.tenant and b.key = t.key)
             order by t.due_at, t.partition, t.tenant, t.key limit $6",
        )
        .bind(partitions)
        .bind(now)
        .bind(but.partitions)
        .bind(but.tenants)
        .bind(but.keys)
        .bind(self.options.batch_timers_max)
        .fetch_all(self.log.pool())
        .await?;
        rows.into_iter()
            .map(|(partition, tenant, key)| {
                Ok(TimerKey {
                    partition: partition_of(partition)?,
                    tenant: tenant_of(tenant)?,
                    key,
                })
            })
            .collect()
    }

    /// Takes the timers away and handles them, in one transaction that the lease fences.
    async fn fire(
        &self,
        held: &mut BTreeMap<Partition, Checkpoint>,
        due: &[TimerKey],
        now: OffsetDateTime,
    ) -> Result<(), ProjectionError> {
        let mut connection = self.log.pool().acquire().await?;
        let mut transaction = connection.begin().await?;
        let timers = take(&mut transaction, due, now).await?;
        if timers.is_empty() {
            return Ok(());
        }
        if broken::timer_taken() {
            super::schedule_in(&mut transaction, &timers).await?;
        }
        if broken::timer_whole() {
            transaction.commit().await?;
            transaction = connection.begin().await?;
        }
        self.handler.fire(&mut transaction, &timers, now).await?;
        let partitions: BTreeSet<Partition> =
            timers.iter().map(|timer| timer.key.partition).collect();
        let moves = partitions
            .into_iter()
            .map(|partition| {
                let before = *held.get(&partition).ok_or(ProjectionError::Overtaken)?;
                // How often timers of the partition were fired; it only has to move.
                Ok((partition, (before, before.moved_to(before.position + 1))))
            })
            .collect::<Result<BTreeMap<Partition, (Checkpoint, Checkpoint)>, ProjectionError>>()?;
        self.checkpoints.advance(&mut transaction, &moves).await?;
        transaction.commit().await?;
        self.log.notify_appended();
        for (partition, (_, after)) in moves {
            held.insert(partition, after);
        }
        Ok(())
    }
}

/// Takes timers out of the table: those that are there and still due, earliest first.
async fn take(
    connection: &mut PgConnection,
    due: &[TimerKey],
    now: OffsetDateTime,
) -> Result<Vec<Timer>, sqlx::Error> {
    let mut in_order: Vec<&TimerKey> = due.iter().collect();
    in_order.sort();
    let keys = super::Keys::of(in_order);
    let rows: Vec<(i16, String, String, OffsetDateTime, Vec<u8>)> = sqlx::query_as(
        "with mine as (
            select t.partition, t.tenant, t.key from timer t
            join unnest($1::smallint[], $2::text[], $3::text[]) as k (partition, tenant, key)
                on t.partition = k.partition and t.tenant = k.tenant and t.key = k.key
            where t.due_at <= $4
            order by t.partition, t.tenant, t.key
            for update of t
         )
         delete from timer t using mine m
         where t.partition = m.partition and t.tenant = m.tenant and t.key = m.key
         returning t.partition, t.tenant, t.key, t.due_at, t.command",
    )
    .bind(keys.partitions)
    .bind(keys.tenants)
    .bind(keys.keys)
    .bind(now)
    .fetch_all(connection)
    .await?;
    let mut timers = rows
        .into_iter()
        .map(|(partition, tenant, key, due_at, command)| {
            Ok(Timer {
                key: TimerKey {
                    partition: partition_of(partition)?,
                    tenant: tenant_of(tenant)?,
                    key,
                },
                due_at,
                command,
            })
        })
        .collect::<Result<Vec<_>, sqlx::Error>>()?;
    timers.sort_by(|a, b| (a.due_at, &a.key).cmp(&(b.due_at, &b.key)));
    Ok(timers)
}

fn tenant_of(tenant: String) -> Result<TenantId, sqlx::Error> {
    TenantId::try_from(tenant).map_err(|error| sqlx::Error::Decode(error.into()))
}

async fn pause(shutdown: &CancellationToken, delay: Duration) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(delay) => {}
    }
}
