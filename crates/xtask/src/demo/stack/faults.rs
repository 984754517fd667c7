//! What only a test does to a stack: it kills, restarts, and calls with tokens that are not the demo's.

use std::time::Duration;

use anyhow::Context;
use testing::wait_until;

use super::{Running, Service, Stack, output, token, vefa};

const GONE_LIMIT: Duration = Duration::from_secs(10);

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

    /// kill -9. Returns when the process is gone.
    pub(crate) fn kill(&mut self, service: Service) -> anyhow::Result<()> {
        let name = service.name();
        let child = &mut self.process(service)?.child;
        child.kill().with_context(|| format!("killing {name}"))?;
        wait_until(GONE_LIMIT, || child.try_wait().transpose())
            .with_context(|| format!("{name} is there {GONE_LIMIT:?} after kill -9"))?
            .with_context(|| format!("waiting for the end of {name}"))?;
        Ok(())
    }

    /// Starts a killed service again, on the same address and database; returns when all four can be called.
    pub(crate) async fn restart(&mut self, service: Service) -> anyhow::Result<()> {
        let started = self.run(service)?;
        *self.process(service)? = started;
        self.ready().await
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

    fn process(&mut self, service: Service) -> anyhow::Result<&mut Running> {
        let mut running = self.running.iter_mut();
        running
            .find(|process| process.service == service)
            .with_context(|| format!("{} was never started", service.name()))
    }
}
