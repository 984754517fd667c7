//! One client with a ledger, and processes that it can have killed.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::timeout;

use crate::demo::client::Clients;
use crate::demo::service::{PerService, Service};
use crate::demo::stack::Process;
use crate::torture::command::Command;
use crate::torture::faults::Ground;
use crate::torture::ledger::{Answer, Expect, Ledger, Logged};
use crate::torture::{requests, verdict};

/// For each wait.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

pub(super) struct Play {
    pub(super) ground: Ground,
    pub(super) ledger: Ledger,
    clients: Clients,
    count: u64,
}

pub(super) fn is_yes(answer: &Answer) -> bool {
    matches!(answer, Answer::Acknowledged(_))
}

impl Play {
    pub(super) async fn start(name: &str) -> anyhow::Result<Self> {
        let ground = Ground::start(name).await?;
        let mut play = Self {
            clients: Clients::new(&ground.stack)?,
            ground,
            ledger: Ledger::default(),
            count: 0,
        };
        // So that all four logs have an event.
        let segment = requests::segment("regulars");
        let (_, answer) = play.send(segment).await;
        let Answer::Acknowledged(done) = answer else {
            anyhow::bail!("no segment: {answer:?}");
        };
        let campaign = requests::campaign(1, "thanks", done.id()?.to_owned());
        let (_, answer) = play.send(campaign).await;
        ensure!(is_yes(&answer), "no campaign: {answer:?}");
        Ok(play)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// A registration that nobody has sent yet.
    pub(super) fn registration(&mut self) -> Command {
        let n = self.next();
        requests::register(n, &format!("r-{n}"), None)
    }

    /// A customer who has just registered.
    pub(super) async fn customer(&mut self) -> anyhow::Result<String> {
        let command = self.registration();
        match self.send(command).await.1 {
            Answer::Acknowledged(done) => Ok(done.id()?.to_owned()),
            answer @ (Answer::Refused(_) | Answer::Unknown(_)) => {
                anyhow::bail!("not registered: {answer:?}")
            }
        }
    }

    pub(super) fn enter(&mut self, command: &Command, expect: Expect) -> String {
        let mark = format!("mark-{}", self.next());
        self.ledger.enter(&mark, command.clone(), expect, None);
        mark
    }

    /// Sends once, and gives the mark under which it stands in the ledger.
    pub(super) async fn send(&mut self, command: Command) -> (String, Answer) {
        let mark = self.enter(&command, Expect::Yes);
        let answer = self.repeat(&mark, command).await;
        (mark, answer)
    }

    /// Sends it once more.
    pub(super) async fn repeat(&mut self, mark: &str, command: Command) -> Answer {
        let sent = command.send(&mut self.clients, mark, PATIENCE);
        let answer = match timeout(PATIENCE, sent).await {
            Ok(answer) => Answer::of(answer),
            Err(_) => Answer::Unknown("no answer".to_owned()),
        };
        self.ledger.note(mark, &answer);
        answer
    }

    /// What the log has of a command.
    pub(super) async fn logged(&self, service: Service, mark: &str) -> anyhow::Result<Vec<String>> {
        let logged = Logged::read(&self.ground.stack.databases).await?;
        Ok(logged.of(service, mark).to_vec())
    }

    /// From now on commands go to this process.
    pub(super) fn address(&mut self, process: Process) -> anyhow::Result<()> {
        let stack = &self.ground.stack;
        let addresses = PerService::try_new(|service| {
            anyhow::Ok(if service == stack.service(process) {
                stack.address(process).to_owned()
            } else {
                stack.addresses.of(service).clone()
            })
        })?;
        self.clients = Clients::at(&addresses, Some(&stack.token))?;
        Ok(())
    }

    /// kill -9 of what runs of the service.
    pub(super) fn kill_all(&mut self, service: Service) -> anyhow::Result<()> {
        let stack = &mut self.ground.stack;
        for process in stack.processes() {
            if stack.service(process) == service && stack.ended(process)?.is_none() {
                stack.kill_process(process)?;
            }
        }
        Ok(())
    }

    pub(super) fn start_with(
        &mut self,
        service: Service,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let process = self.ground.stack.first(service)?;
        self.ground.stack.start_again(process, settings)
    }

    /// kill -9, and a start with other settings; returns when it can be called.
    pub(super) async fn restart_with(
        &mut self,
        service: Service,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        self.kill_all(service)?;
        self.start_with(service, settings)?;
        let process = self.ground.stack.first(service)?;
        let ready = async {
            while !self.ground.stack.serves(process).await {
                tokio::time::sleep(POLL).await;
            }
        };
        timeout(LIMIT, ready)
            .await
            .with_context(|| format!("{} does not come back", service.name()))
    }

    /// Waits until the service has died of itself.
    pub(super) fn wait_dead(&mut self, service: Service) -> anyhow::Result<()> {
        let process = self.ground.stack.first(service)?;
        self.ground.stack.wait_gone(process, LIMIT).with_context(
            || "it does not die where it should; was vefa built with `--features failpoints`?",
        )?;
        Ok(())
    }

    /// Has `service` die at a point that it comes to when somebody registers.
    pub(super) async fn die_at(&mut self, service: Service, point: &str) -> anyhow::Result<()> {
        self.wait_until_read().await?;
        let failpoints = format!("{point}=return");
        self.restart_with(service, &[("FAILPOINTS", &failpoints)])
            .await?;
        let command = self.registration();
        let (mark, _) = self.send(command.clone()).await;
        self.wait_dead(service)?;
        self.restart_with(service, &[]).await?;
        let answer = self.repeat(&mark, command).await;
        ensure!(is_yes(&answer), "{point}: {answer:?}");
        Ok(())
    }

    pub(super) async fn wait_until_read(&self) -> anyhow::Result<()> {
        verdict::wait_until_read(&self.ground, LIMIT).await
    }

    /// Everyone reads to the end, and nothing is to be found.
    pub(super) async fn check(&self, when: &str) -> anyhow::Result<()> {
        self.wait_until_read().await.context(when.to_owned())?;
        let found = verdict::findings(&self.ground, &self.ledger).await?;
        assert_eq!(found, [""; 0], "{when}");
        Ok(())
    }
}
