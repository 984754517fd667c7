//! Processes that live no longer than this one, however it ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::run_as::Account;

/// A command whose process gets the signal `at_our_end` when this process ends, even by kill -9, where
/// the system can do that (Linux with util-linux's `setpriv`). Start it with [`spawn_bound`].
///
/// There it also gets a process group of its own, so that Ctrl-C in a terminal reaches us alone and we
/// stop it in good order. Elsewhere it stays in our group, and Ctrl-C ends it too.
pub fn bound_command(program: &Path, at_our_end: BoundSignal) -> Command {
    command(program, at_our_end, None)
}

/// What a bound process is sent when this process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundSignal {
    /// End at once.
    Kill,
    /// End in good order.
    Terminate,
    /// PostgreSQL's immediate shutdown: at once, but without leaving shared memory behind.
    Quit,
}

impl BoundSignal {
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Terminate => "TERM",
            Self::Quit => "QUIT",
        }
    }
}

/// Starts a command on the thread that starts all such processes. The system sends the signal of
/// [`bound_command`] when the *thread* that started the process ends, so this thread never does.
///
/// # Errors
/// When the system cannot start the process.
pub fn spawn_bound(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static STARTER: OnceLock<Sender<Order>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Whoever ordered waits for the answer below, so somebody is there to take it.
                let _taken = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, started) = channel();
    starter
        .send((command, answer))
        .expect("the starting thread lives as long as the process");
    started
        .recv()
        .expect("the starting thread answers every order")
}

/// Asks a process that [`spawn_bound`] started to end in good order (SIGTERM), and with it the processes
/// that it started, where it has a group of its own.
///
/// # Errors
/// When the process is gone already, or is not ours to signal.
pub fn terminate(child: &Child) -> io::Result<()> {
    match setpriv() {
        Some(_) => Ok(kill_process_group(Pid::from_child(child), Signal::TERM)?),
        None => signal(child, Signal::TERM),
    }
}

/// A process that is held still, with those that it started, until this is dropped.
#[derive(Debug)]
pub struct HeldStill(Vec<Pid>);

/// Stops a process and those that it started (SIGSTOP), as a machine does that stalls. What it started is found in `/proc`; where there is
/// none, it is stopped alone.
///
/// # Errors
/// When the process is gone, or is not ours to signal.
pub fn hold_still(process_id: u32) -> io::Result<HeldStill> {
    let mut held = HeldStill(Vec::new());
    let mut ids = vec![process_id];
    while let Some(id) = ids.pop() {
        let pid = pid(id)?;
        match kill_process(pid, Signal::STOP) {
            Ok(()) => held.0.push(pid),
            // One that was started, and has ended in between.
            Err(rustix::io::Errno::SRCH) if id != process_id => continue,
            Err(error) => return Err(error.into()),
        }
        ids.extend(children(id)?);
    }
    Ok(held)
}

impl Drop for HeldStill {
    fn drop(&mut self) {
        for pid in self.0.iter().rev() {
            // One that was killed while it stood still is gone.
            let _went_on = kill_process(*pid, Signal::CONT);
        }
    }
}

/// The processes that a process has started and that still run, oldest first; none where there is no `/proc`.
pub(crate) fn children(process_id: u32) -> io::Result<Vec<u32>> {
    let tasks = match std::fs::read_dir(format!("/proc/{process_id}/task")) {
        Ok(tasks) => tasks,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for task in tasks {
        let listed = std::fs::read_to_string(task?.path().join("children")).unwrap_or_default();
        found.extend(
            listed
                .split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
    }
    Ok(found)
}

pub(crate) fn pid(process_id: u32) -> io::Result<Pid> {
    i32::try_from(process_id)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

pub(crate) fn command(
    program: &Path,
    at_our_end: BoundSignal,
    account: Option<&Account>,
) -> Command {
    match setpriv() {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.arg(format!("--pdeathsig={}", at_our_end.name()));
            if let Some(account) = account {
                command
                    .arg(format!("--reuid={}", account.uid))
                    .arg(format!("--regid={}", account.gid))
                    .arg("--clear-groups");
            }
            command.arg("--").arg(program).process_group(0);
            command
        }
        None => {
            let mut command = Command::new(program);
            if let Some(account) = account {
                command.uid(account.uid).gid(account.gid);
            }
            command
        }
    }
}

/// `setpriv`, where it exists and can bind a process to its parent (busybox's cannot).
fn setpriv() -> Option<&'static str> {
    static USABLE: OnceLock<bool> = OnceLock::new();
    let usable = *USABLE.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig=KILL", "--", "true"])
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success())
    });
    usable.then_some("setpriv")
}

pub(crate) fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    Ok(kill_process(Pid::from_child(child), signal)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_outlives_the_thread_that_ordered_it() {
        let mut child = std::thread::spawn(|| {
            let mut command = bound_command(Path::new("cat"), BoundSignal::Kill);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            spawn_bound(command).unwrap()
        })
        .join()
        .unwrap();
        // cat ends by itself, and well, only when its input ends: a signal would show in its status.
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}
