//! `cargo xtask ci`: everything that must hold before a change lands; the quickest checks first.

use anyhow::Context;

use crate::floors;
use crate::interrupt;
use crate::readme;
use crate::step::{self, command, output, step};
use crate::tools;

/// Runs it all, and stops at the first failure.
pub(crate) fn run() -> anyhow::Result<()> {
    interrupt::watch()?;
    step("format", || {
        step::run(command("cargo", ["fmt", "--all", "--check"]))
    })?;
    step("version floors", floors::check)?;
    let promised = step("README's commands", readme::commands)?;
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

/// Compares the contract with the last one that landed: where this branch left main, or, on main itself, the commit before.
fn breaking() -> anyhow::Result<()> {
    let fork = output("git", &["merge-base", "HEAD", "origin/main"]);
    let head = output("git", &["rev-parse", "HEAD"]).context("this is no git clone")?;
    let before = fork
        .filter(|fork| *fork != head)
        .or_else(|| output("git", &["rev-parse", "--verify", "--quiet", "HEAD~1"]))
        .context(
            "there is no earlier commit to compare the contract with; a clone of depth 2 has one",
        )?;
    let buf = tools::buf()?;
    let against = format!(".git#ref={before},subdir=proto");
    step::run(command(
        &buf.to_string_lossy(),
        ["breaking", "proto", "--against", &against],
    ))
}

/// Without a shell between us and it, so that it ends when we do.
fn as_printed(line: &str) -> anyhow::Result<()> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command")?;
    step::run(command(program, words))
}
