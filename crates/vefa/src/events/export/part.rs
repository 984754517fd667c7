//! One file: the events of one type and one day in one round.

use std::{
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use contracts::common::v1::LoggedEvent;
use event_bus::event_type_token;
use serde::{Deserialize, Serialize};
use service::ServiceName;
use time::Date;

use super::{cell::Cell, layout::Layout, parquet};
use event_json::EventTypes;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet, compressed with Snappy.
    Parquet,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// Which file.
pub(super) struct Part {
    pub(super) service: ServiceName,
    pub(super) type_: String,
    pub(super) day: Date,
    /// Positions that were exported before, and with the round, summed over all partitions: no two rounds of a log have the same.
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl Part {
    /// Writes it; it is on disk, under its name, when this returns. A file of that name is one of a round that was not finished, and replaced.
    ///
    /// # Errors
    /// When the file cannot be written, or an event's payload is not of its type.
    pub(super) fn write(
        &self,
        directory: &Path,
        format: Format,
        events: &[LoggedEvent],
        types: &EventTypes,
    ) -> Result<()> {
        let layout = Layout::of(types.find(&self.type_));
        let rows = events.iter().map(|event| layout.row(self.service, event));
        let rows: Vec<Vec<Cell>> = rows.collect::<Result<_>>()?;
        let directory = directory
            .join(format!("type={}", event_type_token(&self.type_)))
            .join(format!("day={}", self.day));
        let name = format!(
            "part-{}-{:012}-{:012}.{}",
            self.service,
            self.begin,
            self.end,
            format.extension()
        );
        // Hidden from whoever reads all files of the directory meanwhile.
        let new = directory.join(format!(".{name}.new"));
        let writing = || {
            fs::create_dir_all(&directory)?;
            let file = File::create(&new)?;
            match format {
                Format::Jsonl => lines(&file, &layout, &rows)?,
                Format::Parquet => parquet::write(&file, &layout, &rows)?,
            }
            file.sync_all()?;
            fs::rename(&new, directory.join(&name))?;
            sync_up(&directory)?;
            anyhow::Ok(())
        };
        writing().with_context(|| format!("writing {}", directory.join(&name).display()))
    }
}

/// The file's name, and the names of folders that may be new: of the day, and of the type.
fn sync_up(directory: &Path) -> Result<()> {
    for folder in directory.ancestors().take(3) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn lines(file: &File, layout: &Layout, rows: &[Vec<Cell>]) -> Result<()> {
    let mut out = BufWriter::new(file);
    for row in rows {
        let named = layout.columns.iter().zip(row);
        let named = named.map(|(column, cell)| (column.name.clone(), cell.to_json()));
        let object: serde_json::Map<String, serde_json::Value> = named.collect();
        serde_json::to_writer(&mut out, &object)?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
