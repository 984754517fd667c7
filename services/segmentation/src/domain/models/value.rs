//! Expected value of one customer: how often, times how much.

use super::{GammaGamma, ModelError, PurchaseModel, Triple};

/// What the customer is expected to spend in the `horizon_weeks` after the end of observation, in the unit of the
/// Gamma-Gamma fit: E(M | x, mean) times the sum, over the weeks k = 1, 2, ..., of
/// (E[Y(k)] - E[Y(k-1)]) / (1 + `discount_per_week`)^k.
///
/// Each week's purchases are discounted to the end of observation as if made at the week's end (as in Fader,
/// Hardie and Lee 2005, "RFM and CLV", in discrete time). Without a discount this is E(M) E[Y(horizon)].
/// `mean` is the customer's mean repeat purchase, 0 without any.
///
/// # Errors
/// [`ModelError::InvalidDiscount`], and the errors of [`GammaGamma::expected_average`].
pub fn expected_value<M: PurchaseModel>(
    model: &M,
    spend: &GammaGamma,
    customer: Triple,
    mean: f64,
    horizon_weeks: u32,
    discount_per_week: f64,
) -> Result<f64, ModelError> {
    if !(discount_per_week.is_finite() && discount_per_week >= 0.0) {
        return Err(ModelError::InvalidDiscount(discount_per_week));
    }
    let average = spend.expected_average(customer.x(), mean)?;
    let until = |week: u32| model.expected_purchases_if_alive(customer, f64::from(week));
    let purchases_if_alive = if discount_per_week == 0.0 {
        until(horizon_weeks)
    } else {
        let mut discounted = 0.0;
        let mut factor = 1.0;
        let mut before = 0.0;
        for week in 1..=horizon_weeks {
            let after = until(week);
            factor /= 1.0 + discount_per_week;
            discounted += (after - before) * factor;
            before = after;
        }
        discounted
    };
    Ok(average * model.p_alive(customer) * purchases_if_alive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::models::ParetoNbd;

    const PURCHASES: ParetoNbd = ParetoNbd {
        r: 0.553,
        alpha: 10.578,
        s: 0.606,
        beta: 11.669,
    };
    const SPEND: GammaGamma = GammaGamma {
        p: 6.25,
        q: 3.74,
        gamma: 15.44,
    };

    fn value(horizon_weeks: u32, discount_per_week: f64) -> Result<f64, ModelError> {
        let customer = Triple::try_new(2, 30.43, 38.86).unwrap();
        expected_value(
            &PURCHASES,
            &SPEND,
            customer,
            22.35,
            horizon_weeks,
            discount_per_week,
        )
    }

    #[test]
    fn is_purchases_times_average_without_a_discount() {
        let customer = Triple::try_new(2, 30.43, 38.86).unwrap();
        let product = PURCHASES.expected_purchases(customer, 39.0)
            * SPEND.expected_average(2, 22.35).unwrap();
        assert!((value(39, 0.0).unwrap() - product).abs() < 1e-12);
    }

    #[test]
    fn a_discount_that_vanishes_changes_nothing() {
        let plain = value(52, 0.0).unwrap();
        assert!((value(52, 1e-12).unwrap() - plain).abs() < 1e-9 * plain);
    }

    #[test]
    fn discounts_each_week_once() {
        let first = value(1, 0.0).unwrap();
        let second = value(2, 0.0).unwrap() - first;
        let expected = first / 1.1 + second / 1.21;
        assert!((value(2, 0.1).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn is_nothing_over_no_time() {
        assert_eq!(value(0, 0.0), Ok(0.0));
        assert_eq!(value(0, 0.1), Ok(0.0));
    }

    #[test]
    fn refuses_a_rate_that_is_none() {
        assert_eq!(value(52, -0.1), Err(ModelError::InvalidDiscount(-0.1)));
        assert!(matches!(
            value(52, f64::NAN),
            Err(ModelError::InvalidDiscount(_))
        ));
    }
}
