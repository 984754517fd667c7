//! Recency, frequency and monetary scores by quintiles. Equal values get equal scores; the cut points say where the lines are.

/// Number of scores.
const SCORES: usize = 5;

/// Scores, 1 (lowest) to 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfm {
    /// Recency: 5 bought last.
    pub recency: u8,
    /// Frequency: 5 bought most often.
    pub frequency: u8,
    /// Monetary: 5 spent most.
    pub monetary: u8,
}

/// Where the scores of a fit begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CutPoints {
    /// Upper bounds, in days since the last purchase, of recency scores 5, 4, 3 and 2.
    pub recency_days: [i64; SCORES - 1],
    /// Lower bounds, in purchase days, of frequency scores 2, 3, 4 and 5.
    pub frequency: [i64; SCORES - 1],
    /// Lower bounds, in minor units, of monetary scores 2, 3, 4 and 5.
    pub monetary_minor: [i64; SCORES - 1],
}

impl CutPoints {
    /// Cut points that put a fifth of the customers into each score, as far as ties allow: who ties with the last one of a
    /// fifth belongs to it too. Days since the last purchase, purchase days and minor units of each customer.
    #[must_use]
    pub fn over(customers: &[(i64, i64, i64)]) -> Self {
        let ends = |measure: fn(&(i64, i64, i64)) -> i64| {
            let mut values: Vec<i64> = customers.iter().map(measure).collect();
            values.sort_unstable();
            ends_of_fifths(&values)
        };
        // Measures are whole numbers: who is above the end of a fifth is at least one above it.
        let begins = |ends: [i64; SCORES - 1]| ends.map(|end| end.saturating_add(1));
        Self {
            recency_days: ends(|(recency_days, _, _)| *recency_days),
            frequency: begins(ends(|(_, purchase_days, _)| *purchase_days)),
            monetary_minor: begins(ends(|(_, _, monetary_minor)| *monetary_minor)),
        }
    }

    /// The scores of a customer.
    #[must_use]
    pub fn rfm(&self, recency_days: i64, purchase_days: i64, monetary_minor: i64) -> Rfm {
        let reached = |bounds: &[i64], value: i64| 1 + count(bounds, |bound| value >= bound);
        Rfm {
            recency: 1 + count(&self.recency_days, |bound| recency_days <= bound),
            frequency: reached(&self.frequency, purchase_days),
            monetary: reached(&self.monetary_minor, monetary_minor),
        }
    }
}

/// The last values of the first four fifths.
fn ends_of_fifths(sorted: &[i64]) -> [i64; SCORES - 1] {
    [1, 2, 3, 4].map(|fifth| {
        let customers = (sorted.len() * fifth).div_ceil(SCORES);
        customers.checked_sub(1).map_or(0, |last| sorted[last])
    })
}

fn count(bounds: &[i64], holds: impl Fn(i64) -> bool) -> u8 {
    bounds.iter().map(|bound| u8::from(holds(*bound))).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distinct_values_make_fifths() {
        let customers: Vec<_> = (1..=10).map(|n| (n, n, n * 100)).collect();
        let cuts = CutPoints::over(&customers);
        assert_eq!(cuts.recency_days, [2, 4, 6, 8]);
        assert_eq!(cuts.frequency, [3, 5, 7, 9]);
        assert_eq!(cuts.monetary_minor, [201, 401, 601, 801]);
        let rfm = |n: i64| {
            let Rfm {
                recency,
                frequency,
                monetary,
            } = cuts.rfm(n, n, n * 100);
            (recency, frequency, monetary)
        };
        assert_eq!(
            [rfm(1), rfm(2), rfm(3), rfm(8), rfm(9), rfm(10)],
            [
                (5, 1, 1),
                (5, 1, 1),
                (4, 2, 2),
                (2, 4, 4),
                (1, 5, 5),
                (1, 5, 5)
            ]
        );
    }

    /// Six in ten bought once, as in most customer bases: they stay together, in the lowest score.
    #[test]
    fn ties_stay_together_in_the_lower_score() {
        let customers: Vec<_> = [1, 1, 1, 1, 1, 1, 2, 2, 3, 7].map(|n| (0, n, 0)).to_vec();
        let cuts = CutPoints::over(&customers);
        assert_eq!(cuts.frequency, [2, 2, 2, 3]);
        let scores = [1, 2, 3, 7].map(|n| cuts.rfm(0, n, 0).frequency);
        assert_eq!(scores, [1, 4, 5, 5]);
    }

    #[test]
    fn all_alike_have_one_score() {
        let rfm = CutPoints::over(&[(3, 1, 50); 4]).rfm(3, 1, 50);
        assert_eq!(
            rfm,
            Rfm {
                recency: 5,
                frequency: 1,
                monetary: 1
            }
        );
    }

    proptest! {
        #[test]
        fn scores_follow_the_order_of_the_measures(
            customers in prop::collection::vec((0..30_i64, 1..20_i64, -50..500_i64), 1..80),
        ) {
            let cuts = CutPoints::over(&customers);
            let scored: Vec<_> = customers.iter().map(|c| (c, cuts.rfm(c.0, c.1, c.2))).collect();
            for (a, rfm_a) in &scored {
                for (b, rfm_b) in &scored {
                    prop_assert!(a.0 < b.0 || rfm_a.recency <= rfm_b.recency);
                    prop_assert!(a.1 > b.1 || rfm_a.frequency <= rfm_b.frequency);
                    prop_assert!(a.2 > b.2 || rfm_a.monetary <= rfm_b.monetary);
                }
            }
            // No more than a fifth (rounded up) is above the line of score 5: ties go down, never up.
            let best = scored.iter().filter(|(_, rfm)| rfm.monetary == 5).count();
            prop_assert!(best <= customers.len() / SCORES + 1);
        }
    }
}
