//! The golden files of stored events: each type and schema version that was ever stored.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

/// The files of one service: by the event's name in snake case, then by version.
pub(super) type Golden = BTreeMap<String, BTreeMap<u16, Vec<u8>>>;

/// Reads a service's files, `customer_registered.v1.bin` and the like.
pub(super) fn read(folder: &Path) -> anyhow::Result<Golden> {
    let mut golden = Golden::new();
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("reading {}", folder.display()))?
            .path();
        let Some((event, version)) = path.file_name().and_then(|name| parse(name.to_str()?)) else {
            bail!("{} names no event and version", path.display());
        };
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        golden.entry(event).or_default().insert(version, bytes);
    }
    Ok(golden)
}

fn parse(name: &str) -> Option<(String, u16)> {
    let (event, version) = name.strip_suffix(".bin")?.rsplit_once(".v")?;
    Some((event.to_owned(), version.parse().ok()?))
}

/// `CustomerRegistered` as `customer_registered`.
pub(super) fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
