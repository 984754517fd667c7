//! Finding PostgreSQL's and NATS's programs on the machine. Obtaining them is not done here.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::environment::{NATS_SERVER_VARIABLE, POSTGRES_BIN_DIR_VARIABLE, environment_variable};

/// Where Debian and its kin keep each version of PostgreSQL, out of the PATH.
const DEBIAN_POSTGRES: &str = "/usr/lib/postgresql";

/// A program's version, as far as we compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number; 0 where there is none.
    pub minor: u32,
}

impl Version {
    /// The first version number in what a program answers to `--version`.
    pub fn parse(answer: &str) -> Option<Self> {
        let word = answer
            .split_whitespace()
            .map(|word| word.trim_start_matches('v'))
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let mut numbers = word
            .split(|c: char| !c.is_ascii_digit())
            .map(|digits| digits.parse().ok());
        Some(Self {
            major: numbers.next()??,
            // "18beta1" has no minor version: what follows its letters is none either.
            minor: if word
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .starts_with('.')
            {
                numbers.next().flatten().unwrap_or(0)
            } else {
                0
            },
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.major, self.minor)
    }
}

/// Why a program that was named cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be started.
    #[error("{} cannot be run", .program.display())]
    NotRunnable {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not say its version in a way that we know.
    #[error("{} does not tell its version: {answer:?}", .program.display())]
    NoVersion {
        /// The program.
        program: PathBuf,
        /// What it said.
        answer: String,
    },
    /// It is older than the oldest version that Vefa works with.
    #[error("{} is version {found}, and Vefa needs {needed} or newer", .program.display())]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        found: Version,
        /// The oldest that will do.
        needed: Version,
    },
}

/// PostgreSQL's server programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresPrograms {
    /// The directory that holds them.
    pub bin_dir: PathBuf,
    /// Their version.
    pub version: Version,
}

impl PostgresPrograms {
    /// The oldest version that Vefa works with.
    pub const OLDEST: Version = Version {
        major: 15,
        minor: 0,
    };

    /// The programs that `VEFA_PG_BIN_DIR` names; else those in the PATH; else the newest that Debian's
    /// packages installed. `None` where the machine has none that is new enough.
    ///
    /// # Errors
    /// When those that `VEFA_PG_BIN_DIR` names cannot be used.
    pub fn find() -> Result<Option<Self>, ProgramError> {
        if let Some(named) = environment_variable(POSTGRES_BIN_DIR_VARIABLE) {
            return named_program(&named, Self::at);
        }
        Ok(Self::find_installed())
    }

    /// As [`Self::find`], whatever the variable says.
    pub fn find_installed() -> Option<Self> {
        let candidates = in_path("postgres")
            .filter_map(|program| program.parent().map(Path::to_owned))
            .chain(debian_bin_dirs(Path::new(DEBIAN_POSTGRES)));
        first_usable(candidates, Self::at)
    }

    /// The programs in this directory.
    ///
    /// # Errors
    /// When they are missing, cannot be run or are too old.
    pub fn at(bin_dir: &Path) -> Result<Self, ProgramError> {
        version(&bin_dir.join("initdb"), Self::OLDEST)?;
        Ok(Self {
            version: version(&bin_dir.join("postgres"), Self::OLDEST)?,
            bin_dir: bin_dir.to_owned(),
        })
    }
}

/// NATS's server program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsProgram {
    /// The program.
    pub path: PathBuf,
    /// Its version.
    pub version: Version,
}

impl NatsProgram {
    /// The oldest version that Vefa works with: the first with atomic batches.
    pub const OLDEST: Version = Version {
        major: 2,
        minor: 12,
    };

    /// The program that `VEFA_NATS_SERVER` names, else the one in the PATH. `None` where the machine has
    /// none that is new enough.
    ///
    /// # Errors
    /// When the one that `VEFA_NATS_SERVER` names cannot be used.
    pub fn find() -> Result<Option<Self>, ProgramError> {
        if let Some(named) = environment_variable(NATS_SERVER_VARIABLE) {
            return named_program(&named, Self::at);
        }
        Ok(first_usable(in_path("nats-server"), Self::at))
    }

