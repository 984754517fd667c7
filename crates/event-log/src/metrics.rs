//! What the log counts as it works, for whoever watches the service. Of a fixed size, and the same whether somebody looks or nobody does.

use prometheus_client::{
    metrics::{counter::Counter, histogram::Histogram},
    registry::Registry,
};

/// Up to the batches that `log.batch_commands_max` allows unless it is set otherwise.
const BATCH_COMMANDS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// What one process has counted since it began. Clones count together.
#[derive(Clone, Debug)]
pub struct LogMetrics {
    batch_commands: Histogram,
    conflicts: Counter,
    replays: Counter,
}

impl Default for LogMetrics {
    fn default() -> Self {
        Self {
            batch_commands: Histogram::new(BATCH_COMMANDS),
            conflicts: Counter::default(),
            replays: Counter::default(),
        }
    }
}

impl LogMetrics {
    /// Shows them under their names.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "vefa_append_batch_commands",
            "Commands that shared one transaction of a writer",
            self.batch_commands.clone(),
        );
        registry.register(
            "vefa_append_conflicts",
            "Commands that were decided anew, because what they were decided on had changed",
            self.conflicts.clone(),
        );
        registry.register(
            "vefa_idempotent_replays",
            "Commands that were answered from the record of the same request",
            self.replays.clone(),
        );
    }

    pub(crate) fn appended(&self, commands: usize) {
        // A batch is far below the number from which a float is not exact.
        self.batch_commands.observe(commands as f64);
    }

    pub(crate) fn in_conflict(&self, commands: usize) {
        self.conflicts
            .inc_by(u64::try_from(commands).unwrap_or(u64::MAX));
    }

    pub(crate) fn replayed(&self) {
        self.replays.inc();
    }
}
