//! A PostgreSQL server of our own: its own data in a temporary directory, its own port, nobody else's.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use tempfile::TempDir;
use uuid::Uuid;

use crate::certificates::Issued;
use crate::error::ServerError;
use crate::port;
use crate::process::{BoundSignal, children, command, pid};
use crate::programs::PostgresPrograms;
use crate::run_as::{Account, copy_for, temporary_directory};
use crate::server_process::{ServerProcess, run};

const SERVER: &str = "PostgreSQL";
const USER: &str = "vefa";
const START_ATTEMPTS: u32 = 5;
const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long the processes of a killed server may hold on to its memory, which keeps it from coming back.
const RESTART_LIMIT: Duration = Duration::from_secs(30);

/// The files of TLS in its directory.
const CERTIFICATE: &str = "server.crt";
const KEY: &str = "server.key";
const CLIENT_CA: &str = "clients.crt";
const RULES: &str = "hba.conf";

/// What a small server lacks: its indexes in memory, and pages that are not written whole again every few seconds.
const ROOMY: [&str; 4] = [
    "shared_buffers=1GB",
    "max_wal_size=16GB",
    "checkpoint_timeout=30min",
    "wal_buffers=64MB",
];

/// How a server is set up.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The programs to run.
    pub programs: PostgresPrograms,
    /// Whether a commit survives a crash of the machine. It survives kill -9 of the server either way.
    pub fsync: bool,
    /// The most connections at one time.
    pub connections_max: u32,
    /// Whether it has memory and log to work under load, as a server in earnest would. Else it is small.
    pub roomy: bool,
    /// Over what it is spoken with: TLS and nothing else, or in clear.
    pub tls: Option<PostgresTls>,
}

/// TLS of a server.
#[derive(Debug, Clone)]
pub struct PostgresTls {
    /// What it shows.
    pub certificate: Issued,
    /// The CA of whoever may connect; without one, nobody is asked for a certificate.
    pub client_ca: Option<PathBuf>,
}

impl PostgresOptions {
    /// A server that keeps what it has confirmed.
    pub fn durable(programs: PostgresPrograms) -> Self {
        Self {
            programs,
            fsync: true,
            connections_max: 300,
            roomy: false,
            tls: None,
        }
    }

    /// The same with room for a load: a gigabyte of shared memory, and checkpoints that are half an hour apart.
    pub fn for_load(programs: PostgresPrograms) -> Self {
        Self {
            roomy: true,
            ..Self::durable(programs)
        }
    }

    /// The same without fsync: for tests, whose data nobody needs after a power cut.
    pub fn for_tests(programs: PostgresPrograms) -> Self {
        Self {
            fsync: false,
            ..Self::durable(programs)
        }
    }
}

/// A running server. It listens on loopback alone and asks for a password that it alone has; it stops,
/// and its data goes, when this is dropped. Where the system can do that, it also ends when this process
/// is killed (see [`crate::bound_command`]).
///
/// Text sorts and folds by the C locale, the same on every machine.
#[derive(Debug)]
pub struct PostgresServer {
    process: Option<ServerProcess>,
    options: PostgresOptions,
    /// Whom the server runs as, when it cannot be us.
    account: Option<Account>,
    postgres: PathBuf,
    port: u16,
    password: String,
    // Last, so that the files go after the process.
    dir: TempDir,
}

impl PostgresServer {
    /// Makes an empty server and starts it on a free port; returns once it takes connections.
    ///
    /// # Errors
    /// When it cannot be made, or is not ready within a minute: with the end of its log.
    pub fn start(options: PostgresOptions) -> Result<Self, ServerError> {
        let account = Account::for_postgres()?;
        let dir = temporary_directory("vefa-postgres-", account.as_ref())?;
        let bin_dir = reachable_bin_dir(&options.programs, account.as_ref(), dir.path())?;
        let password = Uuid::new_v4().simple().to_string();
        let mut server = Self {
            process: None,
            account,
            postgres: bin_dir.join("postgres"),
            port: 0,
            password,
            dir,
            options,
        };
        server.initdb(&bin_dir.join("initdb"))?;
        server.write_tls()?;
        server.start_on_a_free_port()?;
        Ok(server)
    }

