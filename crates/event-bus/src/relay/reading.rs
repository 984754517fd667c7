//! What the relay publishes next, read while the batch before it is being committed.

use std::collections::BTreeMap;

use aggregate::Partition;
use event_log::StoredEvent;

use super::Relay;
use crate::error::BusError;

/// How far the relay has read, and how far it knows that there is something to read.
pub(super) struct Ahead {
    /// Last position read, of every partition.
    pub(super) positions: BTreeMap<Partition, i64>,
    /// Heads when they were last looked at: the log has at least that.
    pub(super) heads: BTreeMap<Partition, i64>,
}

impl Ahead {
    pub(super) fn move_past(&mut self, batch: &[StoredEvent]) {
        for event in batch {
            self.positions.insert(event.partition, event.position);
        }
    }

    /// Events that are known to be there and were not read, by partition.
    fn lags(&self) -> impl Iterator<Item = (Partition, i64, i64)> {
        self.positions.iter().filter_map(|(partition, position)| {
            let lag = self.heads.get(partition)? - position;
            (lag > 0).then_some((*partition, *position, lag))
        })
    }

    /// The most events to take of each partition so that all together are as many as possible, but not more than `total`. A
    /// partition that has fewer leaves its share to the others.
    fn share(&self, total: i64) -> i64 {
        let lags: Vec<i64> = self.lags().map(|(_, _, lag)| lag).collect();
        let taken = |share: i64| lags.iter().map(|lag| share.min(*lag)).sum::<i64>();
        let (mut fits, mut exceeds) = (1, total + 1);
        while fits + 1 < exceeds {
            let middle = i64::midpoint(fits, exceeds);
            if taken(middle) <= total {
                fits = middle;
            } else {
                exceeds = middle;
            }
        }
        fits
    }
}

impl Relay {
    /// The next batch of what is known to be there, within the limits of a batch; empty when nothing is known.
    pub(super) async fn read(&self, ahead: &Ahead) -> Result<Vec<StoredEvent>, BusError> {
        let behind: Vec<(Partition, i64)> = ahead
            .lags()
            .map(|(partition, position, _)| (partition, position))
            .collect();
        if behind.is_empty() {
            return Ok(Vec::new());
        }
        let total = i64::try_from(self.options.batch_events_max).unwrap_or(i64::MAX - 1);
        let mut events = self.log.follow_after(&behind, ahead.share(total)).await?;
        events.truncate(self.options.batch_events_max);
        cut(&mut events, self.options.batch_bytes_max);
        Ok(events)
    }
}

/// Keeps as many of the first events as fit into `bytes`, but always one.
fn cut(events: &mut Vec<StoredEvent>, bytes: usize) {
    let mut sum = 0;
    let fits = events
        .iter()
        .take_while(|event| {
            sum += event.payload.len() + event.metadata.len();
            sum <= bytes
        })
        .count();
    events.truncate(fits.max(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(lags: &[i64]) -> Ahead {
        let partitions = || Partition::all().zip(lags);
        Ahead {
            positions: partitions().map(|(partition, _)| (partition, 7)).collect(),
            heads: partitions()
                .map(|(partition, lag)| (partition, 7 + lag))
                .collect(),
        }
    }

    #[test]
    fn a_batch_is_full_however_uneven_the_partitions_are() {
        assert_eq!(ahead(&[5000]).share(1000), 1000);
        assert_eq!(ahead(&[5000, 10, 0, 90]).share(1000), 900);
        assert_eq!(ahead(&[5000; 10]).share(1000), 100);
        assert_eq!(ahead(&[3, 4]).share(1000), 1000, "all of it");
        assert_eq!(ahead(&[5, 5, 5]).share(2), 1, "never nothing");
    }
}
