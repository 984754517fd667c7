//! Package managers' ordinary clients, and the directory that keeps what they bring.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::step::{answers, command, run};
use crate::workspace;

/// The ways in which pip can be there, most usual first.
const PIPS: [&[&str]; 4] = [
    &["python3", "-m", "pip"],
    &["pip3"],
    &["pip"],
    &["uv", "pip"],
];

/// A directory of this name under target/tools, filled by `fill` unless it is there already. It appears
/// all at once, so that neither a broken download nor a second run beside this one leaves half of it.
pub(crate) fn kept(
    name: &str,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let tools = workspace::target().join("tools");
    let place = tools.join(name);
    if place.exists() {
        return Ok(place);
    }
    fs::create_dir_all(&tools).with_context(|| format!("creating {}", tools.display()))?;
    let new = tempfile::Builder::new()
        .prefix("new-")
        .tempdir_in(&tools)
        .context("creating a directory for a tool")?;
    fill(new.path())?;
    // PostgreSQL may have to run as another user, whatever our umask.
    run(command(
        "chmod",
        ["-R".as_ref(), "a+rX".as_ref(), new.path()],
    ))?;
    match fs::rename(new.path(), &place) {
        Err(_) if place.exists() => {}
        outcome => outcome.with_context(|| format!("moving a tool to {}", place.display()))?,
    }
    Ok(place)
}

/// Installs a Python package, alone, into `dir`. On Debian and its kin root gets pip first where it is
/// missing.
pub(crate) fn pip_install(package: &str, dir: &Path) -> anyhow::Result<()> {
    pip_install_into(dir, &["--no-deps".as_ref(), package.as_ref()])
        .with_context(|| format!("python3 with pip brings {package}"))
}

/// Installs all that a file of requirements names, and what that needs, into `dir`.
#[cfg(test)]
pub(crate) fn pip_install_all(requirements: &Path, dir: &Path) -> anyhow::Result<()> {
    pip_install_into(dir, &["--requirement".as_ref(), requirements.as_os_str()])
}

fn pip_install_into(dir: &Path, what: &[&OsStr]) -> anyhow::Result<()> {
    if pip().is_none() && can_apt() {
        apt_install(&["python3-pip"])?;
    }
    let Some((program, first)) = pip().and_then(|pip| pip.split_first()) else {
        bail!("python3 with pip is needed");
    };
    let mut install = command(program, first);
    install
        .args(["install", "--quiet", "--target"])
        .arg(dir)
        .args(what)
        // Distributions refuse an install into their own Python; this one goes elsewhere.
        .env("PIP_BREAK_SYSTEM_PACKAGES", "1")
        .env("PIP_REQUIRE_VIRTUALENV", "0")
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    run(install)
}

/// Whether npm is there.
pub(crate) fn can_npm() -> bool {
    answers("npm", &["--version"])
}

/// Installs an npm package into `dir`, without running scripts that it may bring.
pub(crate) fn npm_install(package: &str, dir: &Path) -> anyhow::Result<()> {
    let mut install = command("npm", ["install", "--silent", "--ignore-scripts"]);
    install
        .args(["--no-save", "--no-audit", "--no-fund", "--prefix"])
        .arg(dir)
        .arg(package);
    run(install)
}

/// Whether we may install Debian packages.
pub(crate) fn can_apt() -> bool {
    answers("apt-get", &["--version"]) && answers("sh", &["-c", "test \"$(id -u)\" = 0"])
}

/// Installs Debian packages on the machine.
pub(crate) fn apt_install(packages: &[&str]) -> anyhow::Result<()> {
    let quiet = |mut command: std::process::Command| {
        command.env("DEBIAN_FRONTEND", "noninteractive");
        run(command)
    };
    quiet(command("apt-get", ["update", "-qq"]))?;
    let mut install = command(
        "apt-get",
        ["install", "-qq", "-y", "--no-install-recommends"],
    );
    install.args(packages);
    quiet(install)
}

fn pip() -> Option<&'static [&'static str]> {
    PIPS.into_iter().find(|pip| match pip {
        [program, arguments @ ..] => answers(program, &[arguments, &["--version"]].concat()),
        [] => false,
    })
}
