//! How far an export has come: one file in its directory, replaced as a whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use aggregate::{Partition, TenantId};
use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use service::ServiceName;
use time::format_description::well_known::Rfc3339;

use super::part::Format;
use crate::events::{filter::Filter, log::Heads};

const STATE: &str = "state.json";
const LOCK: &str = ".lock";
const VERSION: u32 = 1;

/// A position of each partition that has one, by the partition's number.
pub(super) type Positions = BTreeMap<u8, u64>;

/// What an export is of. It stays the same as long as the export goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    version: u32,
    tenant: String,
    format: Format,
    from: Option<String>,
    to: Option<String>,
    types: BTreeSet<String>,
}

impl Terms {
    pub(super) fn new(tenant: &TenantId, format: Format, filter: &Filter) -> Result<Self> {
        let text =
            |moment: time::OffsetDateTime| moment.to_offset(time::UtcOffset::UTC).format(&Rfc3339);
        Ok(Self {
            version: VERSION,
            tenant: tenant.to_string(),
            format,
            from: filter.since.map(text).transpose()?,
            to: filter.until.map(text).transpose()?,
            types: filter.types.clone(),
        })
    }
}

/// How far one log is exported.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Exported {
    pub(super) epoch: u32,
    /// Up to where, of each partition.
    pub(super) positions: Positions,
    /// Up to where the round goes that is under way, of the partitions that it is about.
    pub(super) round: Option<Positions>,
}

impl Exported {
    pub(super) fn position(&self, partition: Partition) -> u64 {
        self.positions
            .get(&partition.number())
            .copied()
            .unwrap_or(0)
    }

    /// The furthest of which files may tell.
    fn reached(&self, partition: Partition) -> u64 {
        let round = self.round.as_ref();
        round
            .and_then(|round| round.get(&partition.number()).copied())
            .unwrap_or(0)
            .max(self.position(partition))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    #[serde(flatten)]
    terms: Terms,
    services: BTreeMap<String, Exported>,
}

/// The directory of an export, which nobody else uses meanwhile.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    state: State,
    /// Released by the system when the process ends, in whatever way.
    _lock: File,
}

impl Directory {
    /// Opens the export in a directory, or begins one in a directory that is empty or not there.
    ///
    /// # Errors
    /// When it has something else in it, another process exports into it, or the export there is of something else.
    pub(super) fn open(path: &Path, terms: Terms) -> Result<Self> {
        let shown = path.display();
        fs::create_dir_all(path).with_context(|| format!("making {shown}"))?;
        let file = path.join(STATE);
        if !file.exists() {
            nothing_else(path)?;
        }
        let lock = File::create(path.join(LOCK)).with_context(|| format!("locking {shown}"))?;
        lock.try_lock()
            .with_context(|| format!("another process exports into {shown}"))?;
        let state: State = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is not the state of an export", file.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => State {
                terms: terms.clone(),
                services: BTreeMap::new(),
            },
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", file.display()));
            }
        };
        ensure!(
            state.terms == terms,
            "{shown} has an export of something else: {}, not {}",
            serde_json::to_string(&state.terms)?,
            serde_json::to_string(&terms)?
        );
        let path = path.to_owned();
        Ok(Self {
            path,
            state,
            _lock: lock,
        })
    }

    /// Goes on with the log of a service, of which these are the heads.
    ///
    /// # Errors
    /// When files may have events that the log no longer has.
    pub(super) fn enter(&mut self, service: ServiceName, heads: &Heads) -> Result<()> {
        let exported = self.state.services.entry(service.to_string()).or_default();
        for partition in Partition::all() {
            let reached = exported.reached(partition);
            let forks = heads.forks.iter().filter(|fork| {
                fork.epoch > exported.epoch && fork.partition == u32::from(partition.number())
            });
            let left = forks.map(|fork| fork.position).min().unwrap_or(u64::MAX);
            let left = left.min(heads.of(partition));
            if left < reached {
                bail!(
                    "the log of {service} was restored to an earlier point (epoch {}, exported at {}): what was exported of partition {partition} \
                     beyond position {left} is no more; export into another directory",
                    heads.epoch,
                    exported.epoch
                );
            }
        }
        exported.epoch = heads.epoch;
        Ok(())
    }

    /// How far a log is exported that was entered.
    pub(super) fn of(&self, service: ServiceName) -> Exported {
        let exported = self.state.services.get(service.as_str());
        exported.cloned().unwrap_or_default()
    }

    /// Writes down how far a log is exported. It is on disk when this returns.
    pub(super) fn set(&mut self, service: ServiceName, exported: Exported) -> Result<()> {
        self.state.services.insert(service.to_string(), exported);
        let new = self.path.join(format!("{STATE}.new"));
        let writing = || {
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(&self.state)?)?;
            file.sync_all()?;
            fs::rename(&new, self.path.join(STATE))?;
            File::open(&self.path)?.sync_all()
        };
        writing().with_context(|| format!("writing {}", self.path.join(STATE).display()))
    }
}

fn nothing_else(path: &Path) -> Result<()> {
    let shown = path.display();
    let entries = fs::read_dir(path).with_context(|| format!("looking into {shown}"))?;
    for entry in entries {
        let name = entry
            .with_context(|| format!("looking into {shown}"))?
            .file_name();
        ensure!(
            name == LOCK || name == format!("{STATE}.new").as_str(),
            "{shown} is not empty, and has no export in it"
        );
    }
    Ok(())
}
