//! Long logs, cheaply: what was recorded through the API, copied within the database.

use anyhow::Context;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::demo::service::Service;
use crate::demo::stack::Stack;

/// The log of interactions, in its database. Nobody may append while it grows.
pub(super) struct Backlog {
    connection: PgConnection,
}

impl Backlog {
    pub(super) async fn of(stack: &Stack) -> anyhow::Result<Self> {
        let connection = PgConnection::connect(stack.databases.of(Service::Interactions))
            .await
            .context("connecting to the log")?;
        Ok(Self { connection })
    }

    /// Events in it.
    pub(super) async fn events(&mut self) -> anyhow::Result<u64> {
        self.number("select sum(position)::bigint from log_head")
            .await
    }

    /// Grows to `events` or somewhat more by copies of all that is there. Each copy is a stream of its own, with a key and the record of a
    /// command of its own. Indexes are made afterwards, which is much cheaper than keeping them up to date.
    pub(super) async fn grow(&mut self, events: u64) -> anyhow::Result<()> {
        let stored = self.events().await?;
        anyhow::ensure!(stored > 0, "an empty log has nothing to copy");
        let copies = i64::try_from(events.saturating_sub(stored).div_ceil(stored))?;
        if copies == 0 {
            return Ok(());
        }
        let mut transaction = self.connection.begin().await?;
        sqlx::raw_sql(
            "set local maintenance_work_mem = '512MB';
             set local synchronous_commit = off;
             create temporary table original on commit drop as
                select e.*, h.position as length from event e join log_head h on h.partition = e.partition;
             alter table event drop constraint event_pkey;
             alter table event drop constraint event_partition_tenant_stream_id_version_key;
             alter table command_log drop constraint command_log_pkey;",
        )
        .execute(&mut *transaction)
        .await?;
        // A copy's ids follow from those of its original, so that its stream and its command find each other. Those of another growth
        // of the same log are others.
        let growth = stored.to_string();
        for copy in 1..=copies {
            sqlx::query(
                "insert into event (partition, position, tenant, stream_id, version, event_id, type, schema_version, payload,
                    metadata, occurred_at, recorded_at)
                 select partition, length * $1 + position, tenant, md5(stream_id::text || $2 || '-' || $1)::uuid, version, gen_random_uuid(),
                    type, schema_version, payload, metadata, occurred_at, recorded_at
                 from original",
            )
            .bind(copy)
            .bind(&growth)
            .execute(&mut *transaction)
            .await?;
        }
        for statement in [
            "insert into command_log (partition, tenant, request_id, fingerprint, response, stream_partition, stream_id,
                stream_version, recorded_at, expires_at)
             select c.partition, c.tenant, c.request_id || '-' || $2 || '-' || copy, c.fingerprint, c.response, c.stream_partition,
                md5(c.stream_id::text || $2 || '-' || copy)::uuid, c.stream_version, c.recorded_at, c.expires_at
             from generate_series(1, $1) as copy, command_log c",
            "update log_head set position = position * ($1 + 1) where $2::text is not null",
        ] {
            sqlx::query(statement)
                .bind(copies)
                .bind(&growth)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::raw_sql(
            "alter table event add primary key (partition, position);
             alter table event add unique (partition, tenant, stream_id, version);
             alter table command_log add primary key (partition, tenant, request_id);",
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.rest().await
    }

    /// Leaves nothing behind that the server would do during a measurement.
    pub(super) async fn rest(&mut self) -> anyhow::Result<()> {
        for statement in ["vacuum analyze", "checkpoint"] {
            sqlx::raw_sql(statement)
                .execute(&mut self.connection)
                .await?;
        }
        Ok(())
    }

    /// Keeps these readers of the log from working, as a process elsewhere that has their leases would.
    pub(super) async fn hold(&mut self, readers: &[&str]) -> anyhow::Result<()> {
        sqlx::query(
            "insert into checkpoint as c (partition, projection, version, owner, lease_until)
             select n, reader, 1, $2, now() + interval '1 day' from generate_series(0, 63) as n, unnest($1::text[]) as reader
             on conflict (partition, projection, version) do update
                set owner = excluded.owner, lease_until = excluded.lease_until, epoch = c.epoch + 1",
        )
        .bind(readers)
        .bind(Uuid::new_v4())
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Lets these readers work again.
    pub(super) async fn release(&mut self, readers: &[&str]) -> anyhow::Result<()> {
        sqlx::query(
            "update checkpoint set owner = null, lease_until = null where projection = any($1)",
        )
        .bind(readers)
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Sets the timeline back to nothing.
    pub(super) async fn forget_timeline(&mut self) -> anyhow::Result<()> {
        sqlx::raw_sql(
            "truncate timeline; delete from checkpoint where projection = 'interactions.timeline'",
        )
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// Events that the timeline has taken over.
    pub(super) async fn timeline_applied(&mut self) -> anyhow::Result<u64> {
        self.number(
            "select coalesce(sum(position), 0)::bigint from checkpoint where projection = 'interactions.timeline'",
        )
        .await
    }

    /// Rows of the timeline.
    pub(super) async fn timeline_rows(&mut self) -> anyhow::Result<u64> {
        self.number("select count(*) from timeline").await
    }

    async fn number(&mut self, query: &'static str) -> anyhow::Result<u64> {
        let number: i64 = sqlx::query_scalar(query)
            .fetch_one(&mut self.connection)
            .await?;
        Ok(u64::try_from(number)?)
    }
}

/// Readers of the log of interactions, by the names of their checkpoints.
pub(super) const RELAY: &str = "relay";
pub(super) const TIMELINE: &str = "interactions.timeline";
