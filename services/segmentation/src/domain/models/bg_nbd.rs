//! BG/NBD: customers may leave after each repeat purchase, never before the first.

use statrs::function::{beta::ln_beta, gamma::ln_gamma};

use super::special::{ln_1p_exp, one_over_1p_exp};
use super::{Fitted, ModelError, PurchaseModel, Triple, beta_dropout, fit_purchases};

/// The BG/NBD model of Fader, Hardie and Lee (2005), "Counting Your Customers the Easy Way: An Alternative to the
/// Pareto/NBD Model", Marketing Science 24(2). All parameters are positive.
///
/// P(alive) is 1 for everyone without a repeat purchase: no measure of who among them is slipping away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BgNbd {
    /// Shape of the gamma distribution of purchase rates.
    pub r: f64,
    /// Rate of that distribution, in weeks.
    pub alpha: f64,
    /// First parameter of the beta distribution of the probability of leaving after a repeat purchase.
    pub a: f64,
    /// Second parameter of that distribution.
    pub b: f64,
}

impl BgNbd {
    /// ln of P(left) / P(alive), by Fader and Hardie (2008), "Computing P(alive) Using the BG/NBD Model".
    fn ln_odds_left(&self, customer: Triple) -> f64 {
        if customer.x == 0 {
            return f64::NEG_INFINITY;
        }
        (self.a / (self.b + f64::from(customer.x) - 1.0)).ln()
            + beta_dropout::ln_silence(self.r, self.alpha, customer)
    }
}

impl PurchaseModel for BgNbd {
    fn fit(customers: &[Triple]) -> Result<Fitted<Self>, ModelError> {
        fit_purchases(
            "BG/NBD",
            customers,
            |mean_t| [1.0, mean_t, 1.0, 1.0],
            |[r, alpha, a, b]| BgNbd { r, alpha, a, b },
        )
    }

    /// Eq. (6), with what is common to its two terms drawn out.
    fn log_likelihood_of(&self, customer: Triple) -> f64 {
        let BgNbd { r, alpha, a, b } = *self;
        let x = f64::from(customer.x);
        ln_gamma(r + x) - ln_gamma(r) + ln_beta(a, b + x) - ln_beta(a, b) + r * alpha.ln()
            - (r + x) * (alpha + customer.t).ln()
            + ln_1p_exp(self.ln_odds_left(customer))
    }

    fn p_alive(&self, customer: Triple) -> f64 {
        one_over_1p_exp(self.ln_odds_left(customer))
    }

    /// Eq. (10); given that the customer is alive, the rate is gamma (r+x, alpha+T), the probability of leaving
    /// beta (a, b+x).
    fn expected_purchases_if_alive(&self, customer: Triple, weeks: f64) -> f64 {
        let x = f64::from(customer.x);
        beta_dropout::expected_purchases(
            self.r + x,
            self.alpha + customer.t,
            self.a,
            self.b + x,
            weeks,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::models::cdnow;

    const PUBLISHED: BgNbd = BgNbd {
        r: 0.243,
        alpha: 4.414,
        a: 0.793,
        b: 2.426,
    };

    /// Fader, Hardie and Lee (2005), table 2.
    #[test]
    fn meets_the_published_fit() {
        let fitted = BgNbd::fit(&cdnow::triples()).unwrap();
        let BgNbd { r, alpha, a, b } = fitted.model;
        let printed = format!(
            "{r:.3} {alpha:.3} {a:.3} {b:.3} {:.1}",
            fitted.log_likelihood
        );
        assert_eq!(printed, "0.243 4.414 0.793 2.426 -9582.4");
    }

    /// Fader, Hardie and Lee (2005), "Implementing the BG/NBD Model for Customer Base Analysis in Excel", section 5.
    #[test]
    fn meets_the_published_conditional_expectation() {
        let customer = Triple::try_new(2, 30.43, 38.86).unwrap();
        let expected = PUBLISHED.expected_purchases(customer, 39.0);
        assert_eq!(format!("{expected:.3}"), "1.226");
    }

    /// The workbook that comes with the same note, E[X(t)]. Not its value at 78 weeks, 1.8576: that is what
    /// the first 150 terms of the hypergeometric series give, and the whole gives 1.8580.
    #[test]
    fn meets_the_published_unconditional_expectation() {
        let model = BgNbd::fit(&cdnow::triples()).unwrap().model;
        let published = [
            (1.0 / 7.0, "0.0078"),
            (1.0, "0.0532"),
            (3.0, "0.1506"),
            (223.0 / 7.0, "1.0405"),
            (32.0, "1.0437"),
        ];
        for (weeks, expected) in published {
            let actual = model.expected_purchases_new(weeks);
            assert_eq!(format!("{actual:.4}"), expected, "{weeks} weeks");
        }
    }

    #[test]
    fn holds_everyone_without_a_repeat_purchase_to_be_alive() {
        for t in [0.0, 1.0, 39.0, 5000.0] {
            assert_eq!(PUBLISHED.p_alive(Triple::try_new(0, 0.0, t).unwrap()), 1.0);
        }
    }

    #[test]
    fn survives_hundreds_of_purchases() {
        let gone = Triple::try_new(1000, 10.0, 100.0).unwrap();
        assert_eq!(PUBLISHED.p_alive(gone), 0.0);
        assert_eq!(PUBLISHED.expected_purchases(gone, 52.0), 0.0);
        assert!(PUBLISHED.log_likelihood_of(gone).is_finite());
        let daily = Triple::try_new(3650, 3650.0 / 7.0, 3650.0 / 7.0).unwrap();
        let expected = PUBLISHED.expected_purchases(daily, 52.0);
        assert!(expected.is_finite() && expected > 200.0, "{expected}");
    }
}
