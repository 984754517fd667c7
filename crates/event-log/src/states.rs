//! Folded state of streams that commands were decided on lately, so that the next command need not fold the stream again.
//!
//! What is remembered may be out of date, since other processes append too, or ahead of the log, since a command is decided on the effect of
//! the one before it while that one is still being written. Both are found out by the version at which the append is
//! expected; whatever leads to no append is decided anew on what is stored.

use std::{any::Any, sync::Arc, time::Duration};

use moka::sync::Cache;
use tokio::sync::Mutex;

use crate::{codec::Stored, command::Loaded, event::Stream};

/// How long a state is remembered. It holds personal data in the clear, so no longer than the keys.
const LIFE: Duration = Duration::from_secs(30);

/// The remembered state of one stream. Whoever holds it decides; the others wait their turn.
#[derive(Default)]
pub(crate) struct Slot(Option<Box<dyn Any + Send + Sync>>);

impl Slot {
    /// What is remembered, to be decided on and kept again: copying it for every command would cost as much as it is long.
    pub(crate) fn take<A: Stored>(&mut self) -> Option<Loaded<A>> {
        self.0.take()?.downcast().ok().map(|loaded| *loaded)
    }

    pub(crate) fn keep<A: Stored>(&mut self, loaded: Loaded<A>) {
        self.0 = Some(Box::new(loaded));
    }

    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}

pub(crate) struct States(Cache<Stream, Arc<Mutex<Slot>>>);

impl States {
    pub(crate) fn new(streams_max: u64) -> Self {
        let slots = Cache::builder()
            .max_capacity(streams_max)
            .time_to_live(LIFE)
            .build();
        Self(slots)
    }

    pub(crate) fn slot(&self, stream: &Stream) -> Arc<Mutex<Slot>> {
        match self.0.get(stream) {
            Some(slot) => slot,
            None => self.0.get_with(stream.clone(), Arc::default),
        }
    }
}
