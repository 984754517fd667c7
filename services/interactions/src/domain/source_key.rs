//! By what another system's report is recognised, for ever.

use std::fmt;

/// System and id in that system. Unique within the tenant for each sort of interaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceKey {
    /// System that reports, as [`text::source`](super::text::source) allows it.
    pub(crate) source: String,
    /// Id in that system.
    pub(crate) source_id: String,
}

impl fmt::Display for SourceKey {
    // No source has a slash, so that two different keys never read the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.source_id)
    }
}
