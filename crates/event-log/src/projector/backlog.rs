//! Far behind, as in a rebuild: several sessions at once, each on partitions of its own, in larger transactions.

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use futures::future::join_all;
use tokio::time::Instant;

use super::{Held, Projector};
use crate::projection::{Projection, ProjectionError};

/// Events in one transaction. Larger ones save commits, and rows that belong together are written together.
pub(super) const BATCH_EVENTS_MAX: i64 = 4000;
/// Enough that PostgreSQL is never idle while one of them decodes.
const SESSIONS: usize = 3;
/// From how many events on it pays.
pub(super) const FAR_BEHIND_EVENTS: i64 = BATCH_EVENTS_MAX * 4;
/// How long the sessions go on before leases and heads are looked at again.
const STRETCH: Duration = Duration::from_millis(500);

impl<P: Projection> Projector<P> {
    /// Applies what is known to be there, as far as it comes within a moment; returns how many events that were. Partitions do not depend on
    /// each other, so that the failure of one session takes back nothing of the others.
    pub(super) async fn work_off(
        &self,
        held: &mut Held,
        heads: &BTreeMap<Partition, i64>,
    ) -> Result<usize, ProjectionError> {
        let until = Instant::now() + STRETCH;
        let mut ranges = split(std::mem::take(held), SESSIONS);
        let outcomes = join_all(ranges.iter_mut().map(|range| async move {
            let mut applied = 0;
            while Instant::now() < until {
                match self.apply_next(range, heads, BATCH_EVENTS_MAX).await? {
                    0 => break,
                    events => applied += events,
                }
            }
            Ok(applied)
        }))
        .await;
        for range in ranges {
            held.extend(range);
        }
        outcomes.into_iter().sum()
    }
}

/// Ranges of about as many partitions each.
fn split(mut held: Held, ranges: usize) -> Vec<Held> {
    let size = held.len().div_ceil(ranges).max(1);
    let mut split = Vec::with_capacity(ranges);
    while let Some((first, _)) = held.iter().nth(size) {
        let rest = held.split_off(&first.clone());
        split.push(std::mem::replace(&mut held, rest));
    }
    split.push(held);
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;

    #[test]
    fn every_partition_is_in_one_range() {
        for (partitions, ranges) in [(64, 3), (64, 64), (5, 3), (1, 3), (0, 3)] {
            let held: Held = Partition::all()
                .take(partitions)
                .map(|partition| (partition, Checkpoint::default()))
                .collect();
            let split = split(held.clone(), ranges);
            assert!(split.len() <= ranges, "{partitions} in {ranges}");
            assert_eq!(split.iter().map(Held::len).sum::<usize>(), partitions);
            assert_eq!(split.into_iter().flatten().collect::<Held>(), held);
        }
    }
}
