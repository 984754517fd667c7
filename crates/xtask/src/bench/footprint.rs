//! What `vefa serve` costs when nobody asks anything of it, and how soon it can be asked.

use std::fs;
use std::time::Duration;

use anyhow::{Context, bail};
use testing::{spawn_bound, terminate};
use tokio::time::Instant;

use super::report::{Line, Report};
use super::stage::Stage;
use crate::demo::stack::serves;

const READY_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
/// Memory is looked at when this much time without calls has passed.
const IDLE: Duration = Duration::from_secs(5);

/// `footprint`: the second start, since the first one also makes the tables.
pub(super) fn measure(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    let stack = stage.block_on(stage.start(&[]))?;
    let mut last = None;
    for _ in 0..2 {
        let mut command = stack.command(&["serve"])?;
        command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let start = Instant::now();
        let mut process = spawn_bound(command).context("starting vefa")?;
        let measured = stage.block_on(async {
            for (service, address) in stack.addresses.iter() {
                while !serves(address).await {
                    if start.elapsed() > READY_LIMIT {
                        bail!("{} was not ready after {READY_LIMIT:?}", service.name());
                    }
                    tokio::time::sleep(POLL).await;
                }
            }
            let ready = start.elapsed();
            tokio::time::sleep(IDLE).await;
            Ok((ready, resident_mb(process.id())?))
        });
        terminate(&process).context("stopping vefa")?;
        process.wait().context("waiting for vefa")?;
        last = Some(measured?);
    }
    let Some((ready, resident)) = last else {
        bail!("vefa was not started");
    };
    report.add(
        Line::new("footprint idle RSS", resident, "MB").with_goal(resident <= 150.0, "<= 150 MB"),
    );
    let ready = ready.as_secs_f64();
    report.add(Line::new("footprint start to ready", ready, "s").with_goal(ready <= 1.0, "<= 1 s"));
    Ok(())
}

/// Resident memory of a process in MB.
fn resident_mb(process: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))
        .context("memory is measured on Linux only")?;
    let kilobytes: f64 = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .trim()
                .parse()
                .ok()
        })
        .context("the system does not say how much memory a process has")?;
    Ok(kilobytes / 1000.0)
}
