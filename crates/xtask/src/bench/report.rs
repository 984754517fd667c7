//! What was measured, as a table and as JSON.

use std::fs;
use std::path::Path;

use anyhow::Context;
use comfy_table::Table;

use crate::demo::terminal::PLAIN;
use serde::Serialize;

use super::load::{Latencies, Measured};

/// One line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    /// The limit that it is compared with, in the same unit; none where the goal is absolute.
    pub(super) limit: Option<f64>,
    /// `value / limit`.
    pub(super) ratio: Option<f64>,
    /// The goal in words, for example `ratio >= 1.0`.
    pub(super) goal: &'static str,
    /// Whether it is met; none for a limit.
    pub(super) met: Option<bool>,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
}

impl Line {
    pub(super) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            limit: None,
            ratio: None,
            goal: "",
            met: None,
            p50_ms: None,
            p99_ms: None,
        }
    }

    pub(super) fn rate(name: impl Into<String>, measured: &Measured) -> Self {
        Self::new(name, measured.per_second, "/s").with_latencies(&measured.latencies)
    }

    pub(super) fn with_latencies(mut self, latencies: &Latencies) -> Self {
        self.p50_ms = Some(ms(latencies, 0.5));
        self.p99_ms = Some(ms(latencies, 0.99));
        self
    }

    /// Compared with a limit, of which it is to reach `least`.
    pub(super) fn against(mut self, limit: f64, least: f64, goal: &'static str) -> Self {
        let ratio = self.value / limit;
        self.limit = Some(limit);
        self.ratio = Some(ratio);
        self.goal = goal;
        self.met = Some(ratio >= least);
        self
    }

    /// With a goal of its own.
    pub(super) fn with_goal(mut self, met: bool, goal: &'static str) -> Self {
        self.goal = goal;
        self.met = Some(met);
        self
    }
}

/// A quantile in milliseconds.
pub(super) fn ms(latencies: &Latencies, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1000.0
}

/// All lines, in the order of their measurement.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Report {
    lines: Vec<Line>,
}

impl Report {
    pub(super) fn add(&mut self, line: Line) {
        println!("    {}: {:.1} {}", line.name, line.value, line.unit);
        self.lines.push(line);
    }

    pub(super) fn print(&self) {
        let mut table = Table::new();
        table.load_style(PLAIN).set_header([
            "name", "value", "unit", "limit", "ratio", "p50 ms", "p99 ms", "goal", "met",
        ]);
        for line in &self.lines {
            let number = |value: Option<f64>, digits: usize| {
                value.map_or_else(String::new, |value| format!("{value:.digits$}"))
            };
            table.add_row([
                line.name.clone(),
                number(Some(line.value), 1),
                line.unit.to_owned(),
                number(line.limit, 0),
                number(line.ratio, 2),
                number(line.p50_ms, 2),
                number(line.p99_ms, 2),
                line.goal.to_owned(),
                match line.met {
                    None => "",
                    Some(true) => "yes",
                    Some(false) => "no",
                }
                .to_owned(),
            ]);
        }
        println!("\n{table}");
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        }
        let json = serde_json::to_string_pretty(self).context("encoding the report")?;
        fs::write(path, json).with_context(|| format!("writing {}", path.display()))?;
        println!("{}", path.display());
        Ok(())
    }
}
