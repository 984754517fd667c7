//! Where a customer stands in its life with the business.

use time::OffsetDateTime;

use super::Label;

/// A stage of life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Known, and has not bought yet.
    #[default]
    Prospect,
    /// Buys.
    Active,
    /// Silent for longer than is usual; may come back unasked.
    Lapsed,
    /// Gone.
    Lost,
    /// Was lost and buys again.
    WonBack,
}

impl Stage {
    /// Every stage.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [
        Self::Prospect,
        Self::Active,
        Self::Lapsed,
        Self::Lost,
        Self::WonBack,
    ];

    /// Whether a customer can come from this stage to another. Nobody becomes a prospect again, and whoever was lost is won back
    /// before being active.
    #[must_use]
    pub(crate) fn leads_to(self, next: Self) -> bool {
        match self {
            Self::Prospect => matches!(next, Self::Active | Self::Lost),
            Self::Active => matches!(next, Self::Lapsed | Self::Lost),
            Self::Lapsed => matches!(next, Self::Active | Self::Lost),
            Self::Lost => matches!(next, Self::WonBack),
            Self::WonBack => matches!(next, Self::Active | Self::Lapsed | Self::Lost),
        }
    }
}

/// The stage that a customer has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    /// Stage.
    pub(crate) stage: Stage,
    /// Why it was reached.
    pub(crate) reason: Option<Label>,
    /// Since when.
    pub(crate) since: OffsetDateTime,
}

impl Lifecycle {
    /// The beginning: a prospect since the business came to know it.
    #[must_use]
    pub(crate) fn begun(at: OffsetDateTime) -> Self {
        Self {
            stage: Stage::default(),
            reason: None,
            since: at,
        }
    }
}
