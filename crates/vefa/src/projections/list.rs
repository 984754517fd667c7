//! How all projections stand, as a table.

use anyhow::Result;
use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use event_log::{Projection as _, Status, control::ParkedStream, status};
use service::clock;

use super::{Kept, told};

/// A line below the header, and nothing else.
const PLAIN: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));
/// Parked streams that are told of one projection; the rest are counted.
const PARKED_MAX: usize = 10;

pub(super) async fn print(kept: &[Kept]) -> Result<()> {
    let mut table = Table::new();
    table.load_style(PLAIN).set_header([
        "projection",
        "follows",
        "state",
        "applied",
        "behind",
        "lag s",
        "parked",
        "owner",
    ]);
    let mut notes = Vec::new();
    for one in kept {
        let status = status(one.log.pool(), &one.source, one.target()).await?;
        let name = one.projection.name();
        table.add_row([
            name.to_owned(),
            one.source_name.to_string(),
            state(&status),
            status.applied.to_string(),
            status.behind.to_string(),
            lag(&status),
            status.parked.len().to_string(),
            owner(&status),
        ]);
        if let Some(paused) = &status.paused {
            let since = paused.since.replace_nanosecond(0)?;
            notes.push(format!("{name} is paused since {since}: {}", paused.reason));
        }
        if !status.parked.is_empty() {
            notes.push(format!("{name} has parked:"));
            notes.extend(status.parked.iter().take(PARKED_MAX).map(parked_line));
        }
        if status.parked.len() > PARKED_MAX {
            notes.push(format!("  and {} more", status.parked.len() - PARKED_MAX));
        }
    }
    for column in table.column_iter_mut().skip(3).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    told(&table.to_string());
    for note in notes {
        told(&note);
    }
    Ok(())
}

fn state(status: &Status) -> String {
    let rebuilding = match status.rebuild {
        Some(rebuild) if rebuild.alive => format!(", rebuilding ({} applied)", rebuild.applied),
        Some(_) => ", a rebuild was killed".to_owned(),
        None => String::new(),
    };
    let state = match &status.paused {
        Some(paused) if paused.by_operator => "paused",
        Some(_) => "paused: unknown event",
        None => "live",
    };
    format!("{state}{rebuilding}")
}

fn lag(status: &Status) -> String {
    let lag = status.behind_since.map(|since| clock::now() - since);
    lag.map_or_else(String::new, |lag| format!("{:.1}", lag.as_seconds_f64()))
}

fn owner(status: &Status) -> String {
    let owners = status.owners.iter().map(|owner| {
        let id: String = owner.id.simple().to_string().chars().take(8).collect();
        let partitions = owner.partitions;
        if owner.lease_left_ms > 0 {
            let left = owner.lease_left_ms / 1000;
            format!("{id}: {partitions} partitions, lease {left} s")
        } else {
            format!("{id}: {partitions} partitions, lease run out")
        }
    });
    let owners: Vec<String> = owners.collect();
    if owners.is_empty() {
        "nobody".to_owned()
    } else {
        owners.join("; ")
    }
}

/// A parked stream on a line.
pub(super) fn parked_line(parked: &ParkedStream) -> String {
    let ParkedStream {
        partition,
        tenant,
        stream,
        position,
        events,
        error,
        ..
    } = parked;
    format!(
        "  stream {} of tenant {}, partition {}, {events} events wait, from position {position}: {error}",
        stream.0,
        tenant.as_str(),
        partition.number()
    )
}
