//! Steps: each says its name and how long it took, and runs its commands to their end.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use testing::{BoundSignal, bound_command, spawn_bound, terminate};

use crate::interrupt;
use crate::workspace;

const POLL: Duration = Duration::from_millis(20);

/// Does `work` between two lines that name it.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    println!("==> {name}");
    let start = Instant::now();
    let outcome = interrupt::check().and_then(|()| work());
    let verdict = if outcome.is_ok() { "done" } else { "FAILED" };
    println!(
        "    {name}: {verdict}, {:.1} s",
        start.elapsed().as_secs_f64()
    );
    outcome.with_context(|| format!("step \"{name}\""))
}

/// A command that runs in the checkout's top directory, without input, and ends when we do.
pub(crate) fn command<I>(program: &str, arguments: I) -> Command
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let mut command = bound_command(Path::new(program), BoundSignal::Terminate);
    for (name, _) in std::env::vars_os() {
        // What cargo told of this crate when it ran us. A cargo that inherits it builds ring, and all that
        // needs ring, anew each time, since ring's build script reads these variables.
        let name_bytes = name.as_encoded_bytes();
        if name_bytes.starts_with(b"CARGO_PKG_") || name_bytes.starts_with(b"CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
        .args(arguments)
        .current_dir(workspace::root())
        .stdin(Stdio::null());
    command
}

/// A command ran, and said no.
#[derive(Debug, thiserror::Error)]
#[error("`{shown}` failed ({status})")]
pub(crate) struct CommandFailed {
    shown: String,
    status: ExitStatus,
}

impl CommandFailed {
    /// The command's own exit code; that of any failure when a signal ended it.
    pub(crate) fn exit_code(&self) -> u8 {
        let code = self.status.code().and_then(|code| u8::try_from(code).ok());
        code.unwrap_or(1)
    }
}

/// Runs a command to its end, and fails when it does ([`CommandFailed`]).
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    let shown = show(&command);
    let status = status(command, &shown)?;
    if !status.success() {
        return Err(CommandFailed { shown, status }.into());
    }
    Ok(())
}

/// Asks the command to end when we are interrupted.
fn status(command: Command, shown: &str) -> anyhow::Result<ExitStatus> {
    let mut child = spawn_bound(command).with_context(|| format!("starting `{shown}`"))?;
    let mut asked_to_end = false;
    loop {
        let ended = child
            .try_wait()
            .with_context(|| format!("waiting for `{shown}`"))?;
        if let Some(status) = ended {
            interrupt::check()?;
            return Ok(status);
        }
        if interrupt::happened() && !asked_to_end {
            terminate(&child).with_context(|| format!("ending `{shown}`"))?;
            asked_to_end = true;
        }
        std::thread::sleep(POLL);
    }
}

/// Whether a program can be started and does what is asked; what it says is not shown.
pub(crate) fn answers(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// What a command prints when it succeeds, without white space around it.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The command as a person would type it, without what binds it to us.
fn show(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    let start = words.iter().position(|word| word == "--");
    match start {
        Some(separator) if words[0].ends_with("setpriv") => words[separator + 1..].join(" "),
        _ => words.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_is_named_as_typed() {
        let error = run(command("sh", ["-c", "exit 7"])).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c exit 7` failed (exit status: 7)");
        run(command("true", [""; 0])).unwrap();
    }

    #[test]
    fn the_commands_exit_code_is_kept_through_the_step_that_failed() {
        let code = |script| {
            let failed = step("a script", || run(command("sh", ["-c", script]))).unwrap_err();
            failed.downcast_ref::<CommandFailed>().unwrap().exit_code()
        };
        assert_eq!(code("exit 100"), 100);
        assert_eq!(code("kill -9 $$"), 1);
    }

    #[test]
    fn a_program_that_is_missing_answers_nothing() {
        assert!(answers("true", &[]));
        assert!(!answers("false", &[]));
        assert!(!answers("no-such-program-anywhere", &[]));
        assert_eq!(output("echo", &["a b"]).as_deref(), Some("a b"));
        assert_eq!(output("false", &[]), None);
    }
}
