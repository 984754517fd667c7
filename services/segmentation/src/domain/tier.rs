//! Tiers: to which of four classes a customer belongs, by a versioned policy.

/// Version of the policy below. A fit records the version by which it assigned tiers; another policy gets another version.
pub const TIER_POLICY_VERSION: u32 = 1;

/// The first fifth of customers by expected value...
const MOST_VALUABLE_SHARE: (usize, usize) = (1, 5);
/// ...and those up to the first half.
const MOST_GROWABLE_SHARE: (usize, usize) = (1, 2);

/// Class of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Most valuable.
    MostValuable,
    /// Most growable.
    MostGrowable,
    /// The rest.
    Standard,
    /// Costs more than it brings.
    BelowZero,
}

impl Tier {
    /// All of them, most valuable first.
    pub const ALL: [Self; 4] = [
        Self::MostValuable,
        Self::MostGrowable,
        Self::Standard,
        Self::BelowZero,
    ];

    /// The name in rules and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MostValuable => "most_valuable",
            Self::MostGrowable => "most_growable",
            Self::Standard => "standard",
            Self::BelowZero => "below_zero",
        }
    }

    /// The tier of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name)
    }
}

/// Policy 1, for the customers of one fit.
///
/// - Below zero: the margin of every purchase is known and their sum is negative. A margin that is missing is not taken for
///   zero: such a customer is judged by expected value.
/// - Most valuable: among the others, whoever has at least the expected value at which the first fifth ends.
/// - Most growable: below that, whoever has at least the expected value at which the first half ends.
/// - Standard: the rest.
///
/// Equal expected values are in the same tier, so that a tier may hold more than its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierPolicy {
    most_valuable_minor_min: i64,
    most_growable_minor_min: i64,
}

impl TierPolicy {
    /// The policy over these customers: expected value and margin, both in minor units.
    pub fn over(customers: impl IntoIterator<Item = (i64, Option<i64>)>) -> Self {
        let mut values: Vec<i64> = customers
            .into_iter()
            .filter(|(_, margin_minor)| !is_below_zero(*margin_minor))
            .map(|(expected_value_minor, _)| expected_value_minor)
            .collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        let at_end_of = |(numerator, denominator): (usize, usize)| {
            let customers = (values.len() * numerator).div_ceil(denominator);
            customers
                .checked_sub(1)
                .map_or(i64::MAX, |last| values[last])
        };
        Self {
            most_valuable_minor_min: at_end_of(MOST_VALUABLE_SHARE),
            most_growable_minor_min: at_end_of(MOST_GROWABLE_SHARE),
        }
    }

    /// The tier of one of the customers.
    #[must_use]
    pub fn tier(&self, expected_value_minor: i64, margin_minor: Option<i64>) -> Tier {
        if is_below_zero(margin_minor) {
            Tier::BelowZero
        } else if expected_value_minor >= self.most_valuable_minor_min {
            Tier::MostValuable
        } else if expected_value_minor >= self.most_growable_minor_min {
            Tier::MostGrowable
        } else {
            Tier::Standard
        }
    }
}

fn is_below_zero(margin_minor: Option<i64>) -> bool {
    margin_minor.is_some_and(|margin| margin < 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tiers(customers: &[(i64, Option<i64>)]) -> Vec<Tier> {
        let policy = TierPolicy::over(customers.iter().copied());
        customers
            .iter()
            .map(|(value, margin)| policy.tier(*value, *margin))
            .collect()
    }

    #[test]
    fn a_fifth_is_most_valuable_and_the_next_three_tenths_most_growable() {
        use Tier::{MostGrowable, MostValuable, Standard};
        let customers: Vec<_> = (1..=10).map(|n| (n * 100, None)).collect();
        assert_eq!(
            tiers(&customers),
            [
                Standard,
                Standard,
                Standard,
                Standard,
                Standard,
                MostGrowable,
                MostGrowable,
                MostGrowable,
                MostValuable,
                MostValuable
            ]
        );
    }

    #[test]
    fn a_known_loss_is_below_zero_whatever_is_expected() {
        assert_eq!(
            tiers(&[(100, None), (9_999, Some(-1)), (50, Some(0))]),
            [Tier::MostValuable, Tier::BelowZero, Tier::Standard]
        );
    }

    #[test]
    fn equal_values_are_in_the_same_tier() {
        assert_eq!(tiers(&[(5, None); 7]), [Tier::MostValuable; 7]);
    }

    #[test]
    fn names_come_back() {
        for tier in Tier::ALL {
            assert_eq!(Tier::named(tier.as_str()), Some(tier));
        }
        assert_eq!(Tier::named("gold"), None);
    }

    proptest! {
        #[test]
        fn more_expected_value_is_never_a_lower_tier(
            customers in prop::collection::vec((0..50_i64, prop::option::of(-3..3_i64)), 1..60),
        ) {
            let tiers = tiers(&customers);
            for (a, tier_a) in customers.iter().zip(&tiers) {
                prop_assert_eq!(*tier_a == Tier::BelowZero, a.1.is_some_and(|margin| margin < 0));
                for (b, tier_b) in customers.iter().zip(&tiers) {
                    if *tier_a != Tier::BelowZero && *tier_b != Tier::BelowZero && a.0 >= b.0 {
                        prop_assert!(tier_a <= tier_b);
                    }
                }
            }
            let others = tiers.iter().filter(|tier| **tier != Tier::BelowZero).count();
            let valuable = tiers.iter().filter(|tier| **tier == Tier::MostValuable).count();
            prop_assert!(valuable * 5 >= others);
        }
    }
}
