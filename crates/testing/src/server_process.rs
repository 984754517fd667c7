//! A server's process from start to end, and what it says meanwhile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::error::ServerError;
use crate::eventually::wait_until;
use crate::process::{signal, spawn_bound};

const LOG_TAIL_LINES: usize = 20;

/// Runs a program that prepares something, to its end.
pub(crate) fn run(mut command: Command, program: &str) -> Result<(), ServerError> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(ServerError::io(format!("starting {program}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ServerError::Preparation {
        program: program.to_owned(),
        status: output.status,
        output: last_lines(&String::from_utf8_lossy(&said)),
    })
}

/// A server's process and the file that takes its log.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    server: &'static str,
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts the server; what it says is added to the file `log`.
    pub(crate) fn start(
        server: &'static str,
        mut command: Command,
        log: &Path,
    ) -> Result<Self, ServerError> {
        let open = || {
            fs::File::options()
                .create(true)
                .append(true)
                .open(log)
                .map_err(ServerError::io(format!("opening {}", log.display())))
        };
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?);
        let child = spawn_bound(command).map_err(ServerError::io(format!("starting {server}")))?;
        Ok(Self {
            server,
            child,
            log: log.to_owned(),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready`, and fails as soon as the process has ended instead.
    pub(crate) fn wait_ready(
        &mut self,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), ServerError> {
        let outcome = wait_until(limit, || match self.child.try_wait() {
            Err(error) => Some(Err(ServerError::io("waiting for a server")(error))),
            Ok(Some(status)) => Some(Err(ServerError::Ended {
                server: self.server,
                status,
                log: tail(&self.log),
            })),
            Ok(None) => ready().then_some(Ok(())),
        });
        outcome.unwrap_or_else(|| {
            Err(ServerError::NotReady {
                server: self.server,
                limit,
                log: tail(&self.log),
            })
        })
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) fn kill(&mut self) -> Result<(), ServerError> {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .map(drop)
            .map_err(ServerError::io(format!("killing {}", self.server)))
    }

    /// Sends `signal` and waits for the end; SIGKILL once `limit` has passed.
    pub(crate) fn stop(
        &mut self,
        signal_first: Signal,
        limit: Duration,
    ) -> Result<(), ServerError> {
        let asked = signal(&self.child, signal_first);
        let ended = asked.is_ok()
            && wait_until(limit, || self.child.try_wait().transpose())
                .is_some_and(|end| end.is_ok());
        if ended { Ok(()) } else { self.kill() }
    }
}

fn tail(log: &Path) -> String {
    match fs::read(log) {
        Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes)),
        Err(error) => format!("(its log cannot be read: {error})"),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::process::{BoundSignal, bound_command};

    #[test]
    fn keeps_the_last_lines_only() {
        let text: String = (1..=30).map(|line| format!("{line}\n")).collect();
        let tail = last_lines(&text);
        assert!(tail.starts_with("11\n") && tail.ends_with("\n30"));
        assert_eq!(last_lines(""), "");
    }

    #[test]
    fn stops_a_process_that_does_not_heed_the_signal() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = bound_command(Path::new("sh"), BoundSignal::Kill);
        command.args([
            "-c",
            "trap '' TERM; echo deaf; while :; do sleep 0.01; done",
        ]);
        let mut process = ServerProcess::start("a shell", command, &log).unwrap();
        process
            .wait_ready(Duration::from_secs(10), || tail(&log) == "deaf")
            .unwrap();
        process
            .stop(Signal::TERM, Duration::from_millis(50))
            .unwrap();
        assert!(process.child.try_wait().unwrap().is_some());
    }

    #[test]
    fn an_early_end_is_reported_with_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = bound_command(Path::new("sh"), BoundSignal::Kill);
        command.args(["-c", "echo no such luck >&2; exit 3"]);
        let mut process =
            ServerProcess::start("a shell", command, &dir.path().join("log")).unwrap();
        let error = process
            .wait_ready(Duration::from_secs(10), || false)
            .unwrap_err();
        let said = error.to_string();
        assert!(
            said.contains("exit status: 3") && said.ends_with("no such luck"),
            "{said}"
        );
    }
}
