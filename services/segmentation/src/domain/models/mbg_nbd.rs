//! MBG/NBD: customers may leave after each purchase, the first included.

use statrs::function::{beta::ln_beta, gamma::ln_gamma};

use super::special::{ln_1p_exp, one_over_1p_exp};
use super::{Fitted, ModelError, PurchaseModel, Triple, beta_dropout, fit_purchases};

/// The modified BG/NBD model of Batislam, Denizel and Filiztekin (2007), "Empirical validation and comparison of
/// models for customer base analysis", International Journal of Research in Marketing 24(3), and of Hoppe and Wagner
/// (2007), "Customer base analysis: The case for a central variant of the Betageometric/NBD Model", Marketing Journal
/// of Research and Management 3(2). All parameters are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MbgNbd {
    /// Shape of the gamma distribution of purchase rates.
    pub r: f64,
    /// Rate of that distribution, in weeks.
    pub alpha: f64,
    /// First parameter of the beta distribution of the probability of leaving after a purchase.
    pub a: f64,
    /// Second parameter of that distribution.
    pub b: f64,
}

impl MbgNbd {
    /// ln of P(left) / P(alive), Hoppe and Wagner (2007).
    fn ln_odds_left(&self, customer: Triple) -> f64 {
        (self.a / (self.b + f64::from(customer.x))).ln()
            + beta_dropout::ln_silence(self.r, self.alpha, customer)
    }
}

impl PurchaseModel for MbgNbd {
    fn fit(customers: &[Triple]) -> Result<Fitted<Self>, ModelError> {
        fit_purchases(
            "MBG/NBD",
            customers,
            |mean_t| [1.0, mean_t, 1.0, 1.0],
            |[r, alpha, a, b]| MbgNbd { r, alpha, a, b },
        )
    }

    /// As for BG/NBD, with one more decision to stay: the one after the first purchase.
    fn log_likelihood_of(&self, customer: Triple) -> f64 {
        let MbgNbd { r, alpha, a, b } = *self;
        let x = f64::from(customer.x);
        ln_gamma(r + x) - ln_gamma(r) + ln_beta(a, b + x + 1.0) - ln_beta(a, b) + r * alpha.ln()
            - (r + x) * (alpha + customer.t).ln()
            + ln_1p_exp(self.ln_odds_left(customer))
    }

    fn p_alive(&self, customer: Triple) -> f64 {
        one_over_1p_exp(self.ln_odds_left(customer))
    }

    /// Given that the customer is alive, the rate is gamma (r+x, alpha+T), the probability of leaving beta (a, b+x+1).
    fn expected_purchases_if_alive(&self, customer: Triple, weeks: f64) -> f64 {
        let x = f64::from(customer.x);
        beta_dropout::expected_purchases(
            self.r + x,
            self.alpha + customer.t,
            self.a,
            self.b + x + 1.0,
            weeks,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::models::cdnow;

    const PUBLISHED: MbgNbd = MbgNbd {
        r: 0.525,
        alpha: 6.183,
        a: 0.891,
        b: 1.614,
    };

    /// Platzer, R package BTYDplus, on the same data.
    #[test]
    fn meets_the_published_fit() {
        let fitted = MbgNbd::fit(&cdnow::triples()).unwrap();
        let MbgNbd { r, alpha, a, b } = fitted.model;
        let printed = format!(
            "{r:.3} {alpha:.3} {a:.3} {b:.3} {:.1}",
            fitted.log_likelihood
        );
        assert_eq!(printed, "0.525 6.183 0.891 1.614 -9582.1");
    }

    /// Batislam, Denizel and Filiztekin (2007):
    /// E[X(t)] = b/(a-1) [1 - (alpha/(alpha+t))^r 2F1(r, b+1; a+b; t/(alpha+t))].
    #[test]
    fn meets_the_published_unconditional_expectation() {
        let MbgNbd { r, alpha, a, b } = PUBLISHED;
        for weeks in [1.0 / 7.0, 1.0, 39.0, 78.0] {
            let published = b / (a + b)
                * beta_dropout::published_expected_purchases(r, alpha, a, b + 1.0, weeks);
            let actual = PUBLISHED.expected_purchases_new(weeks);
            assert!((actual - published).abs() < 1e-9, "{actual} {published}");
        }
    }

    #[test]
    fn doubts_those_without_a_repeat_purchase_and_more_so_as_time_passes() {
        let p = |t| PUBLISHED.p_alive(Triple::try_new(0, 0.0, t).unwrap());
        // At the first purchase nothing is known but the mean probability of staying, b / (a + b).
        assert!((p(0.0) - 1.614 / (0.891 + 1.614)).abs() < 1e-12);
        assert!(p(0.0) > p(10.0) && p(10.0) > p(39.0) && p(39.0) > 0.0);
    }
}
