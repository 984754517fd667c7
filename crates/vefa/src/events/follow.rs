//! One service's events, first what was, then what comes, each once and each partition in order.
//!
//! History is read from the log (`LogService.ReadLog`) with the analyst's token; what happens is heard from NATS (a plain subscription),
//! which is all that an analyst's user may do there: it has no JetStream, from which a stream could be read again. So NATS tells early, and
//! the log tells exactly. What joins the two are positions: of each partition it is known up to which position all was passed on. What is
//! heard is passed on when it is the next one, and dropped when it came before. When it is further on, the log is read up to its head, and
//! the heard event with it: what lies between was missed (before the subscription, while there was no connection, because nobody took it
//! in time), or belongs to another tenant. Nothing is buffered for it, and in whatever order the two are begun, nothing is missed or doubled.
//!
//! The subscription is made before the log is asked how far it has come, so that the first hole is the exception. The log is asked
//! again after each connection, and now and then: what was missed without anything coming after it is found in this way, and so is
//! everything while NATS is away.
//!
//! When a log was restored to an earlier point, its epoch is raised. What was passed on of the history that is no more cannot be taken
//! back; it is told, and reading goes on from where both histories part.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aggregate::Partition;
use anyhow::Result;
use contracts::common::v1::LoggedEvent;
use event_bus::{Bus, BusError, Heard};
use event_json::{EventTypes, logged};
use service::{ServiceName, clock};
use time::OffsetDateTime;
use tokio::{
    sync::mpsc::Sender,
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use super::{
    filter::Filter,
    live::{self, LOOK_AGAIN, Live},
    log::{Heads, ServiceLog, Unread},
    tell,
};

/// How often the log is asked for what was not heard.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// What was recorded before --until may be committed a moment later.
const COMMIT_MAX: Duration = Duration::from_secs(1);

/// An event that is wanted, with the service that recorded it.
pub(super) type Wanted = (ServiceName, LoggedEvent);

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Beginning,
    Now,
}

/// Why following ends before its time.
enum Stop {
    /// Whoever was to take the events is gone.
    Untaken,
    Unread(Unread),
}

impl From<Unread> for Stop {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// Follows one service.
pub(super) struct Follower {
    log: ServiceLog,
    live: Option<Live>,
    filter: Arc<Filter>,
    types: EventTypes,
    out: Sender<Wanted>,
    epoch: u32,
    /// Up to where all was passed on, of the partitions that are wanted.
    passed: BTreeMap<Partition, u64>,
    failing: bool,
    /// When the log was last read up to its head.
    asked: Option<Instant>,
}

impl Follower {
    pub(super) fn new(
        log: ServiceLog,
        filter: Arc<Filter>,
        types: EventTypes,
        out: Sender<Wanted>,
    ) -> Self {
        let partitions = filter.partitions(&log.tenant, log.service);
        Self {
            log,
            live: None,
            filter,
            types,
            out,
            epoch: 0,
            passed: partitions.into_iter().map(|one| (one, 0)).collect(),
            failing: false,
            asked: None,
        }
    }

    /// Passes on what is wanted, until the filter's end, or for ever without one. Without a bus only what the log has by then.
    ///
    /// # Errors
    /// When the log cannot be read at the beginning, or refuses to be read later.
    pub(super) async fn run(mut self, bus: Option<Bus>, start: Start) -> Result<()> {
        if let Some(bus) = bus {
            self.live = Some(Live::begin(bus, &self.log, self.passed.keys()).await?);
        }
        let heads = self.log.heads().await?;
        self.epoch = heads.epoch;
        if start == Start::Now {
            for (partition, passed) in &mut self.passed {
                *passed = heads.of(*partition);
            }
        }
        let outcome = if self.live.is_some() {
            self.follow().await
        } else {
            self.catch_up().await
        };
        match outcome {
            Ok(()) | Err(Stop::Untaken) => Ok(()),
            Err(Stop::Unread(unread)) => Err(unread.into()),
        }
    }

    async fn follow(&mut self) -> Result<(), Stop> {
        let mut tick = interval(LOOK_AGAIN);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = wait_for(self.filter.until);
        tokio::pin!(end);
        let mut behind = true;
        loop {
            if behind {
                self.try_to_catch_up().await?;
            }
            behind = tokio::select! {
                heard = live::next(&mut self.live) => self.take(heard).await?,
                _ = tick.tick() => self.is_due(),
                () = &mut end => return self.catch_up().await,
            };
        }
    }

