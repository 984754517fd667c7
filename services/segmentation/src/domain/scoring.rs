//! What a fit says of each customer.

use aggregate::{CustomerId, currency::minor_per_unit};
use time::OffsetDateTime;

use super::{
    fit::Fit,
    ids::FitId,
    models::{
        ModelError, Purchase, PurchaseModel, Summary, expected_value, purchase_days, summarise,
    },
    rfm::Rfm,
    tier::{Tier, TierPolicy},
};

/// What a customer has bought. Days are Julian days, in UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Customer.
    pub customer: CustomerId,
    /// Purchases, without returns, in any order. Never empty.
    pub purchases: Vec<Purchase>,
    /// Sum of purchases less returns, by the end of calibration.
    pub monetary_minor: i64,
    /// Sum of margins, less those of returns, by the end of calibration; `None` while one of them is unknown.
    pub margin_minor: Option<i64>,
}

impl History {
    pub(super) fn summary(&self, calibration_end_day: i32) -> Option<Summary> {
        summarise(&self.purchases, calibration_end_day)
    }

    /// Days since the last purchase, purchase days, and minor units; `None` without a purchase by then.
    pub(super) fn measures(&self, calibration_end_day: i32) -> Option<(i64, i64, i64)> {
        let in_time = |purchase: &&Purchase| purchase.day <= calibration_end_day;
        let last = self
            .purchases
            .iter()
            .filter(in_time)
            .map(|purchase| purchase.day)
            .max()?;
        let days = purchase_days(&self.purchases, i32::MIN, calibration_end_day);
        let recency_days = i64::from(calibration_end_day) - i64::from(last);
        Some((recency_days, i64::from(days), self.monetary_minor))
    }
}

/// Scores and tier of a customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Customer.
    pub customer: CustomerId,
    /// Fit.
    pub fit: FitId,
    /// Calibration end of the fit.
    pub calibration_end: OffsetDateTime,
    /// Probability that the customer will buy again at all.
    pub p_alive: f64,
    /// Purchases expected within the horizon.
    pub expected_purchases: f64,
    /// Value expected within the horizon.
    pub expected_value_minor: i64,
    /// Purchases less returns by the end of calibration.
    pub monetary_minor: i64,
    /// Recency, frequency and monetary scores.
    pub rfm: Rfm,
    /// Tier.
    pub tier: Tier,
    /// Version of the policy that gave the tier.
    pub tier_policy_version: u32,
}

/// Scores everyone who bought by the end of calibration, in the order of `histories`.
///
/// P(alive), expected purchases and expected value are those of MBG/NBD: BG/NBD holds everyone without a repeat purchase
/// alive for certain, and they are most of a customer base; Pareto/NBD costs more and says nearly the same. The
/// expected value is that of the horizon, without a discount.
///
/// # Errors
/// Never for histories that the fit was made of; [`ModelError`] when a mean spend is negative or not finite.
pub fn score(fit: &Fit, histories: &[History]) -> Result<Vec<Score>, ModelError> {
    let end_day = fit.calibration_end_day();
    let minor = minor_per_unit(&fit.currency_code);
    let mut scores = Vec::with_capacity(histories.len());
    let mut margins = Vec::with_capacity(histories.len());
    for history in histories {
        let (Some(summary), Some(measures)) = (history.summary(end_day), history.measures(end_day))
        else {
            continue;
        };
        let mean = summary.mean_repeat_minor / minor;
        let (model, spend) = (&fit.mbg_nbd.model, &fit.gamma_gamma.model);
        let value = expected_value(model, spend, summary.triple, mean, fit.horizon_weeks, 0.0)?;
        let (recency_days, purchase_days, monetary_minor) = measures;
        scores.push(Score {
            customer: history.customer,
            fit: fit.id,
            calibration_end: fit.calibration_end,
            p_alive: model.p_alive(summary.triple),
            expected_purchases: model
                .expected_purchases(summary.triple, f64::from(fit.horizon_weeks)),
            expected_value_minor: (value * minor).round() as i64,
            monetary_minor,
            rfm: fit
                .cut_points
                .rfm(recency_days, purchase_days, monetary_minor),
            tier: Tier::Standard,
            tier_policy_version: fit.tier_policy_version,
        });
        margins.push(history.margin_minor);
    }
    let values = scores.iter().map(|score| score.expected_value_minor);
    let policy = TierPolicy::over(values.zip(margins.iter().copied()));
    for (score, margin_minor) in scores.iter_mut().zip(margins) {
        score.tier = policy.tier(score.expected_value_minor, margin_minor);
    }
    Ok(scores)
}

#[cfg(test)]
pub(super) mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::fit::tests::sample;

    pub(crate) fn score_of(fit: u128) -> Score {
        Score {
            customer: CustomerId(Uuid::from_u128(7)),
            fit: FitId(Uuid::from_u128(fit)),
            calibration_end: datetime!(2026-01-31 23:59:59 UTC),
            p_alive: 0.5,
            expected_purchases: 1.25,
            expected_value_minor: 4_000,
            monetary_minor: 12_000,
            rfm: Rfm {
                recency: 5,
                frequency: 4,
                monetary: 3,
            },
            tier: Tier::MostValuable,
            tier_policy_version: 1,
        }
    }

    #[test]
    fn scores_everyone_who_bought_in_time_and_no_one_else() {
        let (mut histories, fit) = sample();
        let expected = histories.len();
        histories.push(History {
            customer: CustomerId(Uuid::from_u128(999_999)),
            purchases: vec![Purchase {
                day: fit.calibration_end_day() + 1,
                amount_minor: 100,
            }],
            monetary_minor: 0,
            margin_minor: None,
        });
        let scores = score(&fit, &histories).unwrap();
        assert_eq!(scores.len(), expected);
        assert_eq!(
            score(&fit, &histories),
            Ok(scores),
            "scoring is deterministic"
        );
    }

    #[test]
    fn who_never_came_back_is_worth_the_mean_of_all() {
        let (histories, fit) = sample();
        let population_mean = fit.gamma_gamma.model.expected_average(0, 0.0).unwrap();
        for (score, history) in score(&fit, &histories).unwrap().iter().zip(&histories) {
            if history
                .summary(fit.calibration_end_day())
                .unwrap()
                .triple
                .x()
                == 0
            {
                let expected = (score.expected_purchases * population_mean * 100.0).round() as i64;
                assert_eq!(score.expected_value_minor, expected);
                assert!(score.p_alive < 1.0);
            }
        }
    }

    #[test]
    fn a_customer_who_costs_more_than_they_bring_is_below_zero() {
        let (mut histories, fit) = sample();
        histories[3].margin_minor = Some(-1);
        let scores = score(&fit, &histories).unwrap();
        assert_eq!(scores[3].tier, Tier::BelowZero);
        assert_eq!(
            scores
                .iter()
                .filter(|score| score.tier == Tier::BelowZero)
                .count(),
            1
        );
    }
}
