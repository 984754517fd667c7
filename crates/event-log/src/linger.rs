//! How long a reader of a log lets events gather before it takes the next batch.

use std::time::Duration;

/// From how many events in a batch on they come fast enough to wait for more.
const BUSY_EVENTS: usize = 32;
/// How long to wait then: each batch costs a commit, whatever it holds.
const BUSY: Duration = Duration::from_millis(25);

/// How long to wait after a batch of `events` that was not full. When events come fast, fewer and larger batches do the same work for less; when
/// they come one by one, `quiet` keeps the delay small.
#[must_use]
pub fn linger(quiet: Duration, events: usize) -> Duration {
    if events < BUSY_EVENTS {
        quiet
    } else {
        quiet.max(BUSY)
    }
}
