//! How long a reader of a log lets events gather before it takes the next batch.

use std::time::Duration;

use tokio::time::Instant;

/// From how many events in a millisecond on they come fast.
const BUSY_EVENTS_PER_MS: u128 = 4;
/// How long to wait then: each batch costs a commit, whatever it holds.
const BUSY: Duration = Duration::from_millis(25);

/// Tells a reader how long to wait after a batch that was not full. When events come fast, fewer and larger batches do the same work for less;
/// when they do not, the wait stays short, also after a stall in which many have gathered.
#[derive(Debug)]
pub struct Linger {
    quiet: Duration,
    taken_at: Instant,
}

impl Linger {
    /// Waits for `quiet` where events do not come fast. `now` is when the first batch begins to gather.
    #[must_use]
    pub fn new(quiet: Duration, now: Instant) -> Self {
        Self {
            quiet,
            taken_at: now,
        }
    }

    /// How long to wait after a batch of `events` that was taken at `now`.
    pub fn after(&mut self, events: usize, now: Instant) -> Duration {
        let gathered_ms = (now - std::mem::replace(&mut self.taken_at, now)).as_millis();
        if events as u128 >= BUSY_EVENTS_PER_MS * gathered_ms.max(1) {
            self.quiet.max(BUSY)
        } else {
            self.quiet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_only_while_events_come_fast() {
        let ms = Duration::from_millis;
        let start = Instant::now();
        let mut linger = Linger::new(ms(3), start);
        assert_eq!(linger.after(5, start + ms(5)), ms(3), "a thousand a second");
        assert_eq!(linger.after(50, start + ms(10)), BUSY, "ten thousand");
        assert_eq!(linger.after(40, start + ms(50)), ms(3), "after a stall");
        assert_eq!(linger.after(400, start + ms(90)), BUSY);
        let mut patient = Linger::new(ms(100), start);
        assert_eq!(patient.after(1000, start + ms(10)), ms(100));
    }
}
