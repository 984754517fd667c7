//! From a customer's purchases to what the models take.

use super::{ModelError, Spend, Triple};

const DAYS_IN_WEEK: f64 = 7.0;

/// One purchase. Days are numbered consecutively, from any origin, in the customer's own calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchase {
    /// Number of the day.
    pub day: i32,
    /// Value, in minor units of one currency.
    pub amount_minor: i64,
}

/// One customer's history up to the end of calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// When they bought.
    pub triple: Triple,
    /// Mean, over the repeat purchase days, of the day's total, in minor units; 0 without repeat purchases.
    pub mean_repeat_minor: f64,
}

impl Summary {
    /// What the Gamma-Gamma model learns from, the mean divided by `minor_per_unit` (100 for dollars and cents).
    ///
    /// # Errors
    /// [`ModelError::InvalidSpend`] without a repeat purchase, or with a mean that is not above zero.
    pub fn spend(&self, minor_per_unit: f64) -> Result<Spend, ModelError> {
        Spend::try_new(self.triple.x(), self.mean_repeat_minor / minor_per_unit)
    }
}

/// The history up to and including `calibration_end_day`; `None` when the first purchase comes later. Any order.
///
/// By the conventions of Fader, Hardie and Lee (2005) and Fader and Hardie (2013): purchases of one day are one
/// purchase, their values summed; the first day is not a repeat purchase and its value is left out of the mean; days
/// of zero value count; times are in weeks from the first purchase day.
#[must_use]
pub fn summarise(purchases: &[Purchase], calibration_end_day: i32) -> Option<Summary> {
    let mut calibration: Vec<Purchase> = purchases
        .iter()
        .filter(|purchase| purchase.day <= calibration_end_day)
        .copied()
        .collect();
    calibration.sort_unstable_by_key(|purchase| purchase.day);
    let first_day = calibration.first()?.day;
    let last_day = calibration.last()?.day;
    let repeats = calibration.iter().filter(|p| p.day != first_day);
    let repeat_total_minor: i128 = repeats.map(|p| i128::from(p.amount_minor)).sum();
    let x = distinct_days(&calibration) - 1;
    let weeks_since_first = |day: i32| (f64::from(day) - f64::from(first_day)) / DAYS_IN_WEEK;
    let triple = Triple {
        x,
        t_x: weeks_since_first(last_day),
        t: weeks_since_first(calibration_end_day),
    };
    let mean_repeat_minor = if x == 0 {
        0.0
    } else {
        repeat_total_minor as f64 / f64::from(x)
    };
    Some(Summary {
        triple,
        mean_repeat_minor,
    })
}

/// Days with a purchase after `after_day`, up to and including `through_day`: what really followed a calibration that
/// ended on `after_day`. Any order.
#[must_use]
pub fn purchase_days(purchases: &[Purchase], after_day: i32, through_day: i32) -> u32 {
    let mut within: Vec<Purchase> = purchases
        .iter()
        .filter(|purchase| purchase.day > after_day && purchase.day <= through_day)
        .copied()
        .collect();
    within.sort_unstable_by_key(|purchase| purchase.day);
    distinct_days(&within)
}

fn distinct_days(sorted: &[Purchase]) -> u32 {
    let days = sorted.chunk_by(|a, b| a.day == b.day).count();
    u32::try_from(days).expect("an i32 numbers no more days than a u32 counts")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::models::cdnow;
    use proptest::prelude::*;

    fn purchase(day: i32, amount_minor: i64) -> Purchase {
        Purchase { day, amount_minor }
    }

    /// The facts published with the data.
    #[test]
    fn reproduces_the_facts_of_the_cdnow_sample() {
        let histories = cdnow::histories();
        assert_eq!(histories.len(), 2_357);
        assert_eq!(histories.iter().map(Vec::len).sum::<usize>(), 6_919);
        let days = |after, through| -> u32 {
            histories
                .iter()
                .map(|h| purchase_days(h, after, through))
                .sum()
        };
        assert_eq!(days(i32::MIN, i32::MAX), 6_696);
        assert_eq!(days(cdnow::calibration_end_day(), cdnow::last_day()), 1_882);
    }

    #[test]
    fn sums_a_day_and_leaves_the_first_and_the_future_out() {
        let history = [
            purchase(24, 500),
            purchase(10, 99_999),
            purchase(24, 300),
            purchase(31, 0),
            purchase(46, 77_777),
        ];
        let summary = summarise(&history, 45).unwrap();
        assert_eq!(summary.triple, Triple::try_new(2, 3.0, 5.0).unwrap());
        assert_eq!(summary.mean_repeat_minor, 400.0);
        assert_eq!(summary.spend(100.0), Spend::try_new(2, 4.0));
    }

    #[test]
    fn knows_nobody_who_first_buys_later() {
        assert_eq!(summarise(&[purchase(46, 100)], 45), None);
        assert_eq!(summarise(&[], 45), None);
    }

    #[test]
    fn has_no_spend_without_a_repeat_purchase() {
        let summary = summarise(&[purchase(45, 100), purchase(45, 100)], 45).unwrap();
        assert_eq!(summary.triple, Triple::NEW);
        assert!(summary.spend(100.0).is_err());
    }

    proptest! {
        #[test]
        fn any_history_gives_a_valid_triple_whatever_its_order(
            days in prop::collection::vec((-500..500_i32, 0..10_000_i64), 1..40), end in -500..500_i32,
        ) {
            let history: Vec<_> = days.iter().map(|(day, amount)| purchase(*day, *amount)).collect();
            let reversed: Vec<_> = history.iter().rev().copied().collect();
            let summary = summarise(&history, end);
            prop_assert_eq!(summary, summarise(&reversed, end));
            match summary {
                Some(Summary { triple, .. }) => {
                    prop_assert!(Triple::try_new(triple.x(), triple.t_x(), triple.t()).is_ok());
                    prop_assert_eq!(triple.x() + 1, purchase_days(&history, i32::MIN, end));
                }
                None => prop_assert_eq!(purchase_days(&history, i32::MIN, end), 0),
            }
        }
    }
}
