//! What a backup holds, so that it can be told whole from torn, and right from wrong, before it replaces anything.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use service::ServiceName;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::private_file;

const FILE: &str = "manifest.json";
/// Of the file and of the directory.
const FORMAT: u32 = 1;
const BUFFER_BYTES: usize = 1 << 20;

/// The contents of a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    /// Which program made it.
    vefa: String,
    commit: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) made_at: OffsetDateTime,
    /// In the order in which services are listed everywhere.
    pub(crate) services: Vec<Dumped>,
}

/// The dump of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dumped {
    pub(crate) service: String,
    /// In the directory of the manifest.
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) extent: Extent,
    /// Who follows another service's log here. Nobody, as far as a manifest of before these were listed tells.
    #[serde(default)]
    pub(crate) followers: Vec<Follower>,
}

/// A projection of another service's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Follower {
    pub(crate) projection: String,
    pub(crate) version: i32,
    /// The service whose log it follows.
    pub(crate) source: String,
}

/// How far a log has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) epoch: i32,
    /// Last position of each partition that has any.
    pub(crate) positions: BTreeMap<i16, i64>,
    /// Versions of the tables.
    pub(crate) migrations: Vec<i64>,
}

impl Extent {
    /// As a connection sees it.
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Self> {
        let epoch = sqlx::query_scalar("select epoch from public.log_epoch")
            .fetch_one(&mut *connection)
            .await?;
        let positions: Vec<(i16, i64)> =
            sqlx::query_as("select partition, position from public.log_head where position > 0")
                .fetch_all(&mut *connection)
                .await?;
        let migrations = sqlx::query_scalar(
            "select version from public._sqlx_migrations where success order by version",
        )
        .fetch_all(connection)
        .await?;
        Ok(Self {
            epoch,
            positions: positions.into_iter().collect(),
            migrations,
        })
    }

    pub(crate) fn events(&self) -> i64 {
        self.positions.values().sum()
    }
}

impl Manifest {
    pub(crate) fn new(services: Vec<Dumped>) -> Self {
        Self {
            format: FORMAT,
            vefa: env!("CARGO_PKG_VERSION").to_owned(),
            commit: crate::version::commit().to_owned(),
            made_at: service::clock::now(),
            services,
        }
    }

    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        let writing = || format!("writing {}", path.display());
        let mut file = private_file(&path).with_context(writing)?;
        let text = serde_json::to_vec_pretty(self)?;
        file.write_all(&text)
            .and_then(|()| file.sync_all())
            .with_context(writing)
    }

    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let reading = || format!("{} holds no backup: reading {FILE}", directory.display());
        let text = fs::read_to_string(path).with_context(reading)?;
        let manifest: Self = serde_json::from_str(&text).with_context(reading)?;
        if manifest.format != FORMAT {
            let format = manifest.format;
            bail!("the backup is of format {format}, and this program knows {FORMAT}");
        }
        Ok(manifest)
    }

    /// The dump of a service.
    pub(crate) fn of(&self, service: ServiceName) -> Result<&Dumped> {
        let mut dumped = self.services.iter();
        dumped
            .find(|dumped| dumped.service == service.as_str())
            .with_context(|| format!("the backup has no dump of {service}"))
    }
}

impl Dumped {
    pub(crate) fn new(
        service: ServiceName,
        directory: &Path,
        extent: Extent,
        followers: Vec<Follower>,
    ) -> Result<Self> {
        let file = file_of(service);
        let (bytes, sha256) = digest(&directory.join(&file))?;
        Ok(Self {
            service: service.as_str().to_owned(),
            file,
            bytes,
            sha256,
            extent,
            followers,
        })
    }

    /// Passes where the file is what it was when it was made.
    pub(crate) fn verify(&self, directory: &Path) -> Result<()> {
        let file = &self.file;
        let (bytes, sha256) = digest(&directory.join(file))?;
        if bytes != self.bytes {
            let should = self.bytes;
            bail!("{file} has {bytes} bytes, and had {should} when the backup was made");
        }
        if sha256 != self.sha256 {
            bail!("{file} is not what it was when the backup was made: its SHA-256 differs");
        }
        Ok(())
    }
}

/// The name of a dump.
pub(crate) fn file_of(service: ServiceName) -> String {
    format!("{service}.dump")
}

/// Length and SHA-256 of a file.
fn digest(path: &Path) -> Result<(u64, String)> {
    let reading = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let (mut length, mut digest) = (0, Sha256::new());
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((length, crate::hexadecimal(&digest.finalize()))),
            Ok(read) => {
                digest.update(&buffer[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(reading),
        }
    }
}
