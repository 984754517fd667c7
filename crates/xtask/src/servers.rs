//! A PostgreSQL and a NATS of our own.

use std::ffi::OsString;

use testing::{
    NATS_SERVER_VARIABLE, NATS_URL_VARIABLE, NatsProgram, NatsServer, POSTGRES_BIN_DIR_VARIABLE,
    POSTGRES_URL_VARIABLE, PostgresOptions, PostgresPrograms, PostgresServer,
};

use crate::interrupt;
use crate::step::step;
use crate::tools;

/// Both servers; they stop when this is dropped.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) postgres: PostgresServer,
    pub(crate) nats: NatsServer,
    postgres_programs: PostgresPrograms,
    nats_program: NatsProgram,
}

impl Servers {
    /// Obtains what the machine lacks, and starts both. `options` chooses how PostgreSQL keeps its data.
    pub(crate) fn start(
        options: impl FnOnce(PostgresPrograms) -> PostgresOptions,
    ) -> anyhow::Result<Self> {
        let (postgres_programs, nats_program) =
            step("find PostgreSQL and NATS, or obtain them", || {
                Ok((tools::postgres()?, tools::nats()?))
            })?;
        step("start PostgreSQL and NATS", || {
            Ok(Self {
                postgres: PostgresServer::start(options(postgres_programs.clone()))?,
                nats: NatsServer::start(nats_program.clone())?,
                postgres_programs,
                nats_program,
            })
        })
    }

    /// Where PostgreSQL's programs lie.
    pub(crate) fn postgres_bin_dir(&self) -> std::path::PathBuf {
        self.postgres_programs.bin_dir.clone()
    }

    /// What tests find them by.
    pub(crate) fn variables(&self) -> [(&'static str, OsString); 4] {
        [
            (POSTGRES_URL_VARIABLE, self.postgres.url("postgres").into()),
            (NATS_URL_VARIABLE, self.nats.url().into()),
            (
                POSTGRES_BIN_DIR_VARIABLE,
                self.postgres_programs.bin_dir.clone().into(),
            ),
            (NATS_SERVER_VARIABLE, self.nats_program.path.clone().into()),
        ]
    }
}

/// Runs both until Ctrl-C.
pub(crate) fn run() -> anyhow::Result<()> {
    interrupt::watch()?;
    let servers = Servers::start(PostgresOptions::durable)?;
    println!("\nFor tests in another terminal:\n");
    for (name, value) in servers.variables() {
        println!("export {name}={}", value.display());
    }
    println!("\nBoth servers, and their data, go with Ctrl-C.");
    interrupt::wait();
    println!("Stopping PostgreSQL and NATS.");
    drop(servers);
    Ok(())
}
