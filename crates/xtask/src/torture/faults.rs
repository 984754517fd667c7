//! The faults: what is hit, how, and how it is mended again.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use async_nats::jetstream;
use testing::{HeldStill, PostgresOptions, hold_still};
use tokio::time::{sleep, timeout};

use super::draw::Draw;
use crate::demo::service::Service;
use crate::demo::stack::{Process, Stack};
use crate::servers::Servers;
use crate::workspace;

/// How long a process that takes over waits for the leases of one that is gone.
const LEASE_MS: &str = "1000";
const READY_LIMIT: Duration = Duration::from_secs(30);
const NATS_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// Where a process can be made to die.
const POINTS: [&str; 5] = [
    "writer-before-commit",
    "writer-after-commit",
    "relay-before-publish",
    "relay-after-publish",
    "projection-before-commit",
];

/// What is done to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// kill -9.
    Kill(Process),
    /// SIGSTOP, SIGCONT.
    HoldStill(Process),
    /// It dies at a certain point of its code, if it gets there.
    DieAt(Process, &'static str),
    KillPostgres,
    /// kill -9 of one of its processes, after which it recovers by itself.
    CrashPostgres,
    HoldPostgresStill,
    KillNats,
    HoldNatsStill,
    DeleteStream(Service),
    /// All but the last messages are purged.
    TruncateStream(Service),
}

/// What has to be mended.
#[derive(Debug)]
enum Wound {
    Gone(Process),
    Doomed(Process),
    Still { _held: HeldStill },
    NoPostgres,
    NoNats,
}

/// Everything that runs and is hit. It stops when this is dropped.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) stack: Stack,
    pub(crate) servers: Servers,
    wounds: Vec<Wound>,
    /// Processes that have been started and could not be called yet.
    starting: Vec<Process>,
    /// Processes that ended though nothing had been done to them.
    pub(crate) died: Vec<String>,
}

impl Ground {
    /// Four services; their log lines go to `target/torture/<name>`.
    pub(crate) async fn start(name: &str) -> anyhow::Result<Self> {
        let servers = Servers::start(PostgresOptions::durable)?;
        let logs = workspace::target().join("torture").join(name);
        let settings = [
            ("VEFA__RELAY__LEASE_MS", LEASE_MS),
            ("VEFA__PROJECTION__LEASE_MS", LEASE_MS),
            ("VEFA__NATS__REQUEST_TIMEOUT_MS", "2000"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.into()));
        let mut stack =
            Stack::start_services(&servers, logs, settings.into(), &Service::ALL).await?;
        stack.ready().await?;
        Ok(Self {
            stack,
            servers,
            wounds: Vec::new(),
            starting: Vec::new(),
            died: Vec::new(),
        })
    }

    /// Draws what is hit next.
    pub(crate) fn draw(&self, draw: &mut Draw) -> anyhow::Result<Fault> {
        let processes: Vec<Process> = self.stack.processes().collect();
        let process = *draw.one_of(&processes).context("no process")?;
        let service = *draw.one_of(&Service::ALL).context("no service")?;
        let point = draw.one_of(&POINTS).context("no point")?;
        Ok(match draw.below(100) {
            0..20 => Fault::Kill(process),
            20..35 => Fault::HoldStill(process),
            35..60 => Fault::DieAt(process, point),
            60..66 => Fault::KillPostgres,
            66..72 => Fault::CrashPostgres,
            72..78 => Fault::HoldPostgresStill,
            78..84 => Fault::KillNats,
            84..90 => Fault::HoldNatsStill,
            90..95 => Fault::DeleteStream(service),
            _ => Fault::TruncateStream(service),
        })
    }

    /// The fault in words.
    pub(crate) fn name(&self, fault: &Fault) -> String {
        let of = |process: &Process| self.stack.name(*process);
        match fault {
            Fault::Kill(process) => format!("kill -9 of {}", of(process)),
            Fault::HoldStill(process) => format!("SIGSTOP of {}", of(process)),
            Fault::DieAt(process, point) => format!("{} dies at {point}", of(process)),
            Fault::KillPostgres => "kill -9 of PostgreSQL".to_owned(),
            Fault::CrashPostgres => "kill -9 of a process of PostgreSQL".to_owned(),
            Fault::HoldPostgresStill => "SIGSTOP of PostgreSQL".to_owned(),
            Fault::KillNats => "kill -9 of NATS".to_owned(),
            Fault::HoldNatsStill => "SIGSTOP of NATS".to_owned(),
            Fault::DeleteStream(service) => format!("the stream of {} is deleted", service.name()),
            Fault::TruncateStream(service) => {
                format!("the stream of {} is truncated", service.name())
            }
        }
    }

