//! How a relay stands, for whoever watches it. It is kept in memory: asking NATS for it would tell nothing while NATS is away.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

/// How the relay of one process stands. Clones show the same relay.
#[derive(Clone, Debug, Default)]
pub struct RelayStanding(Arc<Shown>);

#[derive(Debug, Default)]
struct Shown {
    works: AtomicBool,
    /// Sum over the partitions.
    published: AtomicI64,
}

impl RelayStanding {
    /// Events of the log that the stream holds, while this process is the one that publishes them. None while another one is, or nobody
    /// can: NATS is away, or the stream has not been read yet.
    #[must_use]
    pub fn published_events(&self) -> Option<i64> {
        // Acquired after it was released by `begins`, so that the number is of the present stream.
        let works = self.0.works.load(Ordering::Acquire);
        works.then(|| self.0.published.load(Ordering::Relaxed))
    }

    pub(super) fn begins(&self, published: i64) {
        self.0.published.store(published, Ordering::Relaxed);
        self.0.works.store(true, Ordering::Release);
    }

    pub(super) fn published(&self, events: usize) {
        let events = i64::try_from(events).unwrap_or(i64::MAX);
        self.0.published.fetch_add(events, Ordering::Relaxed);
    }

    pub(super) fn stands_still(&self) {
        self.0.works.store(false, Ordering::Release);
    }
}