    /// The address of a database, as the server's administrator. `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}:{}@127.0.0.1:{}/{database}",
            self.password, self.port
        )
    }

    /// Where the server keeps its files.
    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    /// The server process's id, while it runs.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::id)
    }

    /// kill -9. What was committed is there again after [`Self::restart`].
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn kill(&mut self) -> Result<(), ServerError> {
        self.process
            .take()
            .map_or(Ok(()), |mut process| process.kill())
    }

    /// kill -9 of one of its processes. The server then ends all sessions, recovers, and takes connections again by itself.
    ///
    /// # Errors
    /// When the server does not run, or the system does not let us.
    pub fn crash(&mut self) -> Result<(), ServerError> {
        let killed = self
            .process_id()
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))
            .and_then(children)
            .and_then(|children| {
                let youngest = children.into_iter().max();
                let id = youngest.ok_or(std::io::ErrorKind::NotFound)?;
                Ok(kill_process(pid(id)?, Signal::KILL)?)
            });
        killed.map_err(ServerError::io("crashing PostgreSQL"))
    }

    /// Starts the server again on the same port and data, after stopping it if it runs.
    ///
    /// # Errors
    /// When it is not ready within the limit: with the end of its log.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop()?;
        let deadline = Instant::now() + RESTART_LIMIT;
        loop {
            match self.launch() {
                // The killed server's children may live a moment longer than it did.
                Err(ServerError::Ended { log, .. })
                    if log.contains("still in use") && Instant::now() < deadline => {}
                outcome => return outcome,
            }
        }
    }

    fn stop(&mut self) -> Result<(), ServerError> {
        self.process.take().map_or(Ok(()), |mut process| {
            // SIGINT is PostgreSQL's fast shutdown: it ends sessions, and keeps what they committed.
            process.stop(Signal::INT, STOP_LIMIT)
        })
    }

    fn initdb(&self, initdb: &Path) -> Result<(), ServerError> {
        let password_file = self.dir.path().join("password");
        write_private(&password_file, &self.password, self.account.as_ref())?;
        let mut command = self.command(initdb, BoundSignal::Kill);
        command
            .arg("--pgdata")
            .arg(self.data())
            .args(["--username", USER, "--auth=scram-sha-256"])
            .arg("--pwfile")
            .arg(&password_file)
            .args(["--encoding=UTF8", "--locale=C"]);
        if !self.options.fsync {
            command.arg("--no-sync");
        }
        run(command, "initdb")
    }

    /// The server wants a key of its own, which nobody else can read, and says who may connect in a file of its own.
    fn write_tls(&self) -> Result<(), ServerError> {
        let Some(tls) = &self.options.tls else {
            return Ok(());
        };
        let copy = |from: &Path, name: &str| {
            let text = fs::read_to_string(from)
                .map_err(ServerError::io(format!("reading {}", from.display())))?;
            write_private(&self.dir.path().join(name), &text, self.account.as_ref())
        };
        copy(&tls.certificate.certificate, CERTIFICATE)?;
        copy(&tls.certificate.key, KEY)?;
        let mut rule = "hostssl all all 127.0.0.1/32 scram-sha-256".to_owned();
        if let Some(client_ca) = &tls.client_ca {
            copy(client_ca, CLIENT_CA)?;
            rule.push_str(" clientcert=verify-ca");
        }
        write_private(&self.dir.path().join(RULES), &rule, self.account.as_ref())
    }

    fn tls_settings(&self) -> Vec<String> {
        let Some(tls) = &self.options.tls else {
            return Vec::new();
        };
        let file = |setting, name| format!("{setting}={}", self.dir.path().join(name).display());
        let mut settings = vec![
            "ssl=on".to_owned(),
            file("ssl_cert_file", CERTIFICATE),
            file("ssl_key_file", KEY),
            file("hba_file", RULES),
        ];
        settings.extend(
            tls.client_ca
                .as_ref()
                .map(|_| file("ssl_ca_file", CLIENT_CA)),
        );
        settings
    }

    fn start_on_a_free_port(&mut self) -> Result<(), ServerError> {
        for _ in 0..START_ATTEMPTS {
            self.port = port::free().ok_or(ServerError::NoPort)?;
            match self.launch() {
                Err(ServerError::Ended { log, .. }) if log.contains("could not bind") => {}
                outcome => return outcome,
            }
        }
        Err(ServerError::NoPort)
    }

    fn launch(&mut self) -> Result<(), ServerError> {
        let on = |set| if set { "on" } else { "off" };
        let fsync = on(self.options.fsync);
        let mut command = self.command(&self.postgres, BoundSignal::Quit);
        command.arg("-D").arg(self.data());
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            format!("port={}", self.port),
            format!("max_connections={}", self.options.connections_max),
            format!("fsync={fsync}"),
            format!("full_page_writes={fsync}"),
        ] {
            command.args(["-c", &setting]);
        }
        if self.options.roomy {
            for setting in ROOMY {
                command.args(["-c", setting]);
            }
        }
        for setting in self.tls_settings() {
            command.args(["-c", &setting]);
        }
        let log = self.dir.path().join("log");
        let mut process = ServerProcess::start(SERVER, command, &log)?;
        let (pid_file, id) = (self.data().join("postmaster.pid"), process.id());
        process.wait_ready(READY_LIMIT, || {
            fs::read_to_string(&pid_file).is_ok_and(|content| says_ready(&content, id))
        })?;
        self.process = Some(process);
        Ok(())
    }

    fn command(&self, program: &Path, at_our_end: BoundSignal) -> Command {
        let mut command = command(program, at_our_end, self.account.as_ref());
        // Its user may not enter our working directory, and our PGDATA, PGPORT and the like are not its.
        command.current_dir(self.dir.path()).env("LC_ALL", "C");
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Nobody is there to hear of a failure, and the process ends with us at the latest.
        let _stopped = self.stop();
    }
}

