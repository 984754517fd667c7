//! What a process works on of a projection.

use std::collections::BTreeMap;

use aggregate::Partition;

use super::parked::Parked;
use crate::checkpoint::Checkpoint;

/// What this process works on of a projection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Held {
    /// How far the partitions have come whose lease this process has.
    pub checkpoints: BTreeMap<Partition, Checkpoint>,
    /// Their streams that are parked. The lease fences: nobody else parks one meanwhile without taking the lease.
    pub(super) parked: Parked,
    /// Where an event stood that was not known.
    pub(super) unknown: BTreeMap<Partition, i64>,
    pub(super) paused: bool,
}

impl Held {
    /// Ranges of about as many partitions each, to be worked on at the same time.
    pub(crate) fn split(mut self, ranges: usize) -> Vec<Self> {
        let size = self.checkpoints.len().div_ceil(ranges).max(1);
        let mut split = Vec::with_capacity(ranges);
        while let Some((first, _)) = self.checkpoints.iter().nth(size) {
            let first = *first;
            let rest = Self {
                checkpoints: self.checkpoints.split_off(&first),
                parked: self.parked.split_off(first),
                unknown: self.unknown.split_off(&first),
                paused: self.paused,
            };
            split.push(std::mem::replace(&mut self, rest));
        }
        split.push(self);
        split
    }

    /// Takes back a range.
    pub(crate) fn join(&mut self, range: Self) {
        self.checkpoints.extend(range.checkpoints);
        self.parked.join(range.parked);
        self.unknown.extend(range.unknown);
        self.paused |= range.paused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_in_one_range() {
        for (partitions, ranges) in [(64, 3), (64, 64), (5, 3), (1, 3), (0, 3)] {
            let all = || Partition::all().take(partitions);
            let held = Held {
                checkpoints: all().map(|n| (n, Checkpoint::default())).collect(),
                parked: all()
                    .map(Parked::of_partition)
                    .fold(Parked::default(), |mut all, one| {
                        all.join(one);
                        all
                    }),
                unknown: all().map(|n| (n, 1)).collect(),
                paused: false,
            };
            let split = held.clone().split(ranges);
            assert!(split.len() <= ranges, "{partitions} in {ranges}");
            let mut joined = Held::default();
            for range in split {
                assert_eq!(range.checkpoints.len(), range.unknown.len());
                joined.join(range);
            }
            assert_eq!(joined, held);
        }
    }
}
