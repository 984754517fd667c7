//! Where a customer stands in its life with the business, and where purchases and silence move it.

use time::{Duration, OffsetDateTime};

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

/// Why a customer whom a purchase moved came to a stage.
const PURCHASE: &str = "purchase";
/// Why a customer whom silence moved came to a stage.
const SILENCE: &str = "silence";

/// The span of what a customer has bought, by the moments of the purchases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purchases {
    /// The first.
    pub(crate) first_at: OffsetDateTime,
    /// The last; the same when there was one.
    pub(crate) last_at: OffsetDateTime,
}

impl Purchases {
    /// Those of several together; none where none bought.
    pub(crate) fn of_all(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        all.into_iter().reduce(|one, other| Self {
            first_at: one.first_at.min(other.first_at),
            last_at: one.last_at.max(other.last_at),
        })
    }
}

/// When silence moves a customer. A term that is not set never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SilencePolicy {
    /// Whoever buys lapses this long after the last purchase.
    pub(crate) lapsed_after: Option<Duration>,
    /// Whoever has lapsed is lost this long after that.
    pub(crate) lost_after: Option<Duration>,
}

impl Lifecycle {
    /// All stages that follow from these purchases and from silence until `now`, each with the moment at which it was reached. Of purchases
    /// that become known together only the first and the last count, whatever silence lay between. What somebody has said of the stage
    /// stands until the customer buys again, or is silent for long enough from then on.
    pub(crate) fn following(
        &self,
        purchases: Option<Purchases>,
        policy: &SilencePolicy,
        now: OffsetDateTime,
    ) -> impl Iterator<Item = Self> {
        let next = move |present: &Self| {
            present
                .bought(purchases, policy, now)
                .or_else(|| present.fell_silent(purchases, policy, now))
        };
        std::iter::successors(next(self), next)
    }

    /// Whether a purchase leaves the stage as it is.
    #[must_use]
    pub(crate) fn is_settled(&self) -> bool {
        self.stage == Stage::Active
    }

    /// When silence will move the customer, if nothing is bought until then, and to which stage.
    #[must_use]
    pub(crate) fn silence(
        &self,
        purchases: Option<Purchases>,
        policy: &SilencePolicy,
    ) -> Option<(OffsetDateTime, Stage)> {
        let last_at = purchases.map(|purchases| purchases.last_at);
        match self.stage {
            Stage::Active | Stage::WonBack => {
                let from = match last_at {
                    Some(last_at) if self.came_by(PURCHASE) => last_at,
                    Some(last_at) => last_at.max(self.since),
                    None => self.since,
                };
                let ends = from.checked_add(policy.lapsed_after?)?;
                Some((ends.max(self.since), Stage::Lapsed))
            }
            Stage::Lapsed => {
                let from = match (last_at, policy.lapsed_after) {
                    (Some(last_at), Some(term)) if self.came_by(SILENCE) => {
                        last_at.checked_add(term)?
                    }
                    _ => self.since,
                };
                let ends = from.checked_add(policy.lost_after?)?;
                Some((ends.max(self.since), Stage::Lost))
            }
            Stage::Prospect | Stage::Lost => None,
        }
    }

    fn fell_silent(
        &self,
        purchases: Option<Purchases>,
        policy: &SilencePolicy,
        now: OffsetDateTime,
    ) -> Option<Self> {
        let (at, stage) = self.silence(purchases, policy)?;
        (at <= now).then(|| Self {
            stage,
            reason: Some(Label::from_stored(SILENCE.to_owned())),
            since: at,
        })
    }

    fn bought(
        &self,
        purchases: Option<Purchases>,
        policy: &SilencePolicy,
        now: OffsetDateTime,
    ) -> Option<Self> {
        let Purchases { first_at, last_at } = purchases?;
        // Told late of a purchase, the business took for silent somebody who was not.
        let mistaken = || {
            let ends = policy
                .lapsed_after
                .and_then(|term| last_at.checked_add(term));
            self.came_by(SILENCE) && ends.is_some_and(|ends| now < ends)
        };
        let (stage, at) = match self.stage {
            Stage::Prospect => (Stage::Active, first_at),
            Stage::WonBack if last_at > self.since => (Stage::Active, last_at),
            Stage::Lapsed if last_at > self.since || mistaken() => (Stage::Active, last_at),
            Stage::Lost if last_at > self.since || mistaken() => (Stage::WonBack, last_at),
            Stage::Active | Stage::WonBack | Stage::Lapsed | Stage::Lost => return None,
        };
        Some(Self {
            stage,
            reason: Some(Label::from_stored(PURCHASE.to_owned())),
            since: at.max(self.since),
        })
    }

    fn came_by(&self, reason: &str) -> bool {
        self.reason
            .as_ref()
            .is_some_and(|label| label.as_str() == reason)
    }
}
