//! A compose project that nobody else has: its name, secrets, ports and image.

use std::process::Command;

use anyhow::{Context, bail};
use tempfile::TempDir;
use uuid::Uuid;

use crate::demo::service::{PerService, Service};
use crate::step::{command, output, run};
use crate::workspace;

/// Whose customers they are.
pub(super) const TENANT: &str = "demo";
/// Another one, whose events are no business of the first.
pub(super) const OTHER_TENANT: &str = "other";

/// Its containers stay until [`Project::remove`].
#[derive(Debug)]
pub(super) struct Project {
    name: String,
    image: String,
    builds: bool,
    commit: String,
    secrets: TempDir,
}

/// A container that runs.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) service: String,
}

impl Project {
    pub(super) fn new(image: Option<String>) -> anyhow::Result<Self> {
        let random = Uuid::new_v4().simple().to_string();
        let name = format!("vefa-test-{}", &random[..8]);
        // Of the clone, not of the temporary directory: the engine may see no other files of this machine.
        let target = workspace::target();
        std::fs::create_dir_all(&target).with_context(|| format!("making {}", target.display()))?;
        Ok(Self {
            builds: image.is_none(),
            image: image.unwrap_or_else(|| format!("{name}:latest")),
            name,
            commit: output("git", &["rev-parse", "HEAD"]).unwrap_or_else(|| "unknown".to_owned()),
            secrets: TempDir::with_prefix_in("compose-secrets-", target)
                .context("making a directory for secrets")?,
        })
    }

    /// Whether the image is made for the test, and goes with it.
    pub(super) fn builds(&self) -> bool {
        self.builds
    }

    pub(super) fn image(&self) -> &str {
        &self.image
    }

    pub(super) fn commit(&self) -> &str {
        &self.commit
    }

    fn configured(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = command(program, arguments);
        command
            .env("VEFA_SECRETS", self.secrets.path())
            .env("VEFA_IMAGE", &self.image)
            .env("VEFA_VERSION", env!("CARGO_PKG_VERSION"))
            .env("VEFA_COMMIT", &self.commit)
            // Any that is free.
            .env("VEFA_NATS_PORT", "0");
        for service in Service::ALL {
            let name = service.name().to_uppercase();
            command.env(format!("VEFA_{name}_PORTS"), "0");
        }
        command
    }

    fn compose(&self, arguments: &[&str]) -> Command {
        let mut words = vec![
            "compose",
            "--progress",
            "quiet",
            "--project-name",
            &self.name,
        ];
        words.extend(arguments);
        self.configured("docker", &words)
    }

    /// Runs deploy/init.
    pub(super) fn init(&self, arguments: &[&str]) -> anyhow::Result<()> {
        run(self.configured("deploy/init", arguments))
    }

    /// What a command of compose prints.
    pub(super) fn compose_said(&self, arguments: &[&str]) -> anyhow::Result<String> {
        said(self.compose(arguments))
    }

    pub(super) fn secret(&self, name: &str) -> anyhow::Result<String> {
        let path = self.secrets.path().join(name);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        Ok(text.trim_end().to_owned())
    }

    pub(super) fn build(&self) -> anyhow::Result<()> {
        run(self.compose(&["build", "migrate"]))
    }

    /// Starts all that does not run, and waits until it is healthy.
    pub(super) fn up(&self, more: &[&str]) -> anyhow::Result<()> {
        let mut words = vec!["up", "--wait", "--wait-timeout", "120", "--quiet-pull"];
        words.extend(more);
        run(self.compose(&words))
    }

    /// What a command in the container of a service prints.
    pub(super) fn exec(&self, service: &str, words: &[&str]) -> anyhow::Result<String> {
        let mut all = vec!["exec", "-T", service];
        all.extend(words);
        said(self.compose(&all))
    }

    pub(super) fn docker_output(&self, arguments: &[&str]) -> anyhow::Result<String> {
        said(self.configured("docker", arguments))
    }

    /// A token that may do everything for the tenant.
    pub(super) fn token(&self, tenant: &str) -> anyhow::Result<String> {
        let words = ["token", "--tenant", tenant, "--actor", "compose-test"];
        self.exec("customers", &[&["vefa"], &words[..]].concat())
    }

