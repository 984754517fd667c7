//! What a campaign changed: the difference of two shares with its confidence interval.

use statrs::distribution::{ContinuousCDF as _, Normal};

/// A confidence level, more than 0.5 and less than 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidence(f64);

impl Confidence {
    /// The level that is used when none is given.
    pub const DEFAULT: Self = Self(0.95);

    /// Parses a level.
    #[must_use]
    pub fn parse(level: f64) -> Option<Self> {
        (level > 0.5 && level < 1.0).then_some(Self(level))
    }

    /// The level as a number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// How many standard deviations to either side the level stands for: 1.96 for 0.95.
    fn z(self) -> f64 {
        Normal::standard().inverse_cdf(0.5 + self.0 / 2.0)
    }
}

/// An arm without customers: its share of buyers is not defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an arm without customers has no rate")]
pub struct EmptyArm;

/// So many of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    successes: u32,
    of: u32,
}

impl Rate {
    /// `successes` of `of`.
    ///
    /// # Errors
    /// When `of` is 0.
    ///
    /// # Panics
    /// When there are more successes than there can be, which is a bug of the caller.
    pub fn parse(successes: u32, of: u32) -> Result<Self, EmptyArm> {
        if of == 0 {
            return Err(EmptyArm);
        }
        assert!(successes <= of, "more buyers than customers");
        Ok(Self { successes, of })
    }

    /// The share, 0 to 1.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.successes) / f64::from(self.of)
    }

    /// Wilson's score interval without continuity correction (Wilson 1927; Newcombe 1998a, method 3).
    fn score_interval(self, z: f64) -> Interval {
        let (n, p) = (f64::from(self.of), self.value());
        let centre = 2.0 * n * p + z * z;
        let spread = z * (z * z + 4.0 * n * p * (1.0 - p)).sqrt();
        let width = 2.0 * (n + z * z);
        // Rounding must not move a bound past the share itself, of which 0 and 1 are reached exactly.
        Interval {
            lower: ((centre - spread) / width).clamp(0.0, p),
            upper: ((centre + spread) / width).clamp(p, 1.0),
        }
    }
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
}

/// The difference of two rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uplift {
    /// First rate less second rate, -1 to 1.
    pub estimate: f64,
    /// Its confidence interval.
    pub interval: Interval,
}

impl Uplift {
    /// First rate less second rate, with the hybrid score interval: near its level also for small arms and for rates near 0 or 1.
    ///
    /// Source: R. G. Newcombe (1998), "Interval estimation for the difference between independent proportions: comparison of
    /// eleven methods", Statistics in Medicine 17, 873-890, method 10.
    #[must_use]
    pub fn between(first: Rate, second: Rate, confidence: Confidence) -> Self {
        let z = confidence.z();
        let (a, b) = (first.score_interval(z), second.score_interval(z));
        let (p, q) = (first.value(), second.value());
        let estimate = p - q;
        let below = (p - a.lower).hypot(b.upper - q);
        let above = (a.upper - p).hypot(q - b.lower);
        Self {
            estimate,
            interval: Interval {
                lower: (estimate - below).max(-1.0),
                upper: (estimate + above).min(1.0),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(successes: u32, of: u32) -> Rate {
        Rate::parse(successes, of).unwrap()
    }

    /// Newcombe (1998), table II: contrasts (a) to (h), 95 % intervals by method 10.
    #[test]
    fn gives_the_published_intervals() {
        let published = [
            ((56, 70), (48, 80), (0.0524, 0.3339)),
            ((9, 10), (3, 10), (0.1705, 0.8090)),
            ((6, 7), (2, 7), (0.0582, 0.8062)),
            ((5, 56), (0, 29), (-0.0381, 0.1926)),
            ((0, 10), (0, 20), (-0.1611, 0.2775)),
            ((0, 10), (0, 10), (-0.2775, 0.2775)),
            ((10, 10), (0, 20), (0.6791, 1.0)),
            ((10, 10), (0, 10), (0.6075, 1.0)),
        ];
        for (first, second, (lower, upper)) in published {
            let uplift = Uplift::between(
                rate(first.0, first.1),
                rate(second.0, second.1),
                Confidence::DEFAULT,
            );
            let Interval { lower: l, upper: u } = uplift.interval;
            assert!(
                (l - lower).abs() < 0.00005,
                "{first:?} {second:?}: {l}, not {lower}"
            );
            assert!(
                (u - upper).abs() < 0.00005,
                "{first:?} {second:?}: {u}, not {upper}"
            );
        }
    }

    #[test]
    fn the_difference_is_that_of_the_rates() {
        let uplift = Uplift::between(rate(3, 4), rate(1, 4), Confidence::DEFAULT);
        assert!((uplift.estimate - 0.5).abs() < 1e-15);
    }

    #[test]
    fn an_empty_arm_has_no_rate() {
        assert_eq!(Rate::parse(0, 0), Err(EmptyArm));
    }

    #[test]
    fn a_level_lies_between_a_half_and_one() {
        assert_eq!(Confidence::parse(0.95), Some(Confidence::DEFAULT));
        for level in [0.5, 1.0, 0.0, 1.5, -0.95, f64::NAN] {
            assert_eq!(Confidence::parse(level), None, "{level}");
        }
    }

    fn rates() -> impl Strategy<Value = Rate> {
        (1_u32..100_000)
            .prop_flat_map(|of| (0..=of, Just(of)))
            .prop_map(|(successes, of)| rate(successes, of))
    }

    fn levels() -> impl Strategy<Value = Confidence> {
        (0.501..0.9999).prop_map(|level| Confidence::parse(level).unwrap())
    }

    proptest! {
        #[test]
        fn bounds_lie_between_minus_one_and_one_and_hold_the_estimate(a in rates(), b in rates(), level in levels()) {
            let Uplift { estimate, interval } = Uplift::between(a, b, level);
            prop_assert!(-1.0 <= interval.lower && interval.upper <= 1.0);
            prop_assert!(interval.lower <= estimate && estimate <= interval.upper);
        }

        #[test]
        fn swapping_the_arms_mirrors_the_interval(a in rates(), b in rates(), level in levels()) {
            let (one, other) = (Uplift::between(a, b, level), Uplift::between(b, a, level));
            prop_assert!((one.estimate + other.estimate).abs() < 1e-12);
            prop_assert!((one.interval.lower + other.interval.upper).abs() < 1e-12);
            prop_assert!((one.interval.upper + other.interval.lower).abs() < 1e-12);
        }

        #[test]
        fn more_confidence_gives_a_wider_interval(a in rates(), b in rates()) {
            let narrow = Uplift::between(a, b, Confidence::parse(0.8).unwrap()).interval;
            let wide = Uplift::between(a, b, Confidence::parse(0.99).unwrap()).interval;
            prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
        }
    }
}
