//! The last events that this process appended, so that those who follow the log need not read back what was just written.
//!
//! What is here was committed. A partition's events are without gaps; where somebody else appended in between, what was before is forgotten, and
//! the database answers. So it does once a writer has lost its connection: the database may have been restored to an earlier point.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use aggregate::{PARTITIONS, Partition};
use time::{OffsetDateTime, macros::datetime};
use tokio::time::Instant;

use crate::event::{StoredEvent, Write, Written};

/// How long an event is served from here. A database that is restored to an earlier point is away for longer, so that nothing is served that
/// it does not have, also when no writer notices.
const LIFE: Duration = Duration::from_secs(2);
/// Events of one partition, and the bytes of their payloads and metadata.
const EVENTS_MAX: usize = 1024;
const BYTES_MAX: usize = 256 * 1024;

/// PostgreSQL counts microseconds from here, and what lies between two of them is cut off towards it.
const POSTGRES_EPOCH: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);

pub(crate) struct Recent(Vec<Mutex<Events>>);

#[derive(Default)]
struct Events {
    events: VecDeque<(Instant, StoredEvent)>,
    bytes: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self((0..PARTITIONS).map(|_| Mutex::default()).collect())
    }
}

impl Recent {
    /// Takes over what a commit has written.
    pub(crate) fn note(&self, write: &Write, written: &Written, now: Instant) {
        for (append, (partition, last)) in write.appends.iter().zip(&written.last_positions) {
            let before = last - i64::try_from(append.events.len()).unwrap_or(i64::MAX);
            let mut events = self.of(*partition);
            for (nth, event) in (1..).zip(&append.events) {
                let stored = StoredEvent {
                    tenant: append.stream.tenant.clone(),
                    partition: *partition,
                    position: before + nth,
                    stream_id: append.stream.id,
                    version: append.expected_version + nth,
                    event_id: event.event_id,
                    type_: event.type_.to_owned(),
                    schema_version: event.schema_version,
                    payload: event.payload.clone(),
                    metadata: event.metadata.clone(),
                    occurred_at: as_stored(event.occurred_at),
                    recorded_at: written.recorded_at,
                };
                events.push(now, stored);
            }
        }
    }

    /// The events behind `position`, oldest first, at most `limit`; none when they are not all here.
    pub(crate) fn after(
        &self,
        partition: Partition,
        position: i64,
        limit: usize,
        now: Instant,
    ) -> Option<Vec<StoredEvent>> {
        let events = self.of(partition);
        let (noted, first) = events.events.front()?;
        let skip = usize::try_from(position + 1 - first.position).ok()?;
        if now - *noted > LIFE || skip >= events.events.len() {
            return None;
        }
        let wanted = events.events.iter().skip(skip).take(limit);
        Some(wanted.map(|(_, event)| event.clone()).collect())
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        for partition in Partition::all() {
            self.of(partition).clear();
        }
    }

    fn of(&self, partition: Partition) -> MutexGuard<'_, Events> {
        self.0[usize::from(partition.number())]
            .lock()
            .expect("no holder of the lock panics")
    }
}

impl Events {
    fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }

    fn push(&mut self, now: Instant, event: StoredEvent) {
        let follows = self
            .events
            .back()
            .is_some_and(|(_, last)| last.position + 1 == event.position);
        if !follows {
            self.clear();
        }
        self.bytes += size(&event);
        self.events.push_back((now, event));
        while self.events.len() > EVENTS_MAX
            || self.bytes > BYTES_MAX
            || self
                .events
                .front()
                .is_some_and(|(noted, _)| now - *noted > LIFE)
        {
            let Some((_, oldest)) = self.events.pop_front() else {
                break;
            };
            self.bytes -= size(&oldest);
        }
    }
}

fn size(event: &StoredEvent) -> usize {
    event.payload.len() + event.metadata.len()
}