    /// Where a replica of a service can be called from this machine; the first is 1.
    pub(super) fn address(
        &self,
        service: &str,
        port: u16,
        replica: usize,
    ) -> anyhow::Result<String> {
        let (port, replica) = (port.to_string(), replica.to_string());
        said(self.compose(&["port", "--index", &replica, service, &port]))
    }

    /// The first replica of each.
    pub(super) fn addresses(&self) -> anyhow::Result<PerService<String>> {
        let mut port = 7400;
        PerService::try_new(|service| {
            port += 1;
            self.address(service.name(), port, 1)
        })
    }

    pub(super) fn nats_address(&self) -> anyhow::Result<String> {
        self.address("nats", 4222, 1)
    }

    pub(super) fn running_containers(&self) -> anyhow::Result<Vec<Container>> {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let format = r#"{{.ID}} {{.Label "com.docker.compose.service"}}"#;
        let listed =
            self.docker_output(&["ps", "--no-trunc", "--filter", &label, "--format", format])?;
        let lines = listed.lines().map(|line| {
            let (id, service) = line
                .split_once(' ')
                .context("a container and its service")?;
            Ok(Container {
                id: id.to_owned(),
                service: service.to_owned(),
            })
        });
        lines.collect()
    }

    /// kill -9 of the container's process from outside. `docker kill` would do as much, but the engine takes that as a wish that the
    /// container be down, and does not start it again.
    pub(super) fn kill(&self, container: &Container) -> anyhow::Result<()> {
        let process =
            self.docker_output(&["inspect", "--format", "{{.State.Pid}}", &container.id])?;
        let kill = format!("kill -9 {process}");
        let mut words = vec!["run", "--rm", "--pid=host", "--user=0", "--network=none"];
        words.extend(["--cap-drop=ALL", "--cap-add=KILL", "--entrypoint=sh"]);
        words.extend([self.image(), "-c", &kill]);
        self.docker_output(&words)
            .with_context(|| format!("killing {}", container.service))?;
        Ok(())
    }

    /// How often the engine has started it again, and whether it is as it should be.
    pub(super) fn restarts(&self, container: &Container) -> anyhow::Result<(u32, bool)> {
        let format = "{{.RestartCount}} {{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}";
        let told = self.docker_output(&["inspect", "--format", format, &container.id])?;
        let (count, state) = told.split_once(' ').context("a count and a state")?;
        Ok((
            count.parse().context("a count of restarts")?,
            state == "running healthy",
        ))
    }

    pub(super) fn doctor(&self) -> anyhow::Result<()> {
        run(self.compose(&["run", "--rm", "-T", "vefa", "doctor", "--streams"]))
    }

    /// The end of what all containers said, for whoever looks for the reason of a failure.
    pub(super) fn print_logs(&self) {
        if let Err(error) = run(self.compose(&["ps", "--all"])) {
            println!("    containers cannot be listed: {error:#}");
        }
        if let Err(error) = run(self.compose(&["logs", "--no-color", "--tail", "25"])) {
            println!("    logs cannot be had: {error:#}");
        }
    }

    pub(super) fn remove(&self) -> anyhow::Result<()> {
        // Also after an interruption, in which `run` would refuse.
        let down = [
            "--profile",
            "tools",
            "down",
            "--volumes",
            "--remove-orphans",
            "--timeout",
            "5",
        ];
        said(self.compose(&down))?;
        if self.builds && output("docker", &["image", "inspect", &self.image]).is_some() {
            said(self.configured("docker", &["image", "rm", "--force", &self.image]))?;
        }
        Ok(())
    }
}

/// What a command prints, without white space around it; what it says besides is told when it fails.
fn said(mut command: Command) -> anyhow::Result<String> {
    let words: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect();
    let shown = words.join(" ");
    let output = command.output().context("starting docker")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} failed ({}): {}", output.status, errors.trim());
    }
    let text = String::from_utf8(output.stdout).context("docker printed no text")?;
    Ok(text.trim().to_owned())
}
