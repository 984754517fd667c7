//! How far something has come: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use anyhow::Result;
use event_log::rebuild::Progress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::projections::told;

const LINE_INTERVAL: Duration = Duration::from_secs(2);
const TEMPLATE: &str = "{msg} {wide_bar} {pos}/{len} events, {per_sec}, {eta} left";

/// Shows the progress of one piece of work, such as a projection's rebuild.
pub(crate) struct Meter {
    name: &'static str,
    bar: Option<ProgressBar>,
    begun: Instant,
    told: Instant,
}

impl Meter {
    pub(crate) fn new(name: &'static str) -> Result<Self> {
        let begun = Instant::now();
        let mut meter = Self {
            name,
            bar: None,
            begun,
            told: begun,
        };
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template(TEMPLATE)?;
            let bar = ProgressBar::new(0).with_style(style).with_message(name);
            meter.bar = Some(bar);
        }
        Ok(meter)
    }

    pub(crate) fn show(&mut self, progress: Progress) {
        let applied = progress.applied.unsigned_abs();
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total.unsigned_abs());
            bar.set_position(applied);
        } else if self.told.elapsed() >= LINE_INTERVAL {
            self.told = Instant::now();
            let rate = self.rate(progress);
            #[expect(clippy::cast_precision_loss, reason = "seconds to be read by people")]
            let left = progress.left() as f64 / rate.max(1.0);
            told(&format!(
                "{}: {applied} of {} events, {rate:.0} events/s, {left:.0} s left",
                self.name, progress.total
            ));
        }
    }

    fn rate(&self, progress: Progress) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
        let applied = progress.applied as f64;
        applied / self.begun.elapsed().as_secs_f64()
    }

    /// Ends it; returns how fast it went, in words.
    pub(crate) fn finish(self, progress: Progress) -> String {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        format!(
            "{} events in {:.1} s, {:.0} events/s",
            progress.applied,
            self.begun.elapsed().as_secs_f64(),
            self.rate(progress)
        )
    }
}
