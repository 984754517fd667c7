//! The oldest versions of dependencies that we accept. `deny.toml` states them, for cargo-deny too; this
//! holds `Cargo.lock` to them without cargo-deny, which would take minutes to install.

use std::fs;

use anyhow::{Context, bail};
use semver::{Version, VersionReq};
use serde::Deserialize;

use crate::workspace;

#[derive(Debug, Deserialize)]
struct Deny {
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
struct Ban {
    /// A name and what is refused of it: `h2@<0.4.16`.
    #[serde(rename = "crate")]
    refused: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: Version,
}

/// Fails when `Cargo.lock` has a version that `deny.toml` bans; names every one.
pub(crate) fn check() -> anyhow::Result<()> {
    let read = |name: &str| {
        fs::read_to_string(workspace::root().join(name)).with_context(|| format!("reading {name}"))
    };
    let found = violations(&read("deny.toml")?, &read("Cargo.lock")?)?;
    if !found.is_empty() {
        bail!("{}", found.join("; "));
    }
    Ok(())
}

fn violations(deny: &str, lock: &str) -> anyhow::Result<Vec<String>> {
    let deny: Deny = toml::from_str(deny).context("reading deny.toml")?;
    let lock: Lock = toml::from_str(lock).context("reading Cargo.lock")?;
    let mut found = Vec::new();
    for ban in &deny.bans.deny {
        let (name, refused) = ban.parse()?;
        found.extend(
            lock.package
                .iter()
                .filter(|package| package.name == name && refused.matches(&package.version))
                .map(|package| format!("{name} {} is refused: {}", package.version, ban.reason)),
        );
    }
    Ok(found)
}

impl Ban {
    fn parse(&self) -> anyhow::Result<(&str, VersionReq)> {
        let refused = &self.refused;
        let (name, versions) = refused.split_once('@').unwrap_or((refused, "*"));
        let versions = VersionReq::parse(versions)
            .with_context(|| format!("deny.toml: the versions in \"{refused}\""))?;
        Ok((name, versions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = r#"
        [bans]
        deny = [{ crate = "h2@<0.4.16", reason = "resets" }, { crate = "openssl", reason = "rustls" }]
    "#;

    fn lock(packages: &[(&str, &str)]) -> String {
        packages
            .iter()
            .map(|(name, version)| {
                format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
            })
            .collect()
    }

    #[test]
    fn refuses_what_lies_below_a_floor_and_what_is_banned_altogether() {
        let lock = lock(&[
            ("h2", "0.4.15"),
            ("h2", "0.3.27"),
            ("h2", "0.4.16"),
            ("h22", "0.1.0"),
            ("openssl", "0.10.80"),
        ]);
        let expected = [
            "h2 0.4.15 is refused: resets",
            "h2 0.3.27 is refused: resets",
            "openssl 0.10.80 is refused: rustls",
        ];
        assert_eq!(violations(DENY, &lock).unwrap(), expected);
    }

    #[test]
    fn a_ban_that_cannot_be_read_is_an_error_and_not_a_pass() {
        let deny = DENY.replace("<0.4.16", "below 1");
        violations(&deny, &lock(&[("h2", "0.4.16")])).unwrap_err();
        violations("[bans]", &lock(&[("h2", "0.4.16")])).unwrap_err();
    }

    #[test]
    fn deny_toml_states_the_floors_that_known_advisories_ask_for_and_who_does_tls() {
        let deny = fs::read_to_string(workspace::root().join("deny.toml")).unwrap();
        let below = [
            ("h2", "0.4.15"),
            ("rustls", "0.23.44"),
            ("rustls-webpki", "0.103.12"),
            ("jsonwebtoken", "10.2.9"),
            ("bytes", "1.11.0"),
            ("tracing-subscriber", "0.3.19"),
            ("openssl-sys", "0.9.100"),
            ("aws-lc-rs", "1.18.0"),
        ];
        assert_eq!(violations(&deny, &lock(&below)).unwrap().len(), below.len());
    }
}
