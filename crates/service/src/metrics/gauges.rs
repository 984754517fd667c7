//! What was seen at the last look, as gauges.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

/// Names and values out of our own code.
pub(super) type Labels = Vec<(&'static str, &'static str)>;

/// One thing that was seen, of one or of several. What could not be seen has no sample: an old number would lie.
#[derive(Debug)]
pub(super) struct Gauge {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) samples: Vec<(Labels, f64)>,
}

impl Gauge {
    /// One of which there is one, if it was seen.
    pub(super) fn one(
        name: &'static str,
        help: &'static str,
        value: impl Into<Option<f64>>,
    ) -> Self {
        Self::several(name, help, value.into().map(|value| (Labels::new(), value)))
    }

    /// One of which there are several.
    pub(super) fn several(
        name: &'static str,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, f64)>,
    ) -> Self {
        Self {
            name,
            help,
            samples: samples.into_iter().collect(),
        }
    }
}

/// Whatever was seen last.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<Vec<Gauge>>);

impl Shown {
    pub(super) fn show(&self, seen: Vec<Gauge>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for Gauge {
            name,
            help,
            samples,
        } in &*gauges
        {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (labels, value) in samples {
                ConstGauge::new(*value).encode(metric.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}
