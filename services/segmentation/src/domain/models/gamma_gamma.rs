//! Gamma-Gamma: how much customers spend on a purchase.

use statrs::function::gamma::ln_gamma;

use super::{Fitted, ModelError, maximise};

/// A customer's spend as the model sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spend {
    x: u32,
    mean: f64,
}

impl Spend {
    /// The mean value of `x` repeat purchases. Promises x >= 1 and a mean that is finite and above zero.
    ///
    /// # Errors
    /// [`ModelError::InvalidSpend`] when that does not hold.
    pub fn try_new(x: u32, mean: f64) -> Result<Spend, ModelError> {
        if x > 0 && mean.is_finite() && mean > 0.0 {
            Ok(Spend { x, mean })
        } else {
            Err(ModelError::InvalidSpend { x, mean })
        }
    }
}

/// The Gamma-Gamma model of Fader and Hardie (2013), "The Gamma-Gamma Model of Monetary Value". All parameters are
/// positive. It takes what customers spend to be independent of how often they buy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GammaGamma {
    /// Shape of the gamma distribution of one customer's purchases.
    pub p: f64,
    /// Shape of the gamma distribution, over customers, of the rate of the former.
    pub q: f64,
    /// Rate of that distribution, in the unit of the mean values that the model was fitted to.
    pub gamma: f64,
}

impl GammaGamma {
    /// The most likely parameters, given the customers with a repeat purchase.
    ///
    /// # Errors
    /// [`ModelError::Empty`] or [`ModelError::NotConverged`].
    pub fn fit(customers: &[Spend]) -> Result<Fitted<GammaGamma>, ModelError> {
        if customers.is_empty() {
            return Err(ModelError::Empty);
        }
        let count = customers.len() as f64;
        let mean = customers.iter().map(|c| c.mean / count).sum();
        let build = |[p, q, gamma]: [f64; 3]| GammaGamma { p, q, gamma };
        let parameters = maximise("Gamma-Gamma", [1.0, 2.0, mean], |parameters| {
            build(parameters).log_likelihood(customers) / count
        })?;
        let model = build(parameters);
        Ok(Fitted {
            log_likelihood: model.log_likelihood(customers),
            model,
        })
    }

    /// Log-likelihood of all customers, summed: eq. (1a). It depends on the unit of the means.
    #[must_use]
    pub fn log_likelihood(&self, customers: &[Spend]) -> f64 {
        let GammaGamma { p, q, gamma } = *self;
        let constant = q * gamma.ln() - ln_gamma(q);
        customers
            .iter()
            .map(|Spend { x, mean }| {
                let x = f64::from(*x);
                ln_gamma(p * x + q) - ln_gamma(p * x)
                    + constant
                    + (p * x - 1.0) * mean.ln()
                    + p * x * x.ln()
                    - (p * x + q) * (gamma + mean * x).ln()
            })
            .sum()
    }

    /// Expected value of a customer's purchases, given that `x` repeat purchases had the mean value `mean`: eq. (5),
    /// p (gamma + x mean) / (p x + q - 1). Without repeat purchases, the population's mean. In the unit of the fit.
    ///
    /// # Errors
    /// [`ModelError::InvalidSpend`] for a mean that is negative or not finite; [`ModelError::InfiniteMean`] when
    /// p x + q <= 1: where the fitted q is 1 or less, that befalls everyone without repeat purchases.
    pub fn expected_average(&self, x: u32, mean: f64) -> Result<f64, ModelError> {
        if !(mean.is_finite() && mean >= 0.0) {
            return Err(ModelError::InvalidSpend { x, mean });
        }
        let purchases = f64::from(x);
        let denominator = self.p * purchases + self.q - 1.0;
        if denominator <= 0.0 {
            return Err(ModelError::InfiniteMean { x });
        }
        Ok(self.p * (self.gamma + purchases * mean) / denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::models::cdnow;
    use proptest::prelude::*;

    const PUBLISHED: GammaGamma = GammaGamma {
        p: 6.25,
        q: 3.74,
        gamma: 15.44,
    };

    /// Fader and Hardie (2013), on the same data: 946 customers with a repeat purchase.
    #[test]
    fn meets_the_published_fit() {
        let spends = cdnow::spends();
        assert_eq!(spends.len(), 946);
        let fitted = GammaGamma::fit(&spends).unwrap();
        let GammaGamma { p, q, gamma } = fitted.model;
        let printed = format!("{p:.2} {q:.2} {gamma:.2} {:.1}", fitted.log_likelihood);
        assert_eq!(printed, "6.25 3.74 15.44 -4055.9");
    }

    /// The workbook that comes with the same note: E(M | x, mean) of the first ten customers.
    #[test]
    fn meets_the_published_expected_averages() {
        let model = GammaGamma::fit(&cdnow::spends()).unwrap().model;
        let published = [
            "24.65", "18.91", "35.17", "35.17", "35.17", "71.46", "18.91", "35.17", "27.28",
            "35.17",
        ];
        for (summary, published) in cdnow::summaries().iter().zip(published) {
            let mean_dollars = summary.mean_repeat_minor / 100.0;
            let actual = model
                .expected_average(summary.triple.x(), mean_dollars)
                .unwrap();
            assert_eq!(format!("{actual:.2}"), published);
        }
    }

    #[test]
    fn refuses_what_it_cannot_know() {
        assert_eq!(GammaGamma::fit(&[]), Err(ModelError::Empty));
        for (x, mean) in [(0, 10.0), (1, 0.0), (1, -3.0), (2, f64::INFINITY)] {
            assert_eq!(
                Spend::try_new(x, mean),
                Err(ModelError::InvalidSpend { x, mean })
            );
        }
        assert_eq!(
            PUBLISHED.expected_average(1, -1.0),
            Err(ModelError::InvalidSpend { x: 1, mean: -1.0 })
        );
        let wide = GammaGamma {
            q: 0.9,
            ..PUBLISHED
        };
        assert_eq!(
            wide.expected_average(0, 0.0),
            Err(ModelError::InfiniteMean { x: 0 })
        );
    }

    #[test]
    fn does_not_pretend_to_a_fit_where_all_spend_alike() {
        let alike = vec![Spend::try_new(2, 20.0).unwrap(); 50];
        assert!(matches!(
            GammaGamma::fit(&alike),
            Err(ModelError::NotConverged { .. })
        ));
    }

    proptest! {
        /// Fader and Hardie (2013): a weighted mean of the population's mean and the customer's own.
        #[test]
        fn expected_average_lies_between_the_population_and_the_customer(
            p in 0.1..20.0_f64, q in 1.1..20.0_f64, gamma in 0.1..100.0_f64, x in 1..100_u32, mean in 0.01..500.0_f64,
        ) {
            let model = GammaGamma { p, q, gamma };
            let population = model.expected_average(0, 0.0).unwrap();
            let actual = model.expected_average(x, mean).unwrap();
            let slack = 1e-9 * (population + mean);
            prop_assert!(actual >= population.min(mean) - slack && actual <= population.max(mean) + slack);
        }
    }
}
