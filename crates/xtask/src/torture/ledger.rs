//! What clients know of their commands, and whether the logs agree: nothing acknowledged is missing, nothing refused is there, and
//! nothing is there twice or by half.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use contracts::common::v1::EventMetadata;
use prost::Message;
use sqlx::{Connection, PgConnection};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::command::{Command, Done};
use crate::demo::service::{PerService, Service};

/// What the client knows of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was done.
    Acknowledged(Done),
    /// A clear no.
    Refused(String),
    /// No answer, or one that leaves open whether it was done.
    Unknown(String),
}

/// What has to be answered, however long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    Yes,
    No,
    Either,
}

/// A command as the client has it in its ledger.
#[derive(Debug)]
struct Entry {
    command: Command,
    expect: Expect,
    /// Of those that have the same rival one at most takes effect.
    rival: Option<String>,
    answer: Answer,
}

/// All commands of all clients, by the mark that each of their events bears.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<String, Entry>,
    findings: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) acknowledged: usize,
    pub(crate) refused: usize,
    pub(crate) unknown: usize,
}

impl Answer {
    pub(crate) fn of(answer: Result<Done, Status>) -> Self {
        match answer {
            Ok(done) => Self::Acknowledged(done),
            Err(status) => Self::no(&status),
        }
    }

    fn no(status: &Status) -> Self {
        let info = status.get_details_error_info();
        // What has no details of ours was not said by a service: the connection broke.
        let reason = info.map(|info| info.reason).unwrap_or_default();
        let said = format!("{:?} {reason}: {}", status.code(), status.message());
        let stale = status.code() == Code::Aborted && reason == "VERSION_MISMATCH";
        if !reason.is_empty() && (stale || !is_open(status.code())) {
            Self::Refused(said)
        } else {
            Self::Unknown(said)
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }
}

/// Codes of a service that leave open whether it was done, and ask for a repeat.
fn is_open(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted | Code::Cancelled
    )
}

impl Ledger {
    /// Enters a command before it is sent.
    pub(crate) fn enter(
        &mut self,
        mark: &str,
        command: Command,
        expect: Expect,
        rival: Option<String>,
    ) {
        let entry = Entry {
            command,
            expect,
            rival,
            answer: Answer::Unknown("not sent".to_owned()),
        };
        self.entries.insert(mark.to_owned(), entry);
    }

    /// Notes what was answered to a command, or to a repeat of it.
    pub(crate) fn note(&mut self, mark: &str, answer: &Answer) {
        let Some(entry) = self.entries.get_mut(mark) else {
            self.findings
                .push(format!("{mark}: an answer to what was never sent"));
            return;
        };
        let wrong = match (&entry.answer, answer) {
            (_, Answer::Unknown(_)) => return,
            (Answer::Acknowledged(first), Answer::Acknowledged(now)) if first != now => {
                Some(format!("answered {first:?} at first, and {now:?} later"))
            }
            (Answer::Acknowledged(_), Answer::Refused(said)) => {
                Some(format!("acknowledged at first, and refused later: {said}"))
            }
            (_, Answer::Refused(said)) if entry.expect == Expect::Yes => {
                Some(format!("refused, though nothing is wrong with it: {said}"))
            }
            (_, Answer::Acknowledged(done)) if entry.expect == Expect::No => {
                Some(format!("acknowledged, and had to be refused: {done:?}"))
            }
            (Answer::Refused(_), Answer::Acknowledged(done)) => Some(format!(
                "refused at first, and acknowledged later: {done:?}"
            )),
            _ => None,
        };
        self.findings
            .extend(wrong.map(|wrong| format!("{mark}: {wrong}")));
        if !matches!(entry.answer, Answer::Acknowledged(_)) {
            entry.answer = answer.clone();
        }
    }

    /// Strikes out what is known to be lost.
    #[cfg(test)]
    pub(crate) fn forget(&mut self, mark: &str) {
        self.entries.remove(mark);
    }

    /// Notes what else a client has found wrong.
    pub(crate) fn complain(&mut self, finding: String) {
        self.findings.push(finding);
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in self.entries.values() {
            match &entry.answer {
                Answer::Acknowledged(_) => counts.acknowledged += 1,
                Answer::Refused(_) => counts.refused += 1,
                Answer::Unknown(_) => counts.unknown += 1,
            }
        }
        counts
    }