/// As it comes back from the database.
fn as_stored(moment: OffsetDateTime) -> OffsetDateTime {
    let micros = (moment - POSTGRES_EPOCH).whole_microseconds();
    i64::try_from(micros).map_or(moment, |micros| {
        POSTGRES_EPOCH + time::Duration::microseconds(micros)
    })
}

#[cfg(test)]
mod tests {
    use aggregate::{CustomerId, TenantId};
    use uuid::Uuid;

    use super::*;
    use crate::event::{Append, NewEvent, Stream};

    fn stream() -> Stream {
        let tenant = TenantId::parse("acme").unwrap();
        Stream::of_customer(&tenant, CustomerId(Uuid::from_u128(7)))
    }

    /// Appends `count` events that end at `last`.
    fn note(recent: &Recent, last: i64, count: u8) {
        let event = |n| NewEvent {
            event_id: Uuid::from_u128(n),
            type_: "test.Happened",
            schema_version: 1,
            payload: vec![0; 100].into(),
            metadata: Vec::new().into(),
            occurred_at: datetime!(2026-01-01 00:00:00.123_456_789 UTC),
        };
        let stream = stream();
        let written = Written {
            last_positions: vec![(stream.partition, last)],
            recorded_at: datetime!(2026-01-01 00:00 UTC),
        };
        let append = Append {
            stream,
            expected_version: 0,
            events: (0..count).map(|n| event(n.into())).collect(),
            new_key: None,
            erases: false,
        };
        let write = Write {
            idempotency: None,
            appends: vec![append],
        };
        recent.note(&write, &written, Instant::now());
    }

    fn positions(recent: &Recent, after: i64, limit: usize) -> Option<Vec<i64>> {
        let events = recent.after(stream().partition, after, limit, Instant::now())?;
        Some(events.iter().map(|event| event.position).collect())
    }

    #[test]
    fn serves_what_follows_without_a_gap() {
        let recent = Recent::default();
        assert_eq!(positions(&recent, 0, 9), None, "nothing was appended");
        note(&recent, 12, 2);
        note(&recent, 13, 1);
        assert_eq!(positions(&recent, 10, 9), Some(vec![11, 12, 13]));
        assert_eq!(positions(&recent, 11, 1), Some(vec![12]));
        assert_eq!(positions(&recent, 9, 9), None, "the tenth is not here");
        assert_eq!(
            positions(&recent, 13, 9),
            None,
            "the database may have more"
        );
    }

    #[test]
    fn forgets_what_was_before_a_gap_or_another_history() {
        let recent = Recent::default();
        note(&recent, 12, 2);
        note(&recent, 20, 1);
        assert_eq!(positions(&recent, 10, 9), None);
        assert_eq!(positions(&recent, 19, 9), Some(vec![20]));
        note(&recent, 5, 1);
        assert_eq!(positions(&recent, 19, 9), None);
        assert_eq!(positions(&recent, 4, 9), Some(vec![5]));
    }

    #[test]
    fn keeps_a_bounded_number_of_bytes() {
        let recent = Recent::default();
        for last in 1..=4000 {
            note(&recent, last, 1);
        }
        assert_eq!(positions(&recent, 1, 9), None);
        let events = recent.of(stream().partition);
        assert!(events.bytes <= BYTES_MAX && events.events.len() <= EVENTS_MAX);
    }

    #[test]
    fn serves_nothing_old() {
        let recent = Recent::default();
        note(&recent, 1, 1);
        let served = |now| recent.after(stream().partition, 0, 9, now);
        assert!(served(Instant::now()).is_some());
        assert_eq!(served(Instant::now() + LIFE * 2), None);
    }

    #[test]
    fn a_moment_is_cut_as_the_database_cuts_it() {
        let recent = Recent::default();
        note(&recent, 1, 1);
        let events = recent
            .after(stream().partition, 0, 1, Instant::now())
            .unwrap();
        let occurred_at = events[0].occurred_at;
        assert_eq!(occurred_at, datetime!(2026-01-01 00:00:00.123_456 UTC));
    }
}
