//! Timers: what is to happen at a moment, at most once for each key, whatever stops meanwhile.
//!
//! # Clocks
//! Whether a timer is due is said by the clock that is handed to [`Timers`], as that of commands is. Leases go by PostgreSQL's. A clock that
//! jumps forward makes everything due that it passes: late timers fire, earliest first, none is left out. One that jumps
//! back makes what is left wait longer and fires nothing again: what has fired is gone. With clocks that differ the fastest
//! decides. A handler that must not depend on any of this goes by [`Timer::due_at`].

mod firing;

use aggregate::{Partition, TenantId};
use sqlx::PgConnection;
use time::OffsetDateTime;

pub use firing::{TimerHandler, TimerOptions, Timers};

/// Names a timer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerKey {
    /// Partition that it lives in: that of the stream which it is about, so that both can be written in one place.
    pub partition: Partition,
    /// Tenant.
    pub tenant: TenantId,
    /// What tells it from others of the tenant, for example `consent-reminder/<customer>`.
    pub key: String,
}

/// Something that is to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// Its name.
    pub key: TimerKey,
    /// When. A moment that has passed means as soon as possible.
    pub due_at: OffsetDateTime,
    /// What, in the words of whoever handles it. It must hold nothing personal.
    pub command: Vec<u8>,
}

/// Sets timers within the caller's transaction, so that they are there if what asks for them is. One of the same key that has not fired
/// gets the new moment and command. Of several of the same key the last counts.
///
/// # Errors
/// When the database fails.
pub async fn schedule_in(
    connection: &mut PgConnection,
    timers: &[Timer],
) -> Result<(), sqlx::Error> {
    if timers.is_empty() {
        return Ok(());
    }
    let last: std::collections::BTreeMap<&TimerKey, &Timer> =
        timers.iter().map(|timer| (&timer.key, timer)).collect();
    let (mut due, mut commands) = (Vec::new(), Vec::new());
    for timer in last.values() {
        due.push(timer.due_at);
        commands.push(timer.command.as_slice());
    }
    let keys = Keys::of(last.into_keys());
    // In the order of the keys, as everywhere: who sets and who fires never wait for each other in a circle.
    sqlx::query(
        "insert into timer (partition, tenant, key, due_at, command)
         select * from unnest($1::smallint[], $2::text[], $3::text[], $4::timestamptz[], $5::bytea[])
         on conflict (partition, tenant, key) do update set due_at = excluded.due_at, command = excluded.command",
    )
    .bind(keys.partitions)
    .bind(keys.tenants)
    .bind(keys.keys)
    .bind(due)
    .bind(commands)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes timers back within the caller's transaction; returns how many of them had not fired. One that fires at this moment is waited
/// for: it has either fired wholly or will not fire.
///
/// # Errors
/// When the database fails.
pub async fn cancel_in(
    connection: &mut PgConnection,
    keys: &[TimerKey],
) -> Result<u64, sqlx::Error> {
    let keys = Keys::of(keys);
    let gone = sqlx::query(
        "with mine as (
            select t.partition, t.tenant, t.key from timer t
            join unnest($1::smallint[], $2::text[], $3::text[]) as k (partition, tenant, key)
                on t.partition = k.partition and t.tenant = k.tenant and t.key = k.key
            order by t.partition, t.tenant, t.key
            for update of t
         )
         delete from timer t using mine m where t.partition = m.partition and t.tenant = m.tenant and t.key = m.key",
    )
    .bind(keys.partitions)
    .bind(keys.tenants)
    .bind(keys.keys)
    .execute(connection)
    .await?;
    Ok(gone.rows_affected())
}

/// Keys as columns.
#[derive(Default)]
struct Keys<'a> {
    partitions: Vec<i16>,
    tenants: Vec<&'a str>,
    keys: Vec<&'a str>,
}

impl<'a> Keys<'a> {
    fn of(keys: impl IntoIterator<Item = &'a TimerKey>) -> Self {
        let mut columns = Self::default();
        for key in keys {
            columns.partitions.push(key.partition.number().into());
            columns.tenants.push(key.tenant.as_str());
            columns.keys.push(&key.key);
        }
        columns
    }
}
