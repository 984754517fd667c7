//! The four databases as files, with a list of what they are and of who was erased.

mod erased;
mod manifest;
mod snapshot;
mod tools;

pub(crate) use erased::Erased;
pub(crate) use manifest::{Dumped, Extent, Manifest};
pub(crate) use tools::Tools;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use service::{Config, ServiceName};
use sqlx::{Connection as _, PgConnection};
use tokio::time::{MissedTickBehavior, interval};

use crate::projections::told;
use manifest::file_of;
use snapshot::Snapshot;

/// The list of who was erased, in the directory of a backup.
pub(crate) const ERASED_FILE: &str = "erased.jsonl";
/// How often a transaction shows that it is not forgotten: `vefa doctor` finds those that stand idle for half a minute.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct BackupArguments {
    /// Directory that is made for the backup. It appears when the backup is complete.
    #[arg(long, value_name = "DIR", required_unless_present = "erased")]
    out: Option<PathBuf>,
    /// File in which everybody who was ever erased is added, ids and moments alone. Keep it apart from the databases; with it alone, without
    /// --out, this takes a moment and can be done often.
    #[arg(long, value_name = "FILE")]
    erased: Option<PathBuf>,
    #[command(flatten)]
    tools: Tools,
}

/// Backs up. The services can run meanwhile.
///
/// # Errors
/// When a database or a file is of no use. There is no directory then.
pub(crate) fn run(config: &Config, arguments: &BackupArguments) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        if let Some(out) = &arguments.out {
            arguments.tools.require(&["pg_dump"]).await?;
            if out.exists() {
                bail!("{} is there already", out.display());
            }
        }
        let erased = match &arguments.out {
            Some(out) => {
                let snapshots = snapshot::take(config).await?;
                let mut erased = Erased::default();
                for snapshot in &snapshots {
                    erased.merge(&snapshot.erased);
                }
                write(config, arguments, out, snapshots, &erased).await?;
                erased
            }
            None => erased_by_now(config).await?,
        };
        if let Some(file) = &arguments.erased {
            let mut erased = erased;
            erased.merge(&Erased::read(file)?);
            erased.write(file)?;
            told(&format!(
                "{}: {} erased customers",
                file.display(),
                erased.len()
            ));
        }
        Ok(())
    })
}

/// Everybody who was erased, as far as the present databases know.
pub(crate) async fn erased_by_now(config: &Config) -> Result<Erased> {
    let mut erased = Erased::default();
    for service in ServiceName::ALL {
        let reading = || format!("reading who was erased in the database of {service}");
        let url = config.database.url.of(service).expose();
        let mut connection = PgConnection::connect(url).await.with_context(reading)?;
        let here = Erased::in_database(&mut connection).await;
        erased.merge(&here.with_context(reading)?);
    }
    Ok(erased)
}

async fn write(
    config: &Config,
    arguments: &BackupArguments,
    out: &Path,
    mut snapshots: Vec<Snapshot>,
    erased: &Erased,
) -> Result<()> {
    let mut unfinished = out.to_owned().into_os_string();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    if unfinished.exists() {
        // Left by one that was killed.
        fs::remove_dir_all(&unfinished)
            .with_context(|| format!("removing {}", unfinished.display()))?;
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&unfinished)
        .with_context(|| format!("making {}", unfinished.display()))?;
    let mut dumped = Vec::new();
    while let Some(snapshot) = snapshots.pop() {
        let service = snapshot.service;
        let dump = dump(config, arguments, &unfinished, snapshot, &mut snapshots).await;
        match dump.with_context(|| format!("dumping the database of {service}")) {
            Ok(dump) => dumped.push(dump),
            Err(error) => {
                fs::remove_dir_all(&unfinished)
                    .with_context(|| format!("removing {}", unfinished.display()))?;
                return Err(error);
            }
        }
    }
    erased.write(&unfinished.join(ERASED_FILE))?;
    Manifest::new(dumped).write(&unfinished)?;
    fs::rename(&unfinished, out).with_context(|| format!("making {}", out.display()))?;
    told(&format!("{} is complete", out.display()));
    Ok(())
}

async fn dump(
    config: &Config,
    arguments: &BackupArguments,
    directory: &Path,
    mut snapshot: Snapshot,
    others: &mut [Snapshot],
) -> Result<Dumped> {
    let service = snapshot.service;
    let path = directory.join(file_of(service));
    let file = private_file(&path).with_context(|| format!("making {}", path.display()))?;
    let out = file.try_clone().context("sharing a file")?;
    let mut command = arguments.tools.command_on("pg_dump", config, service)?;
    command
        .arg("--format=custom")
        .arg(format!("--snapshot={}", snapshot.id))
        .stdout(Stdio::from(out));
    let child = command.spawn().context("starting pg_dump")?;
    let output = child.wait_with_output();
    tokio::pin!(output);
    let mut signs = interval(SIGN_OF_LIFE);
    signs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let output = loop {
        tokio::select! {
            output = &mut output => break output.context("waiting for pg_dump")?,
            _ = signs.tick() => {
                snapshot.sign_of_life().await?;
                for other in others.iter_mut() {
                    other.sign_of_life().await?;
                }
            }
        }
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("pg_dump failed ({}): {}", output.status, said.trim());
    }
    file.sync_all()
        .with_context(|| format!("writing {}", path.display()))?;
    let followers = snapshot.followers();
    let dumped = Dumped::new(service, directory, snapshot.extent, followers)?;
    told(&format!(
        "{service}: {} events, {} bytes",
        dumped.extent.events(),
        dumped.bytes
    ));
    Ok(dumped)
}

/// A new file that nobody else may read: a dump holds names.
fn private_file(path: &Path) -> io::Result<File> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}