    /// Hits.
    pub(crate) async fn hit(&mut self, fault: &Fault) -> anyhow::Result<()> {
        let wound = match fault {
            Fault::Kill(process) => {
                self.stack.kill_process(*process)?;
                Wound::Gone(*process)
            }
            Fault::HoldStill(process) => Wound::Still {
                _held: self.stack.hold_still(*process)?,
            },
            Fault::DieAt(process, point) => {
                self.stack.kill_process(*process)?;
                // Now and then, so that it also comes after much has been done.
                let failpoints = format!("{point}=5%return");
                let settings = [("FAILPOINTS", failpoints.as_str())];
                self.stack.start_again(*process, &settings)?;
                self.starting.push(*process);
                Wound::Doomed(*process)
            }
            Fault::KillPostgres => {
                self.servers.postgres.kill()?;
                Wound::NoPostgres
            }
            Fault::CrashPostgres => return Ok(self.servers.postgres.crash()?),
            Fault::HoldPostgresStill => {
                still(self.servers.postgres.process_id()).context("stopping PostgreSQL")?
            }
            Fault::KillNats => {
                self.servers.nats.kill()?;
                Wound::NoNats
            }
            Fault::HoldNatsStill => {
                still(self.servers.nats.process_id()).context("stopping NATS")?
            }
            Fault::DeleteStream(service) | Fault::TruncateStream(service) => {
                let deletes = matches!(fault, Fault::DeleteStream(_));
                return timeout(NATS_LIMIT, self.spoil(*service, deletes))
                    .await
                    .context("NATS does not answer")?;
            }
        };
        self.wounds.push(wound);
        Ok(())
    }

    async fn spoil(&self, service: Service, deletes: bool) -> anyhow::Result<()> {
        let client = async_nats::connect(self.servers.nats.url())
            .await
            .context("connecting to NATS")?;
        let jetstream = jetstream::new(client);
        let name = service.name().to_uppercase();
        if deletes {
            jetstream.delete_stream(&name).await?;
        } else {
            let stream = jetstream.get_stream(&name).await?;
            stream.purge().keep(10).await?;
        }
        Ok(())
    }

    /// Mends everything; what stands still goes on first, then the servers come back, then the services.
    pub(crate) fn mend(&mut self) -> anyhow::Result<()> {
        let mut wounds = std::mem::take(&mut self.wounds);
        wounds.retain(|wound| !matches!(wound, Wound::Still { .. }));
        for wound in &wounds {
            match wound {
                Wound::NoPostgres => self.servers.postgres.restart()?,
                Wound::NoNats => self.servers.nats.restart()?,
                Wound::Gone(_) | Wound::Doomed(_) | Wound::Still { .. } => {}
            }
        }
        for wound in wounds {
            if let Wound::Gone(process) | Wound::Doomed(process) = wound {
                if self.stack.ended(process)?.is_none() {
                    self.stack.kill_process(process)?;
                }
                self.stack.start_again(process, &[])?;
                self.starting.push(process);
            }
        }
        Ok(())
    }

    /// Starts processes again that ended while they were starting, for want of a server; any other end is noted in `died`, and
    /// mended too.
    pub(crate) async fn look_after(&mut self) -> anyhow::Result<()> {
        for process in self.stack.processes() {
            let is_doomed = self.wounds.iter().any(
                |wound| matches!(wound, Wound::Doomed(it) | Wound::Gone(it) if *it == process),
            );
            match self.stack.ended(process)? {
                _ if is_doomed => {}
                Some(status) => {
                    if !self.starting.contains(&process) {
                        let name = self.stack.name(process);
                        let tail = self.stack.log_tail(process);
                        self.died
                            .push(format!("{name} has ended ({status}):\n{tail}"));
                    }
                    self.stack.start_again(process, &[])?;
                    self.starting.push(process);
                }
                None => {
                    if self.starting.contains(&process) && self.stack.serves(process).await {
                        self.starting.retain(|it| *it != process);
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until all can be called.
    pub(crate) async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            self.look_after().await?;
            if self.starting.is_empty() {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "not all can be called after {READY_LIMIT:?}: {:?}",
                self.starting
            );
            sleep(POLL).await;
        }
    }
}

fn still(process_id: Option<u32>) -> anyhow::Result<Wound> {
    let id = process_id.context("it does not run")?;
    Ok(Wound::Still {
        _held: hold_still(id)?,
    })
}