    /// This program.
    ///
    /// # Errors
    /// When it cannot be run or is too old.
    pub fn at(path: &Path) -> Result<Self, ProgramError> {
        Ok(Self {
            version: version(path, Self::OLDEST)?,
            path: path.to_owned(),
        })
    }
}

fn named_program<T>(
    named: &str,
    at: impl Fn(&Path) -> Result<T, ProgramError>,
) -> Result<Option<T>, ProgramError> {
    if named.is_empty() {
        return Ok(None);
    }
    at(Path::new(named)).map(Some)
}

/// A candidate that cannot be used is passed over: nobody asked for it by name.
fn first_usable<T>(
    mut candidates: impl Iterator<Item = PathBuf>,
    at: impl Fn(&Path) -> Result<T, ProgramError>,
) -> Option<T> {
    candidates.find_map(|candidate| at(&candidate).ok())
}

/// The PATH's programs of this name, links followed, since what belongs to a program lies beside it.
fn in_path(program: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found: Vec<PathBuf> = std::env::split_paths(&path)
        .filter_map(|dir| dir.join(program).canonicalize().ok())
        .collect();
    found.into_iter()
}

/// Newest first.
fn debian_bin_dirs(root: &Path) -> impl Iterator<Item = PathBuf> {
    let mut majors: Vec<u32> = fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    let root = root.to_owned();
    majors
        .into_iter()
        .map(move |major| root.join(major.to_string()).join("bin"))
}

fn version(program: &Path, oldest: Version) -> Result<Version, ProgramError> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(|source| ProgramError::NotRunnable {
            program: program.to_owned(),
            source,
        })?;
    let answer = String::from_utf8_lossy(&output.stdout);
    let found = Version::parse(&answer).ok_or_else(|| ProgramError::NoVersion {
        program: program.to_owned(),
        answer: answer.trim().to_owned(),
    })?;
    if found < oldest {
        return Err(ProgramError::TooOld {
            program: program.to_owned(),
            found,
            needed: oldest,
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::PermissionsExt;

    fn program_that_says(answer: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("nats-server");
        fs::write(&program, format!("#!/bin/sh\necho '{answer}'\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (dir, program)
    }

    #[test]
    fn reads_the_versions_that_programs_really_print() {
        let parsed = |answer| Version::parse(answer).map(|v| (v.major, v.minor));
        assert_eq!(
            parsed("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some((15, 18))
        );
        assert_eq!(parsed("initdb (PostgreSQL) 18beta1"), Some((18, 0)));
        assert_eq!(parsed("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(parsed("nats-server: v2.9.10"), Some((2, 9)));
        assert_eq!(parsed("no numbers here"), None);
    }

    #[test]
    fn compares_versions_by_number_and_not_by_text() {
        assert!(Version { major: 2, minor: 9 } < NatsProgram::OLDEST);
        assert!(Version { major: 3, minor: 0 } > NatsProgram::OLDEST);
    }

    #[test]
    fn refuses_a_server_that_is_too_old() {
        let (_dir, program) = program_that_says("nats-server: v2.11.9");
        let error = NatsProgram::at(&program).unwrap_err().to_string();
        assert!(
            error.ends_with("is version 2.11, and Vefa needs 2.12 or newer"),
            "{error}"
        );
        let (_dir, program) = program_that_says("nats-server: v2.12.0");
        assert_eq!(NatsProgram::at(&program).unwrap().path, program);
    }

    #[test]
    fn a_named_program_must_do_and_an_empty_name_means_none() {
        assert_eq!(named_program("", NatsProgram::at).unwrap(), None);
        assert!(matches!(
            named_program("/nowhere/nats-server", NatsProgram::at),
            Err(ProgramError::NotRunnable { .. })
        ));
    }

    #[test]
    fn prefers_the_newest_of_debians_versions() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "17", "9", "doc"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let found: Vec<PathBuf> = debian_bin_dirs(root.path()).collect();
        let expected = ["17/bin", "15/bin", "9/bin"].map(|dir| root.path().join(dir));
        assert_eq!(found, expected);
        assert_eq!(debian_bin_dirs(Path::new("/nowhere")).count(), 0);
    }
}
