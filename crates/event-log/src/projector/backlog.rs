//! Far behind, as in a rebuild: several sessions at once, each on partitions of its own, in larger transactions.

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use futures::future::join_all;
use tokio::time::Instant;

use super::Projector;
use crate::{
    live::Held,
    projection::{Projection, ProjectionError},
};

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
        let mut ranges = std::mem::take(held).split(SESSIONS);
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
            held.join(range);
        }
        outcomes.into_iter().sum()
    }
}
