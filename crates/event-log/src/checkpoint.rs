//! Checkpoints: how far a projection has come in each partition, and who may move it.

use std::{collections::BTreeMap, time::Duration};

use aggregate::{PARTITIONS, Partition};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{broken, projection::ProjectionError, read::partition_of};

/// Who has leases among the checkpoints and follows no log, so that how far they have come means nothing.
pub const LEASES: [&str; 2] = ["relay", "timers"];

/// How far a projection has come in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Position of the last event that was applied.
    pub position: i64,
    /// Epoch of the followed log at that time; 0 for the own log.
    pub source_epoch: i32,
    /// Where the stream on the bus had that position: a hint where to read on.
    pub source_sequence: i64,
    lease: i64,
}

impl Checkpoint {
    /// The checkpoint after the event at `position` of the own log.
    #[must_use]
    pub fn moved_to(self, position: i64) -> Self {
        Self { position, ..self }
    }

    /// The checkpoint after an event of another log, and where the bus had it.
    #[must_use]
    pub fn moved_along(self, position: i64, source_epoch: i32, source_sequence: i64) -> Self {
        Self {
            position,
            source_epoch,
            source_sequence,
            ..self
        }
    }
}

/// The checkpoints of one projection, as one process works on them. Leases spread the partitions over processes; the number that
/// comes with a lease fences a holder that lost it without noticing.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    pool: PgPool,
    projection: &'static str,
    version: i32,
    owner: Uuid,
    lease: Duration,
}

impl Checkpoints {
    /// The checkpoints of `projection`, to be worked on by this process.
    #[must_use]
    pub fn new(pool: PgPool, projection: &'static str, version: i32, lease: Duration) -> Self {
        Self {
            pool,
            projection,
            version,
            owner: Uuid::new_v4(),
            lease,
        }
    }

    /// Takes or renews the lease on all partitions that nobody else holds, and gives those that this process holds now. It has
    /// to be called again well before the lease runs out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn acquire(&self) -> Result<BTreeMap<Partition, Checkpoint>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let held = self.acquire_in(&mut transaction).await?;
        transaction.commit().await?;
        Ok(held)
    }

    /// The same within the caller's transaction.
    pub(crate) async fn acquire_in(
        &self,
        connection: &mut PgConnection,
    ) -> Result<BTreeMap<Partition, Checkpoint>, sqlx::Error> {
        sqlx::query(
            "insert into checkpoint (partition, projection, version)
             select n, $1, $2 from generate_series(0, $3 - 1) as n on conflict do nothing",
        )
        .bind(self.projection)
        .bind(self.version)
        .bind(i32::from(PARTITIONS))
        .execute(&mut *connection)
        .await?;
        let rows: Vec<(i16, i64, i32, i64, i64)> = sqlx::query_as(
            "update checkpoint set owner = $3, lease_until = now() + $4 * interval '1 millisecond',
                epoch = case when owner = $3 then epoch else epoch + 1 end
             where projection = $1 and version = $2 and (owner is null or owner = $3 or lease_until < now())
             returning partition, position, source_epoch, source_sequence, epoch",
        )
        .bind(self.projection)
        .bind(self.version)
        .bind(self.owner)
        .bind(i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
        rows.into_iter()
            .map(
                |(partition, position, source_epoch, source_sequence, lease)| {
                    let checkpoint = Checkpoint {
                        position,
                        source_epoch,
                        source_sequence,
                        lease,
                    };
                    Ok((partition_of(partition)?, checkpoint))
                },
            )
            .collect()
    }

    /// Takes the lease on all partitions from whoever holds it, who is fenced by that: a batch under way will not be committed.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn seize(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        self.acquire_in(&mut transaction).await?;
        sqlx::query(
            "update checkpoint set owner = $3, lease_until = now() + $4 * interval '1 millisecond', epoch = epoch + 1
             where projection = $1 and version = $2 and owner <> $3",
        )
        .bind(self.projection)
        .bind(self.version)
        .bind(self.owner)
        .bind(i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Gives up the leases on all partitions within the caller's transaction.
    ///
    /// # Errors
    /// [`ProjectionError::Overtaken`] when they are not all held any more: roll back then.
    pub(crate) async fn release_all_in(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        let released = sqlx::query(
            "update checkpoint set owner = null, lease_until = null
             where projection = $1 and version = $2 and owner = $3",
        )
        .bind(self.projection)
        .bind(self.version)
        .bind(self.owner)
        .execute(connection)
        .await?;
        if released.rows_affected() == u64::from(PARTITIONS) {
            Ok(())
        } else {
            Err(ProjectionError::Overtaken)
        }
    }

    /// Gives up all leases, so that others need not wait for them to run out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "update checkpoint set owner = null, lease_until = null
             where projection = $1 and version = $2 and owner = $3",
        )
        .bind(self.projection)
        .bind(self.version)
        .bind(self.owner)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// Moves checkpoints within the caller's transaction.
    ///
    /// # Errors
    /// [`ProjectionError::Overtaken`] when a lease was lost or a checkpoint is not where `from` says: roll back then.
    pub async fn advance(
        &self,
        connection: &mut PgConnection,
        moves: &BTreeMap<Partition, (Checkpoint, Checkpoint)>,
    ) -> Result<(), ProjectionError> {
        let mut partitions = Vec::with_capacity(moves.len());
        let mut from = Vec::with_capacity(moves.len());
        let mut lease = Vec::with_capacity(moves.len());
        let mut to = Vec::with_capacity(moves.len());
        let mut epochs = Vec::with_capacity(moves.len());
        let mut sequences = Vec::with_capacity(moves.len());
        for (partition, (before, after)) in moves {
            partitions.push(i16::from(partition.number()));
            from.push(before.position);
            lease.push(before.lease);
            to.push(after.position);
            epochs.push(after.source_epoch);
            sequences.push(after.source_sequence);
        }
        let moved = sqlx::query(
            "update checkpoint c set position = m.target, source_epoch = m.source_epoch, source_sequence = m.source_sequence
             from unnest($4::smallint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::integer[], $9::bigint[])
                as m (partition, origin, lease, target, source_epoch, source_sequence)
             where c.projection = $1 and c.version = $2 and c.owner = $3 and c.partition = m.partition
                and c.position = m.origin and c.epoch = m.lease",
        )
        .bind(self.projection)
        .bind(self.version)
        .bind(self.owner)
        .bind(&partitions)
        .bind(&from)
        .bind(&lease)
        .bind(&to)
        .bind(&epochs)
        .bind(&sequences)
        .execute(connection)
        .await?;
        if moved.rows_affected() == moves.len() as u64 || broken::fence() {
            Ok(())
        } else {
            Err(ProjectionError::Overtaken)
        }
    }
}
