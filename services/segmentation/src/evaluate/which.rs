//! For which segments an evaluation is.

use crate::domain::{
    SegmentId,
    rule::{Dependencies, Rule},
};

/// For which segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of the tenant's.
    All,
    /// This one.
    One(SegmentId),
    /// Those whose answer this can change.
    Changed(Dependencies),
}

impl Which {
    /// None of them.
    pub(crate) fn none() -> Self {
        Self::Changed(Dependencies::default())
    }

    /// All that one or the other means, or more.
    pub(crate) fn and(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Changed(a), Self::Changed(b)) => Self::Changed(Dependencies {
                profile: a.profile || b.profile,
                purchases: a.purchases || b.purchases,
                returns: a.returns || b.returns,
                touchpoints: a.touchpoints || b.touchpoints,
                valuation: a.valuation || b.valuation,
                uses_time: a.uses_time || b.uses_time,
            }),
            (Self::All | Self::One(_), _) | (_, Self::All | Self::One(_)) => Self::All,
        }
    }

    pub(super) fn means(&self, segment: SegmentId, rule: &Rule) -> bool {
        match self {
            Self::All => true,
            Self::One(one) => *one == segment,
            Self::Changed(changed) => {
                let depends = rule.depends_on();
                (changed.profile && depends.profile)
                    || (changed.purchases && depends.purchases)
                    || (changed.returns && depends.returns)
                    || (changed.touchpoints && depends.touchpoints)
                    || (changed.valuation && depends.valuation)
                    || (changed.uses_time && depends.uses_time)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const SEGMENT: SegmentId = SegmentId(Uuid::from_u128(1));

    fn changed(change: fn(&mut Dependencies)) -> Which {
        let mut dependencies = Dependencies::default();
        change(&mut dependencies);
        Which::Changed(dependencies)
    }

    #[test]
    fn a_rule_that_a_change_cannot_touch_is_left_out() {
        let rule = Rule::parse("purchases.count() > 1 && measures.p_alive < 0.5").unwrap();
        let means = |which: Which| which.means(SEGMENT, &rule);
        assert!(means(changed(|d| d.purchases = true)));
        assert!(means(changed(|d| d.valuation = true)));
        assert!(!means(changed(|d| d.profile = true)));
        assert!(!means(changed(|d| d.returns = true)));
        assert!(!means(changed(|d| d.touchpoints = true)));
        assert!(!means(Which::none()));
        assert!(means(Which::All) && means(Which::One(SEGMENT)));
        assert!(!means(Which::One(SegmentId(Uuid::from_u128(2)))));
    }

    #[test]
    fn a_batch_means_what_any_of_its_events_means() {
        let both = changed(|d| d.purchases = true).and(&changed(|d| d.profile = true));
        let expected = changed(|d| {
            d.purchases = true;
            d.profile = true;
        });
        assert_eq!(both, expected);
        assert_eq!(Which::none().and(&both), both);
        assert_eq!(both.and(&Which::All), Which::All);
    }
}
