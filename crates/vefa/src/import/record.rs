//! What an import leaves behind: the lines that were rejected, and how far it has come, so that it can be gone on with.
//!
//! That nobody is registered twice rests on request ids alone. What is saved here spares asking again for what was answered, and keeps the
//! counts: it is written now and then, so that after a crash some lines are asked for once more.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufWriter, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{client::Heads, rejection::Rejection};

const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Which import it is. What another one saved is of no use to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) tenant: String,
    /// SHA-256 of the file.
    pub(super) digest: String,
}

/// Lines by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    /// All that were answered.
    pub(super) lines: u64,
    pub(super) registered: u64,
    /// Registered before the import began.
    pub(super) already: u64,
    pub(super) rejected: u64,
    /// How often each reason was given for each column; a line can have several.
    pub(super) reasons: BTreeMap<String, u64>,
}

/// How far an import has come: all lines up to one are done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    identity: Identity,
    begun_at: Heads,
    /// The last line that is done.
    line: u64,
    counts: Counts,
    /// Bytes of the file of rejected lines that belong to them.
    rejects_bytes: u64,
}

impl Saved {
    /// What was saved in a file; none where there is no file. A file that says nothing is not taken for none: it may be somebody else's, and
    /// with it would go the counts of all that was answered.
    fn read(state: &Path) -> Result<Option<Self>> {
        let what_to_do = || {
            format!(
                "{} does not tell how far the import has come: remove it to begin again, or give the file to import another name",
                state.display()
            )
        };
        let text = match fs::read(state) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(what_to_do),
        };
        serde_json::from_slice(&text)
            .with_context(what_to_do)
            .map(Some)
    }
}

/// One rejected line, or one of several things that are wrong with it.
#[derive(Serialize)]
struct Written<'a> {
    line: u64,
    #[serde(flatten)]
    rejection: &'a Rejection,
}

/// The record of an import under way.
pub(super) struct Record {
    saved: Saved,
    /// None where nothing is saved: of a pipe, and when nothing is changed.
    state: Option<PathBuf>,
    rejects: PathBuf,
    /// Opened at the first line that is rejected.
    writer: Option<BufWriter<File>>,
    saved_at: Instant,
}

