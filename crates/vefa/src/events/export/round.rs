//! One round: a range of positions of each partition, read, and written as parts.

use std::collections::BTreeMap;

use aggregate::Partition;
use anyhow::{Context as _, Result, ensure};
use contracts::common::v1::LoggedEvent;
use event_json::EventTypes;
use event_log::timestamp;
use time::{Date, UtcOffset};

use super::{
    part::{Format, Part},
    state::{Directory, Positions},
};
use crate::events::{
    filter::Filter,
    log::{Heads, ServiceLog},
};

/// The events of a round by type and day, each partition in order.
type Parts = BTreeMap<(String, Date), Vec<LoggedEvent>>;

/// What a round came to.
pub(super) struct Done {
    pub(super) positions: i64,
    pub(super) events: u64,
}

pub(super) struct Exporter<'a> {
    pub(super) log: &'a ServiceLog,
    pub(super) filter: &'a Filter,
    pub(super) types: &'a EventTypes,
    pub(super) format: Format,
    pub(super) directory: &'a mut Directory,
    pub(super) round_positions: u64,
}

impl Exporter<'_> {
    /// Positions that are still to be exported.
    pub(super) fn left(&self, heads: &Heads) -> i64 {
        let exported = self.directory.of(self.log.service);
        let left = |partition| {
            heads
                .of(partition)
                .saturating_sub(exported.position(partition))
        };
        let left: u64 = Partition::all().map(left).sum();
        i64::try_from(left).unwrap_or(i64::MAX)
    }

    /// Does the next round; none when all up to the heads is done.
    pub(super) async fn next_round(&mut self, heads: &Heads) -> Result<Option<Done>> {
        let service = self.log.service;
        let mut exported = self.directory.of(service);
        let round = match exported.round.clone() {
            Some(round) => round,
            None => {
                let Some(round) = self.plan(heads) else {
                    return Ok(None);
                };
                exported.round = Some(round.clone());
                self.directory.set(service, exported.clone())?;
                round
            }
        };
        let begin: u64 = exported.positions.values().sum();
        let parts = self.read(&round).await?;
        exported.positions.extend(round);
        let end: u64 = exported.positions.values().sum();
        let mut events = 0;
        for ((type_, day), rows) in parts {
            let part = Part {
                service,
                type_,
                day,
                begin,
                end,
            };
            part.write(&self.directory.path, self.format, &rows, self.types)?;
            events += rows.len() as u64;
            #[cfg(feature = "failpoints")]
            fail::fail_point!("export-part-written", |_| std::process::abort());
        }
        #[cfg(feature = "failpoints")]
        fail::fail_point!("export-before-checkpoint", |_| std::process::abort());
        exported.round = None;
        self.directory.set(service, exported)?;
        let positions = i64::try_from(end - begin).unwrap_or(i64::MAX);
        Ok(Some(Done { positions, events }))
    }

    /// Where the next round ends, in as many partitions as it takes.
    fn plan(&self, heads: &Heads) -> Option<Positions> {
        let exported = self.directory.of(self.log.service);
        let mut left = self.round_positions;
        let mut round = Positions::new();
        for partition in Partition::all() {
            let from = exported.position(partition);
            let taken = heads.of(partition).saturating_sub(from).min(left);
            if taken > 0 {
                round.insert(partition.number(), from + taken);
                left -= taken;
            }
        }
        (!round.is_empty()).then_some(round)
    }

    async fn read(&self, round: &Positions) -> Result<Parts> {
        let exported = self.directory.of(self.log.service);
        let service = self.log.service;
        let mut parts = Parts::new();
        for (number, end) in round {
            let partition = Partition::parse((*number).into())
                .context("the state of the export names a partition that there is not")?;
            let mut reading = self.log.read(partition, exported.position(partition));
            while let Some(event) = reading.next().await? {
                if event.position > *end {
                    break;
                }
                ensure!(
                    event.epoch <= exported.epoch,
                    "the log of {service} was restored to an earlier point while it was exported; run it again"
                );
                if self.filter.takes(&event, self.types) {
                    let day = day(&event).with_context(|| {
                        format!(
                            "event {} of {service} has no moment at which it was recorded",
                            event.event_id
                        )
                    })?;
                    let part = parts.entry((event.r#type.clone(), day)).or_default();
                    part.push(event);
                }
            }
        }
        Ok(parts)
    }
}

/// The day in UTC on which the log took it.
fn day(event: &LoggedEvent) -> Option<Date> {
    let recorded = timestamp::from_proto(event.recorded_time.as_ref()?).ok()?;
    Some(recorded.to_offset(UtcOffset::UTC).date())
}
