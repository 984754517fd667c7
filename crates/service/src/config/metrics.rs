//! `[metrics]`: where metrics are read.

use serde::Deserialize;

use super::PerService;

/// `[metrics]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Where each service shows its metrics, as `host:port`. None: nowhere.
    pub listen: PerService<Option<String>>,
}