    /// Commands of which nobody knows whether they were done.
    pub(crate) fn unknown(&self) -> Vec<(String, Command)> {
        self.chosen(|entry| entry.answer.is_open())
    }

    /// Commands that were acknowledged.
    pub(crate) fn acknowledged(&self) -> Vec<(String, Command)> {
        self.chosen(|entry| matches!(entry.answer, Answer::Acknowledged(_)))
    }

    fn chosen(&self, which: impl Fn(&Entry) -> bool) -> Vec<(String, Command)> {
        let entries = self.entries.iter().filter(|(_, entry)| which(entry));
        entries
            .map(|(mark, entry)| (mark.clone(), entry.command.clone()))
            .collect()
    }

    /// Everything that is wrong, by what was answered and by what the logs hold.
    pub(crate) fn check(&self, logged: &Logged) -> Vec<String> {
        let mut findings = self.findings.clone();
        let mut winners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (mark, entry) in &self.entries {
            let events = logged.of(entry.command.service(), mark);
            let wrong = entry.compare(events);
            findings.extend(wrong.map(|wrong| format!("{mark}: {wrong}")));
            if let (Some(rival), false) = (&entry.rival, events.is_empty()) {
                winners.entry(rival).or_default().push(mark);
            }
        }
        for (rival, marks) in winners {
            if marks.len() > 1 {
                findings.push(format!(
                    "{marks:?} took effect, and one at most may: {rival}"
                ));
            }
        }
        findings.extend(logged.marks().filter_map(|(service, mark)| {
            let is_ours = self.entries.contains_key(mark);
            (!is_ours).then(|| format!("{mark}: {} has it, and nobody sent it", service.name()))
        }));
        findings
    }
}

impl Entry {
    fn compare(&self, events: &[String]) -> Option<String> {
        let whole = self.command.events();
        let is_whole = events == whole;
        let fits = match &self.answer {
            Answer::Acknowledged(_) => is_whole,
            Answer::Refused(_) => events.is_empty(),
            Answer::Unknown(_) => is_whole || events.is_empty(),
        };
        (!fits).then(|| {
            let kind = match &self.answer {
                Answer::Acknowledged(_) => "acknowledged",
                Answer::Refused(_) => "refused",
                Answer::Unknown(_) => "never answered",
            };
            format!("{kind}, it consists of {whole:?}, and the log has {events:?}")
        })
    }
}

/// The events of clients' commands in the logs, by service and mark: their types' short names in order.
#[derive(Debug, Default)]
pub(crate) struct Logged(BTreeMap<(&'static str, String), Vec<String>>);

impl Logged {
    /// Reads all four logs.
    pub(crate) async fn read(databases: &PerService<String>) -> anyhow::Result<Self> {
        let mut logged = Self::default();
        for service in Service::ALL {
            let name = service.name();
            let read = logged.read_one(service, databases.of(service));
            read.await
                .with_context(|| format!("reading the log of {name}"))?;
        }
        for events in logged.0.values_mut() {
            events.sort();
        }
        Ok(logged)
    }

    async fn read_one(&mut self, service: Service, database: &str) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect(database).await?;
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("select type, metadata from event")
            .fetch_all(&mut connection)
            .await?;
        for (type_, metadata) in rows {
            let short = type_.rsplit('.').next().unwrap_or_default().to_owned();
            if Command::EVENTS.contains(&short.as_str()) {
                let mark = EventMetadata::decode(metadata.as_slice())?.correlation_id;
                let events = self.0.entry((service.name(), mark)).or_default();
                events.push(short);
            }
        }
        Ok(())
    }

    /// What the log of a service has of the command with a mark.
    pub(crate) fn of(&self, service: Service, mark: &str) -> &[String] {
        let events = self.0.get(&(service.name(), mark.to_owned()));
        events.map_or(&[], Vec::as_slice)
    }

    fn marks(&self) -> impl Iterator<Item = (Service, &str)> {
        let keys: BTreeSet<_> = self.0.keys().collect();
        keys.into_iter().filter_map(|(name, mark)| {
            let mut all = Service::ALL.into_iter();
            Some((all.find(|it| it.name() == *name)?, mark.as_str()))
        })
    }
}