    /// Passes on what was heard, when it is the next event of its partition. Whether the log has to be read instead.
    async fn take(&mut self, heard: Result<Heard, BusError>) -> Result<bool, Stop> {
        let Heard { event, epoch } = match heard {
            Ok(heard) => heard,
            Err(error) => {
                let error = anyhow::Error::new(error);
                tell(&format!("{}: {error:#}", self.log.service));
                return Ok(false);
            }
        };
        let epoch = u32::try_from(epoch).unwrap_or_default();
        let position = event.position.unsigned_abs();
        let Some(passed) = self.passed.get(&event.partition).copied() else {
            return Ok(false);
        };
        if epoch != self.epoch {
            // An older one is of a history that is no more, and which the log no longer has.
            return Ok(epoch > self.epoch);
        }
        if position <= passed {
            return Ok(false);
        }
        if position > passed + 1 {
            return Ok(true);
        }
        let partition = event.partition;
        self.pass_on(partition, logged(event, epoch)).await?;
        Ok(false)
    }

    /// Whether the log has to be read without anything having been heard.
    fn is_due(&mut self) -> bool {
        let Some(live) = &mut self.live else {
            return true;
        };
        live.may_have_missed()
            || self.failing
            || self.asked.is_none_or(|asked| asked.elapsed() >= ASK_AGAIN)
    }

    /// What may be better the next time is told once, and tried again later.
    async fn try_to_catch_up(&mut self) -> Result<(), Stop> {
        match self.catch_up().await {
            Ok(()) => {
                if self.failing {
                    tell(&format!("{}: the log is read again", self.log.service));
                }
                self.failing = false;
                Ok(())
            }
            Err(Stop::Unread(unread)) if !unread.is_refusal() => {
                if !self.failing {
                    tell(&format!("{unread}; it is tried again"));
                }
                self.failing = true;
                Ok(())
            }
            Err(stop) => Err(stop),
        }
    }

    /// Reads each partition of the log up to its head.
    async fn catch_up(&mut self) -> Result<(), Stop> {
        self.asked = None;
        let heads = self.log.heads().await?;
        self.go_back(&heads);
        let partitions: Vec<Partition> = self.passed.keys().copied().collect();
        for partition in partitions {
            let passed = self.passed.get(&partition).copied().unwrap_or_default();
            if heads.of(partition) <= passed {
                continue;
            }
            let mut reading = self.log.read(partition, passed);
            while let Some(event) = reading.next().await? {
                if event.epoch > self.epoch {
                    // Restored while it was read. Where to go on is asked before anything of it is passed on.
                    return Ok(());
                }
                self.pass_on(partition, event).await?;
            }
            // What comes last may be another tenant's.
            let passed = self.passed.entry(partition).or_default();
            *passed = heads.of(partition).max(*passed);
        }
        self.asked = Some(Instant::now());
        Ok(())
    }

    /// Goes back to where the log has another history than the one that was passed on.
    fn go_back(&mut self, heads: &Heads) {
        let mut to: BTreeMap<Partition, u64> = BTreeMap::new();
        let newer = heads.forks.iter().filter(|fork| fork.epoch > self.epoch);
        for fork in newer {
            if let Ok(partition) = Partition::parse(fork.partition) {
                let position = to.entry(partition).or_insert(fork.position);
                *position = fork.position.min(*position);
            }
        }
        for (partition, passed) in &mut self.passed {
            let end = to.get(partition).copied().unwrap_or(u64::MAX);
            let end = end.min(heads.of(*partition));
            if end < *passed {
                tell(&format!(
                    "{}: the log was restored to an earlier point (epoch {}, was {}): events {} to {passed} of partition {partition} are no more; \
                     what has taken their place follows",
                    self.log.service,
                    heads.epoch,
                    self.epoch,
                    end + 1,
                ));
                *passed = end;
            }
        }
        self.epoch = heads.epoch;
    }

    async fn pass_on(&mut self, partition: Partition, event: LoggedEvent) -> Result<(), Stop> {
        let position = event.position;
        if self.filter.takes(&event, &self.types) {
            let wanted = (self.log.service, event);
            self.out.send(wanted).await.map_err(|_| Stop::Untaken)?;
        }
        self.passed.insert(partition, position);
        Ok(())
    }
}

async fn wait_for(until: Option<OffsetDateTime>) {
    match until {
        // A moment that has passed is no duration, and not waited for.
        Some(until) => {
            let left = Duration::try_from(until - clock::now()).unwrap_or_default();
            sleep(left + COMMIT_MAX).await;
        }
        None => std::future::pending().await,
    }
}
