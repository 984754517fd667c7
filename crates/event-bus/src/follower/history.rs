//! What a follower does when the log that it follows was restored to an earlier point: its checkpoints go back to where both
//! histories are one, and where that took back something that was applied, it is written down.

use aggregate::Partition;
use event_log::{Checkpoint, Held, History, Projection};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{Follower, Origin};
use crate::error::BusError;

/// Events that a follower had applied and the log that it follows no longer has. The rows made from them may still be there.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Divergence {
    /// The projection that followed.
    pub projection: String,
    /// Its version.
    pub version: i32,
    /// Service that owns the log.
    pub source: String,
    /// Partition.
    pub partition: i16,
    /// Epoch of the history that was applied.
    pub old_epoch: i32,
    /// Epoch of the history that took its place; the same as the old one when the origin had lost events without knowing of it.
    pub new_epoch: i32,
    /// The last position that was applied of the old history.
    pub from_position: i64,
    /// The last position that both have in common: what is behind it was taken back.
    pub to_position: i64,
    /// When it was found.
    pub found_at: OffsetDateTime,
}

/// Every divergence that the followers of this database have met and no rebuild has cleared, by projection and partition.
///
/// # Errors
/// When the database fails.
pub async fn divergences(pool: &PgPool) -> Result<Vec<Divergence>, sqlx::Error> {
    sqlx::query_as(
        "select projection, version, source, partition, old_epoch, new_epoch, from_position, to_position, found_at
         from divergence order by projection, version, partition, old_epoch, new_epoch",
    )
    .fetch_all(pool)
    .await
}

/// Forgets the divergences of a projection, within the transaction that has rebuilt it or begins to.
///
/// # Errors
/// When the database fails.
pub async fn clear_divergences(
    connection: &mut PgConnection,
    projection: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from divergence where projection = $1")
        .bind(projection)
        .execute(connection)
        .await?;
    Ok(())
}

/// Epoch of the history that a checkpoint stands on. What was never followed on the bus counts as the first.
pub(super) fn epoch_of(checkpoint: &Checkpoint) -> i32 {
    checkpoint.source_epoch.max(1)
}

/// Where a checkpoint belongs in the history that the origin has now.
fn place(history: &History, partition: Partition, checkpoint: &Checkpoint) -> i64 {
    let shared = if history.epoch > epoch_of(checkpoint) {
        history.fork_since(epoch_of(checkpoint), partition)
    } else {
        Some(history.heads.get(&partition).copied().unwrap_or(0))
    };
    shared.map_or(checkpoint.position, |shared| {
        shared.min(checkpoint.position)
    })
}

impl<P: Projection, O: Origin> Follower<P, O> {
    /// Takes the origin's epoch for all partitions held, and moves those back that stand behind a fork or ahead of the origin. Whether
    /// some went back: begin again then, because what was parked may be gone.
    pub(super) async fn take_history(
        &self,
        held: &mut Held,
        history: &History,
    ) -> Result<bool, BusError> {
        let mut moves = std::collections::BTreeMap::new();
        let mut went_back = false;
        for (partition, before) in &held.checkpoints {
            if history.epoch < epoch_of(before) {
                return Err(BusError::EpochWentBack {
                    source_log: self.source,
                    applied: before.source_epoch,
                    present: history.epoch,
                });
            }
            let position = place(history, *partition, before);
            if position < before.position {
                moves.insert(
                    *partition,
                    (*before, before.moved_along(position, history.epoch, 0)),
                );
            } else if history.epoch > epoch_of(before) {
                let after = before.moved_along(position, history.epoch, before.source_sequence);
                moves.insert(*partition, (*before, after));
            }
        }
        if moves.is_empty() {
            return Ok(false);
        }
        let mut transaction = self.log.pool().begin().await?;
        self.live
            .checkpoints()
            .advance(&mut transaction, &moves)
            .await?;
        for (partition, (before, after)) in &moves {
            if after.position < before.position {
                went_back = true;
                self.diverge(&mut transaction, *partition, before, after)
                    .await?;
            }
        }
        transaction.commit().await?;
        for (partition, (_, after)) in moves {
            held.checkpoints.insert(partition, after);
        }
        Ok(went_back)
    }

    async fn diverge(
        &self,
        connection: &mut PgConnection,
        partition: Partition,
        before: &Checkpoint,
        after: &Checkpoint,
    ) -> Result<(), sqlx::Error> {
        tracing::error!(
            projection = self.live.projection().name(),
            source = self.source,
            partition = partition.number(),
            old_epoch = epoch_of(before),
            new_epoch = after.source_epoch,
            from = before.position,
            to = after.position,
            "the origin no longer has events that were applied; going on from where both agree"
        );
        sqlx::query(
            "insert into divergence as d
                (partition, projection, version, source, old_epoch, new_epoch, from_position, to_position)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (partition, projection, version, old_epoch, new_epoch) do update set
                from_position = greatest(d.from_position, excluded.from_position),
                to_position = least(d.to_position, excluded.to_position)",
        )
        .bind(i16::from(partition.number()))
        .bind(self.live.projection().name())
        .bind(self.live.projection().version())
        .bind(self.source)
        .bind(epoch_of(before))
        .bind(after.source_epoch)
        .bind(before.position)
        .bind(after.position)
        .execute(&mut *connection)
        .await?;
        // What was parked of the history that is no more never comes again.
        sqlx::query("delete from parked where partition = $1 and projection = $2 and version = $3 and position > $4")
            .bind(i16::from(partition.number()))
            .bind(self.live.projection().name())
            .bind(self.live.projection().version())
            .bind(after.position)
            .execute(connection)
            .await?;
        Ok(())
    }
}
