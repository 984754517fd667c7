//! A NATS server of our own, with JetStream.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use uuid::Uuid;

use crate::error::ServerError;
use crate::port;
use crate::process::{BoundSignal, command};
use crate::programs::NatsProgram;
use crate::run_as::temporary_directory;
use crate::server_process::ServerProcess;

const SERVER: &str = "NATS";
const START_ATTEMPTS: u32 = 5;
const READY_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(10);
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// NATS's own default, written down because the relay's batches depend on it.
const PAYLOAD_BYTES_MAX: u32 = 1 << 20;

/// A running server. It listens on loopback alone and keeps its streams in a temporary directory, synced
/// to disk before they are confirmed; it stops, and they go, when this is dropped. Where the system can
/// do that, it also ends when this process is killed (see [`crate::bound_command`]).
#[derive(Debug)]
pub struct NatsServer {
    process: Option<ServerProcess>,
    program: NatsProgram,
    name: String,
    port: u16,
    settings: String,
    // Last, so that the files go after the process.
    dir: TempDir,
}

impl NatsServer {
    /// Starts a server without streams on a free port; returns once it takes connections.
    ///
    /// # Errors
    /// When it cannot be started, or is not ready within half a minute: with the end of its log.
    pub fn start(program: NatsProgram) -> Result<Self, ServerError> {
        Self::start_with(program, "")
    }

    /// The same with more lines in its configuration, such as users.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(program: NatsProgram, settings: &str) -> Result<Self, ServerError> {
        let mut server = Self {
            process: None,
            program,
            name: format!("vefa-{}", Uuid::new_v4().simple()),
            port: 0,
            settings: settings.to_owned(),
            dir: temporary_directory("vefa-nats-", None)?,
        };
        for _ in 0..START_ATTEMPTS {
            server.port = port::free().ok_or(ServerError::NoPort)?;
            match server.launch() {
                Err(ServerError::Ended { log, .. }) if log.contains("address already in use") => {}
                outcome => return outcome.map(|()| server),
            }
        }
        Err(ServerError::NoPort)
    }

    /// The server's address.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Where the server keeps its files.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// The server process's id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::id)
    }

    /// kill -9. What was confirmed is there again after [`Self::restart`].
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn kill(&mut self) -> Result<(), ServerError> {
        self.process
            .take()
            .map_or(Ok(()), |mut process| process.kill())
    }

    /// Starts the server again on the same port and data, after stopping it if it runs.
    ///
    /// # Errors
    /// When it is not ready within half a minute: with the end of its log.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop()?;
        self.launch()
    }

    fn stop(&mut self) -> Result<(), ServerError> {
        self.process
            .take()
            .map_or(Ok(()), |mut process| process.stop(Signal::TERM, STOP_LIMIT))
    }

    fn launch(&mut self) -> Result<(), ServerError> {
        let config = self.dir.path().join("nats.conf");
        fs::write(&config, self.config())
            .map_err(ServerError::io(format!("writing {}", config.display())))?;
        let mut command = command(&self.program.path, BoundSignal::Kill, None);
        command.arg("--config").arg(&config);
        let log = self.dir.path().join("log");
        let mut process = ServerProcess::start(SERVER, command, &log)?;
        process.wait_ready(READY_LIMIT, || self.greets_as_ours())?;
        self.process = Some(process);
        Ok(())
    }

    fn config(&self) -> String {
        let store: PathBuf = self.dir.path().join("jetstream");
        format!(
            "listen: \"127.0.0.1:{}\"\n\
             server_name: \"{}\"\n\
             max_payload: {PAYLOAD_BYTES_MAX}\n\
             jetstream {{\n  store_dir: {:?}\n  sync_interval: always\n}}\n\
             {}\n",
            self.port, self.name, store, self.settings
        )
    }

    /// A NATS server greets whoever connects with one line of what it is: ours, with JetStream, or
    /// somebody else's on a port that was free a moment ago.
    fn greets_as_ours(&self) -> bool {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let mut greeting = String::new();
        TcpStream::connect_timeout(&address, PROBE_LIMIT)
            .and_then(|stream| {
                stream.set_read_timeout(Some(PROBE_LIMIT))?;
                BufReader::new(stream).read_line(&mut greeting)
            })
            .is_ok_and(|_| {
                greeting.contains(&format!("\"server_name\":\"{}\"", self.name))
                    && greeting.contains("\"jetstream\":true")
            })
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        // Nobody is there to hear of a failure, and the process ends with us at the latest.
        let _stopped = self.stop();
    }
}
