//! PostgreSQL refuses to run as root, so root runs it as somebody else: who that is, and what they can
//! reach.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::error::ServerError;
use crate::process::{BoundSignal, command};
use crate::server_process::run;

/// An account to run a server as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// The account that PostgreSQL has to run as: `None` (our own) unless we are root.
    pub(crate) fn for_postgres() -> Result<Option<Self>, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd")
            .map_err(ServerError::io("reading the list of users"))?;
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| find(&accounts, name))
            .map(Some)
            .ok_or(ServerError::NoAccount)
    }

    /// Whether this account can start the program: asked of the system, which alone knows all its rules.
    pub(crate) fn can_run(&self, program: &Path) -> bool {
        command(program, BoundSignal::Kill, Some(self))
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success())
    }
}

fn find(accounts: &str, name: &str) -> Option<Account> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (found, _password) = (fields.next()?, fields.next()?);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (found == name).then(|| Account {
            name: name.to_owned(),
            uid,
            gid,
        })
    })
}

/// A new directory that only `account` (or, without one, we) can enter, removed when dropped.
pub(crate) fn temporary_directory(
    prefix: &str,
    account: Option<&Account>,
) -> Result<TempDir, ServerError> {
    let creating = "creating a temporary directory";
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(prefix)
        .permissions(fs::Permissions::from_mode(0o700));
    let Some(account) = account else {
        return builder.tempdir().map_err(ServerError::io(creating));
    };
    let parent = [
        std::env::temp_dir(),
        PathBuf::from("/tmp"),
        PathBuf::from("/var/tmp"),
    ]
    .into_iter()
    .find(|parent| everyone_can_enter(parent))
    .ok_or_else(|| ServerError::NoTemporaryDirectory {
        account: account.name.clone(),
    })?;
    let dir = builder
        .tempdir_in(parent)
        .map_err(ServerError::io(creating))?;
    chown(dir.path(), Some(account.uid), Some(account.gid))
        .map_err(ServerError::io("giving a directory to PostgreSQL's user"))?;
    Ok(dir)
}

/// A copy of an installation inside `dir`, owned by `account`, for when it cannot reach the original.
pub(crate) fn copy_for(
    account: &Account,
    installation: &Path,
    dir: &Path,
) -> Result<PathBuf, ServerError> {
    let copy = dir.join("installation");
    let mut cp = Command::new("cp");
    cp.arg("-a").arg(installation).arg(&copy);
    run(cp, "cp")?;
    let mut give = Command::new("chown");
    give.arg("-R")
        .arg(format!("{}:{}", account.uid, account.gid))
        .arg(&copy);
    run(give, "chown")?;
    Ok(copy)
}

fn everyone_can_enter(dir: &Path) -> bool {
    dir.is_absolute()
        && dir.ancestors().all(|ancestor| {
            fs::metadata(ancestor)
                .is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o001 != 0)
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/bash\n\
                            not a line\n\
                            postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n\
                            nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";

    #[test]
    fn reads_an_account() {
        let nobody = find(ACCOUNTS, "nobody").unwrap();
        assert_eq!((nobody.uid, nobody.gid), (65534, 65533));
        assert_eq!(find(ACCOUNTS, "post"), None);
    }

    #[test]
    fn sees_that_a_closed_directory_on_the_way_keeps_others_out() {
        let closed = temporary_directory("vefa-test-", None).unwrap();
        let inner = closed.path().join("inner");
        fs::create_dir(&inner).unwrap();
        assert!(!everyone_can_enter(&inner));
        assert!(everyone_can_enter(Path::new("/")));
        assert!(!everyone_can_enter(Path::new("relative")));
    }

    #[test]
    fn gives_the_directory_to_the_account() {
        let account = Account::for_postgres().unwrap();
        let dir = temporary_directory("vefa-test-", account.as_ref()).unwrap();
        let expected = account.map_or(rustix::process::geteuid().as_raw(), |account| account.uid);
        assert_eq!(fs::metadata(dir.path()).unwrap().uid(), expected);
    }
}
