//! `cargo xtask ci`: everything that must hold before a change lands; the quickest checks first.

use std::{fs, path::Path};

use anyhow::Context;

use crate::catalogue;
use crate::floors;
use crate::interrupt;
use crate::readme;
use crate::step::{self, command, output, step};
use crate::tools;
use crate::workspace;

/// Runs it all, and stops at the first failure.
pub(crate) fn run() -> anyhow::Result<()> {
    interrupt::watch()?;
    step("format", || {
        step::run(command("cargo", ["fmt", "--all", "--check"]))
    })?;
    step("version floors", floors::check)?;
    let promised = step("README's commands", readme::commands)?;
    step("event catalogue", catalogue::check)?;
    step("buf lint", || {
        let buf = tools::buf()?;
        step::run(command(&buf.to_string_lossy(), ["lint", "proto"]))
    })?;
    step("buf breaking", breaking)?;
    step("clippy", || {
        let check = ["clippy", "--locked", "--workspace", "--all-targets"];
        let mut clippy = command("cargo", check);
        clippy.args(["--", "-D", "warnings"]);
        step::run(clippy)
    })?;
    step("documentation", || {
        let mut doc = command("cargo", ["doc", "--locked", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        step::run(doc)
    })?;
    for line in promised {
        step(&line, || as_printed(&line))?;
    }
    Ok(())
}

/// Compares the contract with the last one that landed. A clone that begins with this commit has none to compare with.
fn breaking() -> anyhow::Result<()> {
    let Some(before) = landed_before() else {
        println!("    there is no earlier commit to compare the contract with");
        return Ok(());
    };
    let earlier = workspace::target().join("contract");
    fs::create_dir_all(&earlier).with_context(|| format!("making {}", earlier.display()))?;
    let earlier = tempfile::tempdir_in(earlier)?;
    let archive = earlier.path().join("proto.tar");
    let place = |path: &Path| path.to_string_lossy().into_owned();
    // Not read by buf from the clone itself, which may be a shallow one or a worktree.
    let output = format!("--output={}", place(&archive));
    step::run(command("git", ["archive", &output, &before, "proto"]))?;
    let into = place(earlier.path());
    step::run(command("tar", ["-xf", &place(&archive), "-C", &into]))?;
    let against = place(&earlier.path().join("proto"));
    let buf = tools::buf()?;
    step::run(command(
        &buf.to_string_lossy(),
        ["breaking", "proto", "--against", &against],
    ))
}

/// Where this branch left main, or, on main itself, the commit before.
fn landed_before() -> Option<String> {
    let head = output("git", &["rev-parse", "HEAD"])?;
    output("git", &["merge-base", "HEAD", "origin/main"])
        .filter(|fork| *fork != head)
        .or_else(|| output("git", &["rev-parse", "--verify", "--quiet", "HEAD~1"]))
}

/// Without a shell between us and it, so that it ends when we do.
fn as_printed(line: &str) -> anyhow::Result<()> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command")?;
    step::run(command(program, words))
}