/// Where the account can run the programs from: their own place or, where that is closed to it, a copy.
fn reachable_bin_dir(
    programs: &PostgresPrograms,
    account: Option<&Account>,
    dir: &Path,
) -> Result<PathBuf, ServerError> {
    let bin_dir = &programs.bin_dir;
    match (account, bin_dir.parent(), bin_dir.file_name()) {
        (Some(account), Some(installation), Some(name))
            if !account.can_run(&bin_dir.join("postgres")) =>
        {
            Ok(copy_for(account, installation, dir)?.join(name))
        }
        _ => Ok(bin_dir.clone()),
    }
}

fn write_private(path: &Path, text: &str, owner: Option<&Account>) -> Result<(), ServerError> {
    let doing = || ServerError::io(format!("writing {}", path.display()));
    fs::write(path, text).map_err(doing())?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(doing())?;
    if let Some(owner) = owner {
        chown(path, Some(owner.uid), Some(owner.gid)).map_err(doing())?;
    }
    Ok(())
}

/// Reads `postmaster.pid`, the way that pg_ctl learns the same: the first line is the server's process,
/// the eighth its state. A killed server leaves its own behind, hence the comparison of the process.
fn says_ready(pid_file: &str, process_id: u32) -> bool {
    let mut lines = pid_file.lines().map(str::trim);
    lines.next() == Some(process_id.to_string().as_str()) && lines.nth(6) == Some("ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID_FILE: &str = "4711\n/data\n1795400000\n20123\n\n127.0.0.1\n  1234   56\nready   \n";

    #[test]
    fn is_ready_only_when_its_own_process_says_so() {
        assert!(says_ready(PID_FILE, 4711));
        assert!(
            !says_ready(PID_FILE, 4712),
            "left behind by a killed server"
        );
        assert!(!says_ready(&PID_FILE.replace("ready", "starting"), 4711));
        assert!(!says_ready("4711\n/data\n", 4711));
    }
}
