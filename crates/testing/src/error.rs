//! What can go wrong with a server.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use crate::programs::ProgramError;

/// Why a server could not be prepared, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A file or process of ours: what was being done, and what the system said.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that prepares the server failed; the end of its output follows.
    #[error("{program} failed ({status}):\n{output}")]
    Preparation {
        /// The program's name.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of what it said.
        output: String,
    },
    /// The server ended before it was ready; the end of its log follows.
    #[error("{server} ended before it was ready ({status}):\n{log}")]
    Ended {
        /// Which server.
        server: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// The server did not become ready within the limit; the end of its log follows.
    #[error("{server} was not ready after {limit:?}:\n{log}")]
    NotReady {
        /// Which server.
        server: &'static str,
        /// How long it had.
        limit: Duration,
        /// The last lines of its log.
        log: String,
    },
    /// Every port that was tried is taken.
    #[error("no free port on 127.0.0.1")]
    NoPort,
    /// PostgreSQL will not run as root, and there is no account to run it as.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody to run it as"
    )]
    NoAccount,
    /// No directory for temporary files can be entered by the account that PostgreSQL runs as.
    #[error(
        "the user {account} can enter no directory for temporary files; set TMPDIR to one that every user can enter"
    )]
    NoTemporaryDirectory {
        /// The account's name.
        account: String,
    },
    /// The program cannot be used.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

impl ServerError {
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        |source| Self::Io { doing, source }
    }
}
