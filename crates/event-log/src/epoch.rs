//! Epochs: which history of the log this is. A database that is restored to an earlier point takes back what others have seen;
//! the epoch says so, and the forks say how far back.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use aggregate::{PARTITIONS, Partition};
use uuid::Uuid;

use crate::{EventLog, error::LogError, read::partition_of};

/// Where a log stands, and where its history forked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Present epoch.
    pub epoch: i32,
    /// The last position of each partition; 0 or missing when it is empty.
    pub heads: BTreeMap<Partition, i64>,
    /// Every fork since the first epoch, in no order.
    pub forks: Vec<Fork>,
}

/// Where an epoch leaves the history before it, in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The epoch that begins here.
    pub epoch: i32,
    /// Partition.
    pub partition: Partition,
    /// The last position that both histories have in common.
    pub position: i64,
}

impl History {
    /// The last position that this history has in common with that of an older epoch; none when nothing forked since.
    #[must_use]
    pub fn fork_since(&self, epoch: i32, partition: Partition) -> Option<i64> {
        self.forks
            .iter()
            .filter(|fork| fork.partition == partition && fork.epoch > epoch)
            .map(|fork| fork.position)
            .min()
    }
}

impl EventLog {
    /// Epoch of the log as this process knows it: positions of different epochs do not compare. [`Self::heads`] and
    /// [`Self::refresh_epoch`] read it anew, so that a raise by another process is known here when the log is next looked at.
    #[must_use]
    pub fn epoch(&self) -> i32 {
        self.inner.epoch.load(Ordering::Acquire)
    }

    pub(crate) fn note_epoch(&self, epoch: i32) {
        self.inner.epoch.store(epoch, Ordering::Release);
    }

    /// Reads the epoch from the database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh_epoch(&self) -> Result<i32, LogError> {
        let epoch = sqlx::query_scalar("select epoch from log_epoch")
            .fetch_one(self.pool())
            .await?;
        self.note_epoch(epoch);
        Ok(epoch)
    }

    /// Begins a new epoch: the log turned out to be restored to an earlier point than what was published of it. `present` is the
    /// epoch at which that was found out and `published` the newest epoch that was published; the new one is beyond both. `forks`
    /// has the last position that both histories share; partitions that are missing share nothing.
    ///
    /// Nothing happens and the answer is none when the epoch is no longer `present`: somebody else raised it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn raise_epoch(
        &self,
        present: i32,
        published: i32,
        forks: &BTreeMap<Partition, i64>,
    ) -> Result<Option<i32>, LogError> {
        let mut transaction = self.pool().begin().await?;
        let raised: Option<i32> = sqlx::query_scalar(
            "update log_epoch set epoch = greatest(epoch, $2) + 1 where epoch = $1 returning epoch",
        )
        .bind(present)
        .bind(published)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(epoch) = raised else {
            return Ok(None);
        };
        let (partitions, positions): (Vec<i16>, Vec<i64>) = forks
            .iter()
            .map(|(partition, position)| (i16::from(partition.number()), *position))
            .unzip();
        // The restore also took the forks of the epochs in between. Nobody knows them any more, so they are taken to share nothing.
        sqlx::query(
            "insert into log_fork (partition, epoch, position)
             select p.n, e.n, case when e.n = $2 then coalesce(f.position, 0) else 0 end
             from generate_series(0, $5 - 1) as p (n)
             cross join generate_series($1 + 1, $2) as e (n)
             left join unnest($3::smallint[], $4::bigint[]) as f (partition, position) on f.partition = p.n",
        )
        .bind(present)
        .bind(epoch)
        .bind(&partitions)
        .bind(&positions)
        .bind(i32::from(PARTITIONS))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.note_epoch(epoch);
        Ok(Some(epoch))
    }

    /// Where the log stands and where it forked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn history(&self) -> Result<History, LogError> {
        let heads = self.heads().await?;
        let epoch = self.refresh_epoch().await?;
        let rows: Vec<(i16, i32, i64)> =
            sqlx::query_as("select partition, epoch, position from log_fork")
                .fetch_all(self.pool())
                .await?;
        let forks = rows
            .into_iter()
            .map(|(partition, epoch, position)| {
                Ok(Fork {
                    epoch,
                    partition: partition_of(partition)?,
                    position,
                })
            })
            .collect::<Result<_, sqlx::Error>>()?;
        Ok(History {
            epoch,
            heads,
            forks,
        })
    }

    /// Of events that somebody has seen in this log, for each partition the last one that is still there: same position, same id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_shared(
        &self,
        seen: &[(Partition, i64, Uuid)],
    ) -> Result<BTreeMap<Partition, i64>, LogError> {
        let partitions: Vec<i16> = seen.iter().map(|seen| seen.0.number().into()).collect();
        let positions: Vec<i64> = seen.iter().map(|seen| seen.1).collect();
        let ids: Vec<Uuid> = seen.iter().map(|seen| seen.2).collect();
        let rows: Vec<(i16, i64)> = sqlx::query_as(
            "select e.partition, max(e.position)
             from unnest($1::smallint[], $2::bigint[], $3::uuid[]) as seen (partition, position, event_id)
             join event e on e.partition = seen.partition and e.position = seen.position and e.event_id = seen.event_id
             group by e.partition",
        )
        .bind(&partitions)
        .bind(&positions)
        .bind(&ids)
        .fetch_all(self.pool())
        .await?;
        Ok(rows
            .into_iter()
            .map(|(partition, position)| Ok((partition_of(partition)?, position)))
            .collect::<Result<_, sqlx::Error>>()?)
    }
}
