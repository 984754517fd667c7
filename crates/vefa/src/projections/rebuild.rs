//! Rows made anew: to take the place of the live ones, or to be compared with them.

use anyhow::{Context as _, Result, bail};
use event_log::{
    AnyProjection, Projection as _,
    rebuild::{Comparison, Rebuild, TableComparison},
};

use super::{Kept, told};
use crate::meter::Meter;

/// Events in one transaction: nobody waits for it, so that it may be large.
const BATCH_EVENTS: i64 = 4000;

pub(super) async fn rebuild(kept: Vec<Kept>) -> Result<()> {
    for one in kept {
        let name = one.projection.name();
        let (rebuild, how_fast) = caught_up(&one, true).await?;
        rebuild
            .take_over()
            .await
            .with_context(|| format!("{name}: the rebuilt rows could not take over"))?;
        told(&format!("{name}: {how_fast}; took over"));
    }
    Ok(())
}

pub(super) async fn compare(kept: Vec<Kept>) -> Result<()> {
    let mut differ = Vec::new();
    for one in kept {
        let name = one.projection.name();
        let found = comparison(&one, true).await?;
        for table in &found.tables {
            told(&line(name, table));
            for difference in &table.differences {
                told(&format!("  {}: {}", difference.kind, difference.key));
            }
        }
        if !found.is_equal() {
            differ.push(name);
        }
    }
    if differ.is_empty() {
        Ok(())
    } else {
        bail!("not what the log makes of them: {}", differ.join(", "))
    }
}

/// Compares the live rows of a projection with rebuilt ones.
pub(crate) async fn comparison(one: &Kept, shows: bool) -> Result<Comparison> {
    let name = one.projection.name();
    let (rebuild, _) = caught_up(one, shows).await?;
    rebuild
        .compare()
        .await
        .with_context(|| format!("{name}: the rows could not be compared"))
}

/// A rebuild that has come up to the live projection, and how fast it did.
async fn caught_up(one: &Kept, shows: bool) -> Result<(Rebuild<AnyProjection>, String)> {
    let name = one.projection.name();
    let ended = || format!("{name}: the rebuild ended early");
    let mut rebuild = Rebuild::begin(
        one.log.pool(),
        &one.source,
        one.projection.clone(),
        BATCH_EVENTS,
    )
    .await
    .with_context(ended)?;
    let mut meter = Meter::new(name, "events")?;
    loop {
        let progress = match rebuild.step().await {
            Ok(progress) => progress,
            Err(error) => {
                rebuild.abandon().await.with_context(ended)?;
                return Err(error).with_context(ended);
            }
        };
        if shows {
            meter.show(
                progress.applied.unsigned_abs(),
                Some(progress.total.unsigned_abs()),
            );
        }
        if progress.left() <= 0 {
            return Ok((rebuild, meter.finish(progress.applied.unsigned_abs())));
        }
    }
}

/// What was found in a table, on a line.
pub(crate) fn line(projection: &str, table: &TableComparison) -> String {
    let name = table.table;
    if table.is_equal() {
        format!("{projection}: {name} is equal, {} rows", table.live_rows)
    } else {
        format!(
            "{projection}: {name} DIFFERS: {} rows, should be {}; hash {}, should be {}",
            table.live_rows, table.rebuilt_rows, table.live_hash, table.rebuilt_hash
        )
    }
}
