//! Whoever owns the log that is followed, and what a follower reads there because the stream lacks it.

use std::collections::BTreeMap;

use aggregate::Partition;
use event_log::{EventLog, Held, History, Projection, StoredEvent};

use super::Follower;
use crate::error::BusError;

/// Why an origin did not answer.
pub type OriginError = Box<dyn std::error::Error + Send + Sync>;

/// Whoever owns a log and can give what its stream lacks.
pub trait Origin: Send + Sync + 'static {
    /// Events of a partition behind a position, in order, at most `limit`.
    ///
    /// # Errors
    /// When the origin cannot be asked.
    fn read(
        &self,
        partition: Partition,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<StoredEvent>, OriginError>> + Send;

    /// Where the log stands and where its history forked.
    ///
    /// # Errors
    /// When the origin cannot be asked.
    fn history(&self) -> impl Future<Output = Result<History, OriginError>> + Send;
}

impl Origin for EventLog {
    async fn read(
        &self,
        partition: Partition,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, OriginError> {
        Ok(self
            .read_after(&[(partition, after)], i64::from(limit))
            .await?)
    }

    async fn history(&self) -> Result<History, OriginError> {
        Ok(Self::history(self).await?)
    }
}

impl<P: Projection, O: Origin> Follower<P, O> {
    /// Reads from the origin what lies between the checkpoints and its heads: the stream no longer holds what came next, and a
    /// partition without later events would never show that it lacks some.
    pub(super) async fn catch_up(&self, held: &mut Held, epoch: i32) -> Result<(), BusError> {
        let limit = u32::try_from(self.options.batch_events_max).unwrap_or(u32::MAX);
        for partition in held.checkpoints.keys().copied().collect::<Vec<_>>() {
            while let Some(before) = held.checkpoints.get(&partition).copied() {
                let events = self.read_origin(partition, before.position, limit).await?;
                if events.is_empty() {
                    break;
                }
                let after = |count: usize| {
                    let position = before.position + i64::try_from(count).unwrap_or(i64::MAX);
                    let after = before.moved_along(position, epoch, before.source_sequence);
                    BTreeMap::from([(partition, after)])
                };
                self.write(held, &events, after).await?;
            }
        }
        Ok(())
    }

    /// The events between two positions, from the origin.
    pub(super) async fn fetch_missing(
        &self,
        partition: Partition,
        after: i64,
        before: i64,
    ) -> Result<Vec<StoredEvent>, BusError> {
        tracing::warn!(
            source = self.source,
            partition = partition.number(),
            after,
            before,
            "fetching what the stream lacks"
        );
        let limit = u32::try_from(before - after - 1).unwrap_or(u32::MAX);
        let fetched = self.read_origin(partition, after, limit).await?;
        if fetched.last().map(|event| event.position) == Some(before - 1) {
            Ok(fetched)
        } else {
            Err(self.missing(
                partition,
                fetched.last().map_or(after, |event| event.position),
            ))
        }
    }

    /// Events of the origin behind a position; an error when they are not those that come next.
    pub(super) async fn read_origin(
        &self,
        partition: Partition,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, BusError> {
        let read = self
            .origin
            .read(partition, after, limit)
            .await
            .map_err(BusError::Origin)?;
        if read
            .iter()
            .map(|event| event.position)
            .eq((after + 1..).take(read.len()))
        {
            Ok(read)
        } else {
            Err(self.missing(partition, after))
        }
    }

    fn missing(&self, partition: Partition, after: i64) -> BusError {
        BusError::Missing {
            source_log: self.source,
            partition: partition.number(),
            after,
        }
    }
}
