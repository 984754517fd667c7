//! `cargo xtask ci`: everything that must hold before a change lands; the quickest checks first.

use anyhow::Context;

use crate::floors;
use crate::interrupt;
use crate::readme;
use crate::step::{self, command, step};
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

/// Without a shell between us and it, so that it ends when we do.
fn as_printed(line: &str) -> anyhow::Result<()> {
    let mut words = line.split_whitespace();
    let program = words.next().context("an empty command")?;
    step::run(command(program, words))
}
