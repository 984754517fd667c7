//! How far something has come: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use crate::projections::told;

const LINE_INTERVAL: Duration = Duration::from_secs(2);

/// Shows the progress of one thing that is made of many.
pub(crate) struct Meter {
    name: String,
    /// What it is made of, in the plural.
    unit: &'static str,
    bar: Option<ProgressBar>,
    begun: Instant,
    told: Instant,
}

impl Meter {
    pub(crate) fn new(name: &str, unit: &'static str) -> Result<Self> {
        let begun = Instant::now();
        let mut meter = Self {
            name: name.to_owned(),
            unit,
            bar: None,
            begun,
            told: begun,
        };
        if std::io::stderr().is_terminal() {
            let template =
                format!("{{msg}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
            let style = ProgressStyle::with_template(&template)?;
            let bar = ProgressBar::new(0).with_style(style);
            meter.bar = Some(bar.with_message(meter.name.clone()));
        }
        Ok(meter)
    }

    /// `total` is not known of what is read from a pipe.
    pub(crate) fn show(&mut self, done: u64, total: Option<u64>) {
        if let Some(bar) = &self.bar {
            if let Some(total) = total {
                bar.set_length(total);
            } else {
                bar.unset_length();
            }
            bar.set_position(done);
        } else if self.told.elapsed() >= LINE_INTERVAL {
            self.told = Instant::now();
            told(&self.line(done, total));
        }
    }

    fn line(&self, done: u64, total: Option<u64>) -> String {
        let (name, unit, rate) = (&self.name, self.unit, self.rate(done));
        match total {
            Some(total) => {
                #[expect(clippy::cast_precision_loss, reason = "seconds to be read by people")]
                let left = total.saturating_sub(done) as f64 / rate.max(1.0);
                format!("{name}: {done} of {total} {unit}, {rate:.0} {unit}/s, {left:.0} s left")
            }
            None => format!("{name}: {done} {unit}, {rate:.0} {unit}/s"),
        }
    }

    fn rate(&self, done: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate to be read by people")]
        let done = done as f64;
        done / self.begun.elapsed().as_secs_f64()
    }

    /// Ends it; returns how fast it went, in words.
    pub(crate) fn finish(self, done: u64) -> String {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let (unit, seconds) = (self.unit, self.begun.elapsed().as_secs_f64());
        format!(
            "{done} {unit} in {seconds:.1} s, {:.0} {unit}/s",
            self.rate(done)
        )
    }
}
