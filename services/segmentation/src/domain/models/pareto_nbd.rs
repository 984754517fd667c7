//! Pareto/NBD: customers may leave at any moment.

use statrs::function::gamma::ln_gamma;

use super::special::{hypergeometric_1, ln_1p_exp, one_over_1p_exp};
use super::{Fitted, ModelError, PurchaseModel, Triple, assert_weeks, fit_purchases};

/// The Pareto/NBD model of Schmittlein, Morrison and Colombo (1987), "Counting Your Customers: Who Are They and What
/// Will They Do Next?", Management Science 33(1), in the form of Fader and Hardie (2005), "A Note on Deriving the
/// Pareto/NBD Model and Related Expressions". All parameters are positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParetoNbd {
    /// Shape of the gamma distribution of purchase rates.
    pub r: f64,
    /// Rate of that distribution, in weeks.
    pub alpha: f64,
    /// Shape of the gamma distribution of the rates of leaving.
    pub s: f64,
    /// Rate of that distribution, in weeks.
    pub beta: f64,
}

impl ParetoNbd {
    /// ln of P(left) / P(alive): s/(r+s+x) (alpha+T)^(r+x) (beta+T)^s A_0.
    fn ln_odds_left(&self, customer: Triple) -> f64 {
        let x = f64::from(customer.x);
        (self.s / (self.r + self.s + x)).ln()
            + (self.r + x) * (self.alpha + customer.t).ln()
            + self.s * (self.beta + customer.t).ln()
            + self.ln_a_0(customer)
    }

    /// ln A_0, the difference of two hypergeometric terms (Fader and Hardie 2005): what leaving at some moment
    /// between the last purchase and the end of observation contributes.
    fn ln_a_0(&self, customer: Triple) -> f64 {
        let x = f64::from(customer.x);
        let ln_at_last_purchase = self.ln_a_0_term(x, customer.t_x);
        let ln_at_end = self.ln_a_0_term(x, customer.t);
        let ln_fall = ln_at_end - ln_at_last_purchase;
        if ln_fall >= 0.0 {
            // No time has passed, or none that rounding leaves visible.
            return f64::NEG_INFINITY;
        }
        ln_at_last_purchase + (-ln_fall.exp_m1()).ln()
    }

    /// One of these terms, at `time`, after Euler's transformation, which keeps it finite for any x.
    fn ln_a_0_term(&self, x: f64, time: f64) -> f64 {
        let ParetoNbd { r, alpha, s, beta } = *self;
        let (ln_alpha_time, ln_beta_time) = ((alpha + time).ln(), (beta + time).ln());
        let c = r + s + x + 1.0;
        if alpha >= beta {
            let z = (alpha - beta) / (alpha + time);
            hypergeometric_1(r + x, c, z).ln() - (r + x) * ln_alpha_time - s * ln_beta_time
        } else {
            let z = (beta - alpha) / (beta + time);
            hypergeometric_1(s + 1.0, c, z).ln()
                - (r + x - 1.0) * ln_alpha_time
                - (s + 1.0) * ln_beta_time
        }
    }
}

impl PurchaseModel for ParetoNbd {
    fn fit(customers: &[Triple]) -> Result<Fitted<Self>, ModelError> {
        fit_purchases(
            "Pareto/NBD",
            customers,
            |mean_t| [1.0, mean_t, 1.0, mean_t],
            |[r, alpha, s, beta]| ParetoNbd { r, alpha, s, beta },
        )
    }

    fn log_likelihood_of(&self, customer: Triple) -> f64 {
        let ParetoNbd { r, alpha, s, beta } = *self;
        let x = f64::from(customer.x);
        ln_gamma(r + x) - ln_gamma(r) + r * alpha.ln() + s * beta.ln()
            - (r + x) * (alpha + customer.t).ln()
            - s * (beta + customer.t).ln()
            + ln_1p_exp(self.ln_odds_left(customer))
    }

    fn p_alive(&self, customer: Triple) -> f64 {
        one_over_1p_exp(self.ln_odds_left(customer))
    }

