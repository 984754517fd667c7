//! Where the relay begins: at the stream's tail, or at the beginning when the stream is no copy of the log.

use std::collections::BTreeMap;

use aggregate::Partition;
use uuid::Uuid;

use super::{Relay, publishing::Cursor, reading::Ahead};
use crate::{
    broken,
    error::BusError,
    forks::find_forks,
    tail::{Tail, read_tail},
};

impl Relay {
    /// Reads the tail, and begins the stream anew when it is not a copy of this log.
    ///
    /// A crash between raising the epoch and purging leaves a stream of an older epoch than the log's: whoever comes next finds
    /// it not whole under the present epoch and purges it, without raising again.
    pub(super) async fn open(&self) -> Result<(Cursor, Ahead), BusError> {
        let stream = self.bus.own_stream(self.log.name()).await?;
        let mut epoch = self.log.refresh_epoch().await?;
        let mut tail = read_tail(&self.bus, self.log.name(), &stream).await?;
        let taken_back = !broken::copy()
            && tail.newest_epoch() >= epoch
            && !self.is_copy_of_log(&tail, epoch).await?;
        if taken_back {
            let forks = find_forks(&self.log, &self.bus, &stream, &tail).await?;
            epoch = self
                .log
                .raise_epoch(epoch, tail.newest_epoch(), &forks)
                .await?
                .ok_or(BusError::StreamMoved)?;
        }
        fail::fail_point!("epoch-raised", taken_back, |_| std::process::abort());
        if taken_back || !tail.is_whole(epoch) {
            tracing::warn!(
                log = self.log.name(),
                epoch,
                taken_back,
                "the stream is not a copy of the log; publishing anew"
            );
            // Only what was looked at: somebody else may have begun anew already.
            stream
                .purge()
                .sequence(tail.last_sequence + 1)
                .await
                .map_err(BusError::nats("purging the stream"))?;
            tail = read_tail(&self.bus, self.log.name(), &stream).await?;
            if tail.messages > 0 {
                return Err(BusError::StreamMoved);
            }
        }
        let positions = Partition::all()
            .map(|partition| {
                (
                    partition,
                    tail.last.get(&partition).map_or(0, |last| last.position),
                )
            })
            .collect();
        let cursor = Cursor::new(&self.bus, stream, epoch, &tail).await?;
        let ahead = Ahead {
            positions,
            heads: BTreeMap::new(),
        };
        Ok((cursor, ahead))
    }

    /// Whether what the stream ends with stands at the same place in the log.
    async fn is_copy_of_log(&self, tail: &Tail, epoch: i32) -> Result<bool, BusError> {
        let before: Vec<(Partition, i64)> = tail
            .last
            .iter()
            .map(|(partition, last)| (*partition, last.position - 1))
            .collect();
        let stored: BTreeMap<Partition, (i64, Uuid)> = self
            .log
            .read_after(&before, 1)
            .await?
            .into_iter()
            .map(|event| (event.partition, (event.position, event.event_id)))
            .collect();
        Ok(tail.last.iter().all(|(partition, last)| {
            last.epoch <= epoch && stored.get(partition) == Some(&(last.position, last.event_id))
        }))
    }
}
