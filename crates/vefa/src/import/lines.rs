//! The lines of a file, one after the other: CSV with a header, or a JSON object on each. Never more than one is in memory, and none that is
//! longer than it may be.

mod csv;
mod json;

use std::io::{self, BufRead, Cursor, Read as _};

use anyhow::{Context as _, Result, bail};

use super::{
    fields::{Column, KNOWN},
    rejection::Rejection,
};

/// Longest line, without the quotes of CSV. A quote that is not closed ends here, and not with the memory of the machine.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Comma-separated values (RFC 4180) with a header.
    Csv,
    /// A JSON object on each line.
    Jsonl,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it begins in the file; the first is 1.
    pub(super) number: u64,
    /// What it says, column by column, or why that cannot be read.
    pub(super) content: Result<Vec<(Column, String)>, Vec<Rejection>>,
}

/// Reads lines.
pub(super) enum Lines {
    Csv(Box<csv::Records>, Vec<Column>),
    Json(json::Objects),
}

type Input = Box<dyn BufRead + Send>;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What follows a byte order mark. A pipe may bring it in parts.
fn without_bom(mut input: Input) -> io::Result<Input> {
    let mut begin = Vec::new();
    input
        .by_ref()
        .take(BOM.len() as u64)
        .read_to_end(&mut begin)?;
    if begin == BOM {
        begin.clear();
    }
    Ok(Box::new(Cursor::new(begin).chain(input)))
}

impl Lines {
    /// Reads the header, where there is one.
    ///
    /// # Errors
    /// When the file cannot be read, or its header is missing or names what nobody knows.
    pub(super) fn open(input: Input, format: Format) -> Result<Self> {
        let input = without_bom(input).context("reading the file")?;
        match format {
            Format::Csv => {
                let mut records = csv::Records::new(input);
                let header = records.next().context("reading the header")?;
                let columns = header_columns(header)?;
                Ok(Self::Csv(Box::new(records), columns))
            }
            Format::Jsonl => Ok(Self::Json(json::Objects::new(input))),
        }
    }

    /// The next one that is not empty.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Line>> {
        let read = match self {
            Self::Csv(records, columns) => records
                .next()
                .map(|record| record.map(|record| record.into_line(columns))),
            Self::Json(objects) => objects.next(),
        };
        read.context("reading the file")
    }
}

fn header_columns(header: Option<csv::Record>) -> Result<Vec<Column>> {
    let Some(header) = header else {
        bail!("the file is empty: its first line must name the columns, which can be {KNOWN}");
    };
    let Some(values) = header.values else {
        bail!("the header is longer than {LINE_BYTES_MAX} bytes");
    };
    let mut columns = Vec::new();
    let mut unknown = Vec::new();
    for value in values {
        let name = String::from_utf8(value).context("the header is not UTF-8")?;
        match Column::parse(name.trim()) {
            Some(column) if columns.contains(&column) => bail!("the column {column} stands twice"),
            Some(column) => columns.push(column),
            None => unknown.push(format!("{:?}", name.trim())),
        }
    }
    if !unknown.is_empty() {
        bail!("unknown columns {}; known are {KNOWN}", unknown.join(", "));
    }
    if !columns.contains(&Column::Kind) {
        bail!(
            "the column kind is missing: it says of each customer whether it is a person or a business"
        );
    }
    Ok(columns)
}

fn too_long() -> Rejection {
    let message = format!("is longer than {LINE_BYTES_MAX} bytes; a quote that is not closed?");
    Rejection::line("LINE_TOO_LONG", &message)
}
