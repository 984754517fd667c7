//! What only a test does to a stack: it kills, restarts, multiplies, and calls with tokens that are not the demo's.

#[cfg(test)]
use std::ffi::OsStr;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use testing::{HeldStill, free_port, hold_still, wait_until};

use super::{Running, Service, Stack, serves};
#[cfg(test)]
use super::{output, token, vefa};

const GONE_LIMIT: Duration = Duration::from_secs(10);

/// One of a stack's processes, by its number. The first of each service come in the order in which they were started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process(usize);

impl Stack {
    /// What `vefa doctor` says of everything, and whether it has no findings.
    pub(crate) fn doctor(&self) -> anyhow::Result<(bool, String)> {
        let ended = self.command(&["doctor"])?.output().context("vefa doctor")?;
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        anyhow::ensure!(
            !said.is_empty(),
            "vefa doctor: {}",
            String::from_utf8_lossy(&ended.stderr)
        );
        Ok((ended.status.success(), said))
    }

    /// Starts one more process of a service, on the same database.
    pub(crate) fn add_replica(&mut self, service: Service) -> anyhow::Result<Process> {
        let port = free_port().context("no free port on 127.0.0.1")?;
        let log = self.logs.join(format!("{}-2.log", service.name()));
        std::fs::write(&log, "").with_context(|| format!("creating {}", log.display()))?;
        let process = self.run(service, format!("127.0.0.1:{port}"), log, &[])?;
        self.running.push(process);
        Ok(Process(self.running.len() - 1))
    }

    /// All of them.
    pub(crate) fn processes(&self) -> impl Iterator<Item = Process> + use<> {
        (0..self.running.len()).map(Process)
    }

    /// Whose process it is.
    pub(crate) fn service(&self, process: Process) -> Service {
        self.running[process.0].service
    }

    /// Where it listens.
    pub(crate) fn address(&self, process: Process) -> &str {
        &self.running[process.0].address
    }

    /// Its service's name, with a number where it is not the first.
    pub(crate) fn name(&self, process: Process) -> String {
        let service = self.service(process);
        let before = self.running[..process.0].iter();
        match before.filter(|other| other.service == service).count() {
            0 => service.name().to_owned(),
            earlier => format!("{} {}", service.name(), earlier + 1),
        }
    }

    /// Whether it can be called.
    pub(crate) async fn serves(&self, process: Process) -> bool {
        serves(self.address(process)).await
    }

    /// kill -9. Returns when the process is gone.
    pub(crate) fn kill_process(&mut self, process: Process) -> anyhow::Result<()> {
        let name = self.name(process);
        let child = &mut self.running[process.0].child;
        child.kill().with_context(|| format!("killing {name}"))?;
        self.wait_gone(process, GONE_LIMIT).map(drop)
    }

    /// Holds it still until what is returned is dropped.
    pub(crate) fn hold_still(&self, process: Process) -> anyhow::Result<HeldStill> {
        let id = self.running[process.0].child.id();
        hold_still(id).with_context(|| format!("stopping {}", self.name(process)))
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self, process: Process) -> anyhow::Result<Option<ExitStatus>> {
        let ended = self.running[process.0].child.try_wait();
        ended.with_context(|| format!("looking at {}", self.name(process)))
    }

    /// Waits until it has ended.
    pub(crate) fn wait_gone(
        &mut self,
        process: Process,
        limit: Duration,
    ) -> anyhow::Result<ExitStatus> {
        let name = self.name(process);
        let child = &mut self.running[process.0].child;
        wait_until(limit, || child.try_wait().transpose())
            .with_context(|| format!("{name} is still there after {limit:?}"))?
            .with_context(|| format!("waiting for the end of {name}"))
    }

    /// Starts one that has ended again, on the same address and database, with settings of its own.
    pub(crate) fn start_again(
        &mut self,
        process: Process,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let Running {
            service,
            address,
            log,
            ..
        } = &self.running[process.0];
        let started = self.run(*service, address.clone(), log.clone(), settings)?;
        self.running[process.0] = started;
        Ok(())
    }

    /// The end of what it has logged.
    pub(crate) fn log_tail(&self, process: Process) -> String {
        super::tail(&self.running[process.0].log)
    }
}

#[cfg(test)]
impl Stack {
    /// The first process of a service.
    pub(crate) fn first(&self, service: Service) -> anyhow::Result<Process> {
        let mut running = self.running.iter();
        running
            .position(|process| process.service == service)
            .map(Process)
            .with_context(|| format!("{} was never started", service.name()))
    }

    /// kill -9 of the first process of a service. Returns when it is gone.
    pub(crate) fn kill(&mut self, service: Service) -> anyhow::Result<()> {
        let process = self.first(service)?;
        self.kill_process(process)
    }

    /// Starts a killed service again; returns when all can be called.
    pub(crate) async fn restart(&mut self, service: Service) -> anyhow::Result<()> {
        let process = self.first(service)?;
        self.start_again(process, &[])?;
        self.ready().await
    }

    /// What the services' configuration says under a name of the environment.
    pub(crate) fn setting(&self, name: &str) -> anyhow::Result<&OsStr> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        let (_, value) = found.with_context(|| format!("{name} is not set"))?;
        Ok(value)
    }

    /// A token for another tenant than the demo's, of this system.
    pub(crate) fn token_of(&self, tenant: &str) -> anyhow::Result<String> {
        token(&self.environment, tenant)
    }

    /// A token for the tenant that says what one of this system would say, and is signed with another secret.
    pub(crate) fn forged_token(&self, tenant: &str) -> anyhow::Result<String> {
        let elsewhere = tempfile::tempdir().context("creating a directory for a secret")?;
        let mut environment = self.environment.clone();
        for (name, file) in [
            ("VEFA__AUTH__SECRET_FILE", "auth.secret"),
            ("VEFA__KEYS__MASTER_KEY_FILE", "master.key"),
        ] {
            environment.push((name.to_owned(), elsewhere.path().join(file).into()));
        }
        output(vefa(&environment, &["init"])?)?;
        token(&environment, tenant)
    }
}
