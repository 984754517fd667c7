//! Applies what was parked, when an operator asks for it.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::Partition;
use sqlx::PgConnection;

use super::{
    Held, Live,
    parked::{Key, Parked},
    settle::{Mode, settle},
};
use crate::{
    event::StoredEvent,
    projection::{Projection, ProjectionError},
};

/// Parked events that are applied in one transaction.
const BATCH_EVENTS: i64 = 500;
/// Events that are read of a log at once to find those that were parked.
const READ_EVENTS: u32 = 100;

impl<P: Projection> Live<P> {
    /// Applies the parked streams that an operator has asked for, each in order, and removes from the parked what was applied in the same
    /// transaction. What still cannot be applied stays parked with all behind it. `read` gives events of a partition of the
    /// followed log behind a position, in order, at most as many as are asked for.
    ///
    /// # Errors
    /// When the database fails or events cannot be read; begin again then.
    pub async fn replay<E, F>(
        &self,
        held: &mut Held,
        read: impl Fn(Partition, i64, u32) -> F,
    ) -> Result<(), E>
    where
        E: From<ProjectionError>,
        F: Future<Output = Result<Vec<StoredEvent>, E>>,
    {
        for stream in held.parked.asked_for() {
            loop {
                let positions = self.waiting(&stream).await.map_err(ProjectionError::from)?;
                let events = gather(&stream, &positions, &read).await?;
                if !self.replay_batch(held, &stream, &events).await? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The next positions of a parked stream.
    async fn waiting(&self, (partition, tenant, stream): &Key) -> Result<Vec<i64>, sqlx::Error> {
        sqlx::query_scalar(
            "select position from parked
             where partition = $1 and projection = $2 and version = $3 and tenant = $4 and stream_id = $5 and position > 0
             order by position limit $6",
        )
        .bind(i16::from(partition.number()))
        .bind(self.projection.name())
        .bind(self.projection.version())
        .bind(tenant.as_str())
        .bind(stream.0)
        .bind(BATCH_EVENTS)
        .fetch_all(&self.pool)
        .await
    }

    /// Applies the next events of a parked stream. Whether there may be more.
    async fn replay_batch(
        &self,
        held: &mut Held,
        stream: &Key,
        events: &[StoredEvent],
    ) -> Result<bool, ProjectionError> {
        let mut transaction = self.pool.begin().await?;
        // Nothing moves, but it holds only for the holder of the lease.
        let still = held.checkpoints.get(&stream.0).copied();
        let still = still.map(|checkpoint| (stream.0, (checkpoint, checkpoint)));
        let moves = BTreeMap::from_iter(still);
        self.checkpoints.advance(&mut transaction, &moves).await?;
        let settled = settle(
            &self.projection,
            Mode::Replay,
            &mut transaction,
            &mut Parked::default(),
            events,
        )
        .await?;
        let mut failed = settled
            .left
            .into_iter()
            .next()
            .map(|(event, error)| (event.position, error));
        if let Some((index, error)) = settled.unknown {
            failed = Some((events[index].position, super::tell(&error)));
        }
        let until = match (&failed, events.last()) {
            (Some((position, _)), _) => position - 1,
            (None, Some(last)) => last.position,
            (None, None) => 0,
        };
        self.applied(&mut transaction, stream, until).await?;
        if let Some((position, error)) = &failed {
            self.failed(&mut transaction, stream, *position, error)
                .await?;
        }
        transaction.commit().await?;
        tracing::info!(
            projection = self.projection.name(),
            partition = stream.0.number(),
            stream = %stream.2.0,
            until,
            failed = failed.is_some(),
            "applied what was parked"
        );
        if failed.is_some() {
            held.parked.answered(stream);
            return Ok(false);
        }
        let more = !self.waiting(stream).await?.is_empty();
        if !more {
            held.parked.remove(stream);
        }
        Ok(more)
    }

    /// Removes what was applied; the mark of a stream that was parked by hand goes with the last.
    async fn applied(
        &self,
        connection: &mut PgConnection,
        (partition, tenant, stream): &Key,
        until: i64,
    ) -> Result<(), sqlx::Error> {
        for statement in [
            "delete from parked where partition = $1 and projection = $2 and version = $3 and tenant = $4 and stream_id = $5
                and position > 0 and position <= $6",
            "delete from parked where partition = $1 and projection = $2 and version = $3 and tenant = $4 and stream_id = $5
                and position = 0 and not exists (
                    select from parked where partition = $1 and projection = $2 and version = $3 and tenant = $4
                        and stream_id = $5 and position > $6)",
        ] {
            sqlx::query(statement)
                .bind(i16::from(partition.number()))
                .bind(self.projection.name())
                .bind(self.projection.version())
                .bind(tenant.as_str())
                .bind(stream.0)
                .bind(until)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }

    /// Writes down where it failed, and that the wish was dealt with.
    async fn failed(
        &self,
        connection: &mut PgConnection,
        (partition, tenant, stream): &Key,
        position: i64,
        error: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update parked set replay = false, error = case when position = $6 then $7 else error end
             where partition = $1 and projection = $2 and version = $3 and tenant = $4 and stream_id = $5",
        )
        .bind(i16::from(partition.number()))
        .bind(self.projection.name())
        .bind(self.projection.version())
        .bind(tenant.as_str())
        .bind(stream.0)
        .bind(position)
        .bind(error)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// The events of a stream at these positions.
async fn gather<E, F>(
    (partition, tenant, stream): &Key,
    positions: &[i64],
    read: &impl Fn(Partition, i64, u32) -> F,
) -> Result<Vec<StoredEvent>, E>
where
    E: From<ProjectionError>,
    F: Future<Output = Result<Vec<StoredEvent>, E>>,
{
    let mut missing: BTreeSet<i64> = positions.iter().copied().collect();
    let mut events = Vec::with_capacity(positions.len());
    while let Some(first) = missing.first().copied() {
        let read = read(*partition, first - 1, READ_EVENTS).await?;
        events.extend(read.into_iter().filter(|event| {
            event.tenant == *tenant && event.stream_id == *stream && missing.remove(&event.position)
        }));
        if missing.contains(&first) {
            return Err(E::from(ProjectionError::Missing {
                partition: partition.number(),
                position: first,
            }));
        }
    }
    Ok(events)
}
