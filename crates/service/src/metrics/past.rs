//! Where a log stood at moments before, and so for how long somebody has been behind it. It is asked of what was seen rather than of
//! the events themselves, because a follower has no others than those it has applied.

use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

use aggregate::Partition;
use tokio::time::Instant;

/// Moments that are kept: at a look every 15 s half an hour of them, after which every second one goes.
const MOMENTS_MAX: usize = 128;

pub(super) type Positions = BTreeMap<Partition, i64>;

/// The heads of one log, oldest first, from when each was first seen.
#[derive(Debug, Default)]
pub(super) struct Past(VecDeque<(Instant, Positions)>);

impl Past {
    /// Takes note of where the log is now.
    pub(super) fn note(&mut self, heads: Positions, now: Instant) {
        if let Some((_, before)) = self.0.back() {
            if *before == heads {
                return;
            }
            if !reaches(&heads, before) {
                // A log that was restored: what was before is no more.
                self.0.clear();
            }
        }
        self.0.push_back((now, heads));
        if self.0.len() > MOMENTS_MAX {
            let mut number = 0;
            self.0.retain(|_| {
                number += 1;
                number % 2 == 1
            });
        }
    }

    /// Events that come after these positions, as far as the log is known. None when it is not.
    pub(super) fn behind(&self, positions: &Positions) -> Option<i64> {
        let (_, heads) = self.0.back()?;
        // Whoever was asked later may have come further than what was known of the log.
        let behind = heads
            .iter()
            .map(|(partition, head)| (head - position(positions, *partition)).max(0));
        Some(behind.sum())
    }

    /// How long ago the log was first seen to be further than these positions. Zero when they have reached it, None when it is not known.
    pub(super) fn behind_for(&self, positions: &Positions, now: Instant) -> Option<Duration> {
        self.0.back()?;
        let first_not_reached = self.0.iter().find(|(_, heads)| !reaches(positions, heads));
        Some(first_not_reached.map_or(Duration::ZERO, |(seen, _)| now - *seen))
    }
}

fn reaches(positions: &Positions, heads: &Positions) -> bool {
    heads
        .iter()
        .all(|(partition, head)| position(positions, *partition) >= *head)
}

fn position(positions: &Positions, partition: Partition) -> i64 {
    positions.get(&partition).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(positions: [i64; 2]) -> Positions {
        Partition::all().zip(positions).collect()
    }

    #[test]
    fn behind_is_counted_from_when_the_first_event_that_lacks_was_seen() {
        let (begin, mut past) = (Instant::now(), Past::default());
        assert_eq!(past.behind(&at([0, 0])), None);
        assert_eq!(past.behind_for(&at([0, 0]), begin), None);
        past.note(at([5, 0]), begin);
        past.note(at([5, 3]), begin + 10 * SECOND);
        past.note(at([9, 3]), begin + 20 * SECOND);
        let now = begin + 30 * SECOND;
        let asked = |positions| {
            let positions = at(positions);
            let seconds = past.behind_for(&positions, now).unwrap().as_secs();
            (past.behind(&positions).unwrap(), seconds)
        };
        assert_eq!(asked([0, 0]), (12, 30));
        assert_eq!(asked([5, 2]), (5, 20));
        assert_eq!(asked([5, 3]), (4, 10));
        assert_eq!(asked([9, 3]), (0, 0));
        assert_eq!(asked([10, 4]), (0, 0), "asked after the log was");
        // Much of one partition does not make up for what another lacks.
        assert_eq!(asked([9, 0]), (3, 20));
    }

    #[test]
    fn a_log_that_was_restored_has_no_past() {
        let (begin, mut past) = (Instant::now(), Past::default());
        past.note(at([9, 3]), begin);
        past.note(at([2, 3]), begin + 10 * SECOND);
        let now = begin + 30 * SECOND;
        assert_eq!(past.behind_for(&at([2, 3]), now), Some(Duration::ZERO));
        assert_eq!(past.behind_for(&at([1, 3]), now), Some(20 * SECOND));
    }

    #[test]
    fn a_long_past_grows_coarse_instead_of_long() {
        let (begin, mut past) = (Instant::now(), Past::default());
        let mut moment = begin;
        for head in 0..10_000 {
            moment += SECOND;
            past.note(at([head, 0]), moment);
            assert!(past.0.len() <= MOMENTS_MAX);
        }
        // Whoever never moved is behind since the first event.
        let never = past.behind_for(&at([-1, 0]), moment).unwrap();
        assert_eq!(never.as_secs(), 9_999);
        // Whoever is a second behind is so to within twice the distance of moments.
        let second = past.behind_for(&at([9_998, 0]), moment).unwrap();
        assert!(second <= 2 * SECOND, "{second:?}");
    }
}