    /// (r+x) (beta+T) / ((alpha+T) (s-1)) [1 - ((beta+T)/(beta+T+t))^(s-1)].
    fn expected_purchases_if_alive(&self, customer: Triple, weeks: f64) -> f64 {
        assert_weeks(weeks);
        let ParetoNbd { r, alpha, s, beta } = *self;
        let rate = (r + f64::from(customer.x)) / (alpha + customer.t);
        let beta_t = beta + customer.t;
        let ln_growth = (weeks / beta_t).ln_1p();
        // As s passes 1 the quotient passes through the logarithm.
        let lifetime = if s == 1.0 {
            ln_growth
        } else {
            ((1.0 - s) * ln_growth).exp_m1() / (1.0 - s)
        };
        rate * beta_t * lifetime
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::models::cdnow;
    use proptest::prelude::*;

    const PUBLISHED: ParetoNbd = ParetoNbd {
        r: 0.553,
        alpha: 10.578,
        s: 0.606,
        beta: 11.669,
    };

    /// Fader, Hardie and Lee (2005), table 2.
    #[test]
    fn meets_the_published_fit() {
        let fitted = ParetoNbd::fit(&cdnow::triples()).unwrap();
        let ParetoNbd { r, alpha, s, beta } = fitted.model;
        let printed = format!(
            "{r:.3} {alpha:.3} {s:.3} {beta:.3} {:.1}",
            fitted.log_likelihood
        );
        assert_eq!(printed, "0.553 10.578 0.606 11.669 -9595.0");
    }

    /// McCarthy and Wadsworth (2014), "Buy 'Til You Die: A Walkthrough" (R package BTYD): customer 1516, with 26
    /// repeat purchases, the last after 30.86 weeks (216 days), observed for 31.
    #[test]
    fn meets_the_published_expectations() {
        let model = ParetoNbd::fit(&cdnow::triples()).unwrap().model;
        let customer = Triple::try_new(26, 216.0 / 7.0, 31.0).unwrap();
        assert_eq!(format!("{:.4}", model.p_alive(customer)), "0.9979");
        let expected = model.expected_purchases(customer, 52.0);
        assert_eq!(format!("{expected:.2}"), "25.46");
        let new = model.expected_purchases_new(52.0);
        assert_eq!(format!("{new:.3}"), "1.473");
        // The same package's manual page, pnbd.PAlive: 0.2941633.
        let silent = Triple::try_new(0, 0.0, 39.0).unwrap();
        assert_eq!(format!("{:.3}", model.p_alive(silent)), "0.294");
    }

    #[test]
    fn has_no_gap_where_s_is_one() {
        let customer = Triple::try_new(3, 20.0, 39.0).unwrap();
        let at = |s| ParetoNbd { s, ..PUBLISHED }.expected_purchases_if_alive(customer, 39.0);
        let between = (at(1.0 - 1e-6) + at(1.0 + 1e-6)) / 2.0;
        assert!((at(1.0) - between).abs() < 1e-8);
    }

    /// Parameters and histories at which implementations have overflowed (lifetimes, test_overflow_error).
    #[test]
    fn survives_hundreds_of_purchases() {
        let model = ParetoNbd {
            r: 10.465,
            alpha: 7.985_651_81e-3,
            s: 3.0516,
            beta: 2.820,
        };
        for (x, t_x, t) in [
            (400, 5.0, 6.0),
            (500, 1.0, 37.0),
            (500, 4.0, 37.0),
            (3650, 521.0, 521.0),
        ] {
            let customer = Triple::try_new(x, t_x, t).unwrap();
            assert!(
                model.log_likelihood_of(customer).is_finite(),
                "{x} {t_x} {t}"
            );
            assert!((0.0..=1.0).contains(&model.p_alive(customer)));
        }
    }

    proptest! {
        /// A_0 / (r+s+x) is the integral of (alpha+u)^-(r+x) (beta+u)^-(s+1) from t_x to T (Schmittlein et al. 1987),
        /// here by Simpson's rule in w = ln(alpha+u), whichever of alpha and beta is larger.
        #[test]
        fn a_0_equals_the_integral_that_it_stands_for(
            r in 0.1..4.0_f64, alpha in 1.0..40.0_f64, s in 0.1..4.0_f64, beta in 1.0..40.0_f64,
            x in 1..30_u32, t_x in 0.1..30.0_f64, silence in 0.5..30.0_f64,
        ) {
            const PIECES: u32 = 2_000;
            let model = ParetoNbd { r, alpha, s, beta };
            let customer = Triple::try_new(x, t_x, t_x + silence).unwrap();
            let x = f64::from(x);
            let first = (alpha + t_x).ln();
            let width = (silence / (alpha + t_x)).ln_1p() / f64::from(PIECES);
            // Scaled by its value at t_x, so that nothing underflows.
            let density = |w: f64| {
                let beta_u = beta - alpha + w.exp();
                ((1.0 - r - x) * (w - first) - (s + 1.0) * (beta_u / (beta + t_x)).ln()).exp()
            };
            let sum: f64 = (0..=PIECES)
                .map(|i| {
                    let weight = match i { 0 | PIECES => 1.0, i if i % 2 == 1 => 4.0, _ => 2.0 };
                    weight * density(first + f64::from(i) * width)
                })
                .sum();
            let integral = (sum * width / 3.0).ln() + (1.0 - r - x) * first - (s + 1.0) * (beta + t_x).ln();
            let actual = model.ln_a_0(customer) - (r + s + x).ln();
            prop_assert!((actual - integral).abs() < 1e-6, "{actual} {integral}");
        }
    }
}