impl Record {
    /// The record of an import that begins now.
    pub(super) fn begin(
        identity: Identity,
        begun_at: Heads,
        state: Option<PathBuf>,
        rejects: PathBuf,
    ) -> Result<Self> {
        match fs::remove_file(&rejects) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", rejects.display()));
            }
            Ok(()) | Err(_) => {}
        }
        Ok(Self {
            saved: Saved {
                identity,
                begun_at,
                line: 0,
                counts: Counts::default(),
                rejects_bytes: 0,
            },
            state,
            rejects,
            writer: None,
            saved_at: Instant::now(),
        })
    }

    /// The record of the same import, where it was left; none where there is nothing to go on with.
    pub(super) fn resume(
        identity: &Identity,
        state: &Path,
        rejects: &Path,
    ) -> Result<Option<Self>> {
        let Some(saved) = Saved::read(state)? else {
            return Ok(None);
        };
        let written = fs::metadata(rejects).map_or(0, |file| file.len());
        if saved.identity != *identity || written < saved.rejects_bytes {
            return Ok(None);
        }
        let mut record = Self {
            saved,
            state: Some(state.to_owned()),
            rejects: rejects.to_owned(),
            writer: None,
            saved_at: Instant::now(),
        };
        if written > 0 {
            record.open()?;
        }
        Ok(Some(record))
    }

    /// The last line that is done.
    pub(super) fn line(&self) -> u64 {
        self.saved.line
    }

    pub(super) fn begun_at(&self) -> &Heads {
        &self.saved.begun_at
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.saved.counts
    }

    /// Notes that a customer is registered, and every line before is done.
    pub(super) fn registered(&mut self, line: u64, already: bool) -> Result<()> {
        let counts = &mut self.saved.counts;
        if already {
            counts.already += 1;
        } else {
            counts.registered += 1;
        }
        self.done(line)
    }

    /// Notes that a line is rejected, and every line before is done.
    pub(super) fn rejected(&mut self, line: u64, rejections: &[Rejection]) -> Result<()> {
        self.open()?;
        let writing = || format!("writing {}", self.rejects.display());
        let writer = self.writer.as_mut().context("it was opened")?;
        for rejection in rejections {
            let mut text = serde_json::to_vec(&Written { line, rejection })?;
            text.push(b'\n');
            writer.write_all(&text).with_context(writing)?;
            self.saved.rejects_bytes += text.len() as u64;
            let reason = match rejection.column.as_str() {
                "" => rejection.reason.clone(),
                column => format!("{} of {column}", rejection.reason),
            };
            *self.saved.counts.reasons.entry(reason).or_default() += 1;
        }
        self.saved.counts.rejected += 1;
        self.done(line)
    }

    fn done(&mut self, line: u64) -> Result<()> {
        self.saved.line = line;
        self.saved.counts.lines += 1;
        if self.saved_at.elapsed() >= SAVE_INTERVAL {
            self.save()?;
        }
        Ok(())
    }

    /// What is rejected, and how far it has come, is in files then; the rejected lines first, so that they are never fewer than it says.
    pub(super) fn save(&mut self) -> Result<()> {
        self.saved_at = Instant::now();
        if let Some(writer) = &mut self.writer {
            let synced = writer.flush().and_then(|()| writer.get_ref().sync_data());
            synced.with_context(|| format!("writing {}", self.rejects.display()))?;
        }
        let Some(state) = &self.state else {
            return Ok(());
        };
        let mut next = state.clone().into_os_string();
        next.push(".next");
        fs::write(&next, serde_json::to_vec(&self.saved)?)
            .and_then(|()| fs::rename(&next, state))
            .with_context(|| format!("writing {}", state.display()))
    }

    /// All is done: there is nothing to go on with.
    pub(super) fn finish(mut self) -> Result<Counts> {
        self.save()?;
        if let Some(state) = &self.state {
            fs::remove_file(state).with_context(|| format!("removing {}", state.display()))?;
        }
        Ok(self.saved.counts)
    }

    /// Opens the file of rejected lines behind those that belong to what is done.
    fn open(&mut self) -> Result<()> {
        if self.writer.is_some() {
            return Ok(());
        }
        let opening = || format!("opening {}", self.rejects.display());
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.rejects)
            .with_context(opening)?;
        file.set_len(self.saved.rejects_bytes)
            .with_context(opening)?;
        file.seek(SeekFrom::End(0)).with_context(opening)?;
        self.writer = Some(BufWriter::new(file));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            name: "customers.csv".to_owned(),
            tenant: "demo".to_owned(),
            digest: "00".to_owned(),
        }
    }

    #[test]
    fn only_an_absent_file_is_an_import_that_was_never_begun() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (state, rejects) = (path("customers.csv.import"), path("customers.csv.rejects"));
        let resume = || Record::resume(&identity(), &state, &rejects);
        assert!(resume().unwrap().is_none());
        let heads = Heads::default();
        let mut record =
            Record::begin(identity(), heads, Some(state.clone()), rejects.clone()).unwrap();
        record.registered(7, false).unwrap();
        record.save().unwrap();
        assert_eq!(resume().unwrap().map(|record| record.line()), Some(7));

        let whole = fs::read(&state).unwrap();
        fs::write(&state, &whole[..whole.len() / 2]).unwrap();
        let torn = resume().err().map(|error| format!("{error:#}")).unwrap();
        fs::remove_file(&state).unwrap();
        // What is there cannot be read as a file, whoever asks.
        fs::create_dir(&state).unwrap();
        let unreadable = resume().err().map(|error| format!("{error:#}")).unwrap();
        for error in [torn, unreadable] {
            assert!(
                error.contains("customers.csv.import does not tell")
                    && error.contains("remove it to begin again"),
                "{error}"
            );
        }
    }
}
