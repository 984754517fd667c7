//! Where the lines come from, and what the import is called.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::{
    CustomersArguments,
    lines::{Format, Lines},
};

const NAME_CHARS_MAX: usize = 64;
/// The file that is standard input.
const STANDARD_INPUT: &str = "-";

/// The file, and what is known of it before anything is sent.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) lines: Lines,
    /// Not known of standard input.
    pub(super) examined: Option<Examined>,
}

pub(super) struct Examined {
    pub(super) lines: u64,
    pub(super) digest: String,
}

/// Opens it, and reads a file once before anything is sent: what is wrong with the whole of it leaves no trace then.
pub(super) fn open(arguments: &CustomersArguments) -> Result<Source> {
    let file = &arguments.file;
    let shown = || format!("{}", file.display());
    let format = format_of(arguments)?;
    if is_standard_input(file) {
        let name = arguments.name.clone();
        let name = name.context("standard input has no name: give the import one, with --name")?;
        let lines = Lines::open(Box::new(BufReader::new(io::stdin())), format)?;
        return Ok(Source {
            name,
            lines,
            examined: None,
        });
    }
    let examined = examine(file, format).with_context(shown)?;
    let lines = Lines::open(reader(file)?, format).with_context(shown)?;
    Ok(Source {
        name: arguments.name.clone().map_or_else(|| name_of(file), Ok)?,
        lines,
        examined: Some(examined),
    })
}

pub(super) fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == STANDARD_INPUT
}

fn format_of(arguments: &CustomersArguments) -> Result<Format> {
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    let extension = arguments.file.extension().and_then(|it| it.to_str());
    match extension {
        Some("csv") => Ok(Format::Csv),
        Some("jsonl" | "ndjson") => Ok(Format::Jsonl),
        _ => bail!(
            "{} ends neither in .csv nor in .jsonl: say which it is, with --format",
            arguments.file.display()
        ),
    }
}

fn name_of(file: &Path) -> Result<String> {
    let name = file.file_name().context("the file has no name")?;
    let name = name.to_string_lossy();
    parse_name(&name).map_err(|why| {
        anyhow::anyhow!(
            "the file's name is no name for an import, which {why}: give one, with --name"
        )
    })
}

fn reader(file: &Path) -> Result<Box<dyn BufRead + Send>> {
    let file = File::open(file).context("it cannot be opened")?;
    Ok(Box::new(BufReader::with_capacity(64 * 1024, file)))
}

fn examine(file: &Path, format: Format) -> Result<Examined> {
    let mut bytes = reader(file)?;
    let mut digest = Sha256::new();
    loop {
        let part = bytes.fill_buf().context("it cannot be read")?;
        if part.is_empty() {
            break;
        }
        digest.update(part);
        let read = part.len();
        bytes.consume(read);
    }
    let mut lines = Lines::open(reader(file)?, format)?;
    let mut count = 0;
    while lines.next()?.is_some() {
        count += 1;
    }
    Ok(Examined {
        lines: count,
        digest: crate::hexadecimal(&digest.finalize()),
    })
}

/// A name of an import, which stands in request ids.
pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    if text.is_empty() || text.len() > NAME_CHARS_MAX || !text.chars().all(is_fit) {
        return Err("needs 1 to 64 letters, digits, dots, dashes and underscores".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_harmless() {
        for name in ["customers.csv", "a", &"x".repeat(NAME_CHARS_MAX)] {
            assert_eq!(parse_name(name).as_deref(), Ok(name));
        }
        for name in ["", "a b", "a/b", "ş", &"x".repeat(NAME_CHARS_MAX + 1)] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }
}
