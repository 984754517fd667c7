//! How well a fit foretold what came after it.

use super::{
    fit::Fit,
    models::{PurchaseModel, Triple, purchase_days},
    scoring::History,
};

/// Groups 0 to 6 have this many repeat purchases; the last one this many or more.
const LAST_GROUP: u32 = 7;
const DAYS_IN_WEEK: f64 = 7.0;

/// Customers with the same number of repeat purchases in the calibration period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Group {
    /// Repeat purchases.
    pub repeat_purchases: u32,
    /// True for the last group, which holds those with more as well.
    pub or_more: bool,
    /// Customers.
    pub customers: u32,
    /// Expected purchases by BG/NBD, summed.
    pub predicted_bg_nbd: f64,
    /// The same by MBG/NBD.
    pub predicted_mbg_nbd: f64,
    /// The same by Pareto/NBD.
    pub predicted_pareto_nbd: f64,
    /// Purchase days that really followed.
    pub actual: u32,
}

/// Prediction and outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// Length of the validation period.
    pub weeks: f64,
    /// By number of earlier repeat purchases: 0 to 6, and 7 or more.
    pub groups: Vec<Group>,
}

impl Validation {
    /// Sum of `what` over all groups.
    pub fn sum(&self, what: impl Fn(&Group) -> f64) -> f64 {
        self.groups.iter().map(what).sum()
    }

    /// Purchase days that really followed.
    #[must_use]
    pub fn actual(&self) -> u32 {
        self.groups.iter().map(|group| group.actual).sum()
    }
}

/// Compares what `fit` predicted for the customers that it knew with their purchases after the day of its calibration end,
/// up to and including `until_day` (a Julian day, not before that day). Days of `histories` are in UTC.
#[must_use]
pub fn validate(fit: &Fit, histories: &[History], until_day: i32) -> Validation {
    let end_day = fit.calibration_end_day();
    let weeks = (f64::from(until_day) - f64::from(end_day)) / DAYS_IN_WEEK;
    let mut groups: Vec<Group> = (0..=LAST_GROUP)
        .map(|repeat_purchases| Group {
            repeat_purchases,
            or_more: repeat_purchases == LAST_GROUP,
            ..Group::default()
        })
        .collect();
    let (bg_nbd, mbg_nbd, pareto_nbd) = (fit.bg_nbd.model, fit.mbg_nbd.model, fit.pareto_nbd.model);
    // Many customers share one history, and these predictions are what takes the time.
    let mut known: Option<(Triple, [f64; 3])> = None;
    for (triple, history) in summaries(histories, end_day) {
        let predicted = match known {
            Some((same, predicted)) if same == triple => predicted,
            Some(_) | None => {
                let predicted = [
                    bg_nbd.expected_purchases(triple, weeks),
                    mbg_nbd.expected_purchases(triple, weeks),
                    pareto_nbd.expected_purchases(triple, weeks),
                ];
                known = Some((triple, predicted));
                predicted
            }
        };
        let group = &mut groups[triple.x().min(LAST_GROUP) as usize];
        group.customers += 1;
        group.predicted_bg_nbd += predicted[0];
        group.predicted_mbg_nbd += predicted[1];
        group.predicted_pareto_nbd += predicted[2];
        group.actual += purchase_days(&history.purchases, end_day, until_day);
    }
    Validation { weeks, groups }
}

/// Those whom the fit knew, equal histories beside each other.
fn summaries(histories: &[History], end_day: i32) -> Vec<(Triple, &History)> {
    let mut summaries: Vec<(Triple, &History)> = histories
        .iter()
        .filter_map(|history| Some((history.summary(end_day)?.triple, history)))
        .collect();
    summaries.sort_by(|(a, _), (b, _)| {
        a.x()
            .cmp(&b.x())
            .then(a.t_x().total_cmp(&b.t_x()))
            .then(a.t().total_cmp(&b.t()))
    });
    summaries
}

#[cfg(test)]
mod tests {
    use aggregate::CustomerId;
    use time::macros::date;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{fit::tests::sample, models::Purchase};

    /// The published outcome of the CDNOW sample: 1,882 purchase days in the 39 weeks after calibration.
    #[test]
    fn sets_prediction_beside_what_followed() {
        let (histories, fit) = sample();
        let validation = validate(&fit, &histories, date!(1998 - 06 - 30).to_julian_day());
        assert_eq!((validation.weeks, validation.actual()), (39.0, 1_882));
        let customers: Vec<_> = validation
            .groups
            .iter()
            .map(|group| group.customers)
            .collect();
        assert_eq!(customers.iter().sum::<u32>(), 2_357);
        assert_eq!(customers[0], 2_357 - 946);
        assert!(validation.groups[7].or_more && !validation.groups[6].or_more);
        let triples = histories
            .iter()
            .filter_map(|history| history.summary(fit.calibration_end_day()))
            .map(|summary| summary.triple);
        let expected: f64 = triples
            .map(|triple| fit.mbg_nbd.model.expected_purchases(triple, 39.0))
            .sum();
        assert!((validation.sum(|group| group.predicted_mbg_nbd) - expected).abs() < 1e-6);
    }

    #[test]
    fn counts_days_within_the_period_of_those_whom_the_fit_knew() {
        let (histories, fit) = sample();
        let end_day = fit.calibration_end_day();
        let later = |days| Purchase {
            day: end_day + days,
            amount_minor: 100,
        };
        let mut known = histories[0].clone();
        known.purchases.retain(|purchase| purchase.day <= end_day);
        let group = known.purchases.len() - 1;
        // Three days, on one of them twice, one day too late.
        known
            .purchases
            .extend([later(1), later(7), later(14), later(14), later(15)]);
        let unknown = History {
            customer: CustomerId(Uuid::from_u128(1_000_000)),
            purchases: vec![later(3)],
            monetary_minor: 0,
            margin_minor: None,
        };
        let validation = validate(&fit, &[known, unknown], end_day + 14);
        assert_eq!(validation.weeks, 2.0);
        assert_eq!(validation.actual(), 3);
        assert_eq!(validation.groups[group].customers, 1);
        assert_eq!(
            validation
                .groups
                .iter()
                .map(|group| group.customers)
                .sum::<u32>(),
            1
        );
    }
}
