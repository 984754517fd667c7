//! `cargo xtask catalogue`: every event of every service, for tools and for people, made from the protos and the golden files.

mod asyncapi;
mod comments;
mod entries;
mod envelope;
mod golden;
mod html;
mod model;
mod protos;
mod read;
mod schema;
mod units;

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

use crate::workspace;

/// Where the catalogue lies in the checkout.
const FOLDER: &str = "docs/events";

/// A file of the catalogue as it should be.
struct File {
    name: &'static str,
    text: String,
}

/// Writes the catalogue.
pub(crate) fn write() -> anyhow::Result<()> {
    let folder = workspace::root().join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    for file in files(workspace::root())? {
        let path = folder.join(file.name);
        fs::write(&path, file.text).with_context(|| format!("writing {}", path.display()))?;
        println!("{FOLDER}/{}", file.name);
    }
    Ok(())
}

/// Fails unless the catalogue is what would be written now.
pub(crate) fn check() -> anyhow::Result<()> {
    let stale = stale(workspace::root())?;
    if !stale.is_empty() {
        bail!(
            "in {FOLDER}, not what the protos and golden files say: {}; run `cargo xtask catalogue` and commit what it writes",
            stale.join(", ")
        );
    }
    Ok(())
}

/// The files that are missing or not as they should be.
fn stale(root: &Path) -> anyhow::Result<Vec<&'static str>> {
    let folder = root.join(FOLDER);
    let is_stale = |file: &File| {
        fs::read_to_string(folder.join(file.name)).map_or(true, |text| text != file.text)
    };
    let files = files(root)?;
    Ok(files
        .iter()
        .filter(|file| is_stale(file))
        .map(|file| file.name)
        .collect())
}

fn files(root: &Path) -> anyhow::Result<[File; 2]> {
    let catalogue = read::read(root)?;
    Ok([
        File {
            name: "asyncapi.yaml",
            text: asyncapi::yaml(&catalogue)?,
        },
        File {
            name: "index.html",
            text: html::page(&catalogue),
        },
    ])
}

#[cfg(test)]
mod tests;
