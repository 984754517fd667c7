//! A Prometheus of our own, with our own rules in shorter times.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use tempfile::TempDir;
use testing::{BoundSignal, bound_command, free_port, spawn_bound, terminate, wait_until};

use super::{LIMIT, get, output, run};
use crate::demo::service::PerService;
use crate::packages::kept;
use crate::step;
use crate::workspace;

/// Debian's package, which has both programs.
const PACKAGE: &str = "prometheus";

/// OpenTelemetry's name. promtool takes its end for that of a histogram.
const NAMED_BY_OTHERS: &str = "db_client_connection_count ";

/// Prometheus and promtool.
#[derive(Debug)]
pub(super) struct Programs {
    bin_dir: PathBuf,
}

impl Programs {
    /// Those in the PATH, else those of Debian's package, unpacked beside the other tools: installing it would start a server for the
    /// whole machine.
    pub(super) fn find_or_obtain() -> anyhow::Result<Self> {
        let programs = ["prometheus", "promtool"];
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path)
            .find(|dir| programs.iter().all(|program| dir.join(program).is_file()));
        if let Some(bin_dir) = found {
            return Ok(Self { bin_dir });
        }
        let dir = kept("prometheus-debian", |dir| {
            download(dir).context(
                "Prometheus is missing: install it with promtool, or apt-get and dpkg, which bring it",
            )
        })?;
        Ok(Self {
            bin_dir: dir.join("usr/bin"),
        })
    }

    fn program(&self, name: &str) -> Command {
        bound_command(&self.bin_dir.join(name), BoundSignal::Kill)
    }

    /// Fails on what `promtool` has to say of metrics as they are shown, but for one name.
    pub(super) fn check_metrics(&self, text: &str) -> anyhow::Result<()> {
        let mut promtool = self.program("promtool");
        promtool.args(["check", "metrics"]);
        let checked = output(promtool, text)?;
        let complaints = String::from_utf8_lossy(&checked.stderr);
        let unexpected = complaints
            .lines()
            .find(|line| !line.trim().is_empty() && !line.starts_with(NAMED_BY_OTHERS));
        ensure!(unexpected.is_none(), "{complaints}{text}");
        Ok(())
    }

    /// What it has to say of our configuration and our rules, and whether these fire when they should.
    pub(super) fn check_rules(&self, dir: &Path) -> anyhow::Result<()> {
        for (words, file) in [
            (["check", "config"], "prometheus.yml"),
            (["check", "rules"], "rules.yml"),
            (["test", "rules"], "rules.test.yml"),
        ] {
            let mut promtool = self.program("promtool");
            promtool.args(words).arg(file).current_dir(dir);
            run(promtool, "")?;
        }
        Ok(())
    }
}

fn download(dir: &Path) -> anyhow::Result<()> {
    let fetch = || {
        let mut fetch = step::command("apt-get", ["download", "-qq", PACKAGE]);
        fetch.current_dir(dir);
        step::run(fetch)
    };
    if fetch().is_err() {
        // It may be that nobody has asked which packages there are.
        step::run(step::command("apt-get", ["update", "-qq"]))?;
        fetch()?;
    }
    for entry in fs::read_dir(dir)? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            let unpack = ["-x".as_ref(), file.as_os_str(), dir.as_os_str()];
            step::run(step::command("dpkg", unpack))?;
        }
    }
    Ok(())
}

/// A running Prometheus. It stops when this is dropped.
#[derive(Debug)]
pub(super) struct Prometheus {
    child: Child,
    address: String,
    // Last, so that the files go after the process.
    dir: TempDir,
}

impl Prometheus {
    /// Returns once it answers.
    pub(super) fn start(programs: &Programs, targets: &PerService<String>) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("vefa-prometheus-")
            .tempdir()
            .context("a directory for Prometheus")?;
        fs::write(dir.path().join("rules.yml"), impatient()?)?;
        fs::write(dir.path().join("prometheus.yml"), config(targets))?;
        let port = free_port().context("no free port on 127.0.0.1")?;
        let address = format!("127.0.0.1:{port}");
        let log = fs::File::create(dir.path().join("log"))?;
        let mut command = programs.program("prometheus");
        command
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = spawn_bound(command).context("starting Prometheus")?;
        let prometheus = Self {
            child,
            address,
            dir,
        };
        wait_until(LIMIT, || get(&prometheus.address, "/-/ready").ok())
            .with_context(|| format!("Prometheus is not ready: {}", prometheus.log()))?;
        Ok(prometheus)
    }

    /// Targets whose last scrape went well.
    pub(super) fn targets_up(&self) -> anyhow::Result<usize> {
        let answer = self.api("targets")?;
        let targets = answer["data"]["activeTargets"].as_array();
        let up = targets
            .into_iter()
            .flatten()
            .filter(|target| target["health"] == "up");
        Ok(up.count())
    }

    /// Names of the alerts that fire, with their projection where they have one.
    pub(super) fn firing(&self) -> anyhow::Result<BTreeSet<(String, String)>> {
        let answer = self.api("alerts")?;
        let alerts = answer["data"]["alerts"].as_array();
        let label = |alert: &serde_json::Value, name: &str| {
            let label = alert["labels"][name].as_str();
            label.unwrap_or_default().to_owned()
        };
        Ok(alerts
            .into_iter()
            .flatten()
            .filter(|alert| alert["state"] == "firing")
            .map(|alert| (label(alert, "alertname"), label(alert, "projection")))
            .collect())
    }

    /// What it knows, for whoever reads why a test failed.
    pub(super) fn state(&self) -> String {
        let shown = |what| match self.api(what) {
            Ok(answer) => answer.to_string(),
            Err(error) => format!("{error:#}"),
        };
        format!("{}\n{}\n{}", shown("alerts"), shown("targets"), self.log())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn api(&self, what: &str) -> anyhow::Result<serde_json::Value> {
        let body = get(&self.address, &format!("/api/v1/{what}"))?;
        Ok(serde_json::from_str(&body)?)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // One that is gone already needs no asking.
        let _asked = terminate(&self.child);
        let child = &mut self.child;
        if wait_until(LIMIT, || child.try_wait().transpose()).is_none() {
            let _killed = child.kill().and_then(|()| child.wait());
        }
    }
}

/// Our rules, for a test that cannot wait for minutes.
fn impatient() -> anyhow::Result<String> {
    let file = workspace::root().join("deploy/prometheus/rules.yml");
    let mut rules = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let lag = "vefa_projection_lag_seconds) > ";
    for (long, short) in [
        (format!("{lag}60"), format!("{lag}1")),
        ("for: 1m\n".to_owned(), "for: 1s\n".to_owned()),
    ] {
        ensure!(rules.contains(&long), "the rules do not say {long:?}");
        rules = rules.replace(&long, &short);
    }
    Ok(rules)
}

fn config(targets: &PerService<String>) -> String {
    let targets: Vec<String> = targets
        .iter()
        .map(|(_, address)| format!("{address:?}"))
        .collect();
    format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: vefa
    static_configs: [{{targets: [{}]}}]
",
        targets.join(", ")
    )
}
