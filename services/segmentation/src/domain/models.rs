//! Customer-base models: what a purchase history says of the purchases still to come and of their worth.
//!
//! Three models of when customers buy and when they leave ([`BgNbd`], [`MbgNbd`], [`ParetoNbd`]), one of how much
//! they spend ([`GammaGamma`]), all fitted by maximum likelihood. Pure arithmetic: no clock, no randomness, so the
//! same history gives the same figures. The unit of time is the week. What the figures are used for (tiers,
//! segments) does not belong here.
//!
//! BG/NBD holds that everyone without a repeat purchase is still a customer, so its P(alive) says nothing of them;
//! MBG/NBD and Pareto/NBD do.

mod beta_dropout;
mod bg_nbd;
#[cfg(test)]
mod cdnow;
mod gamma_gamma;
mod history;
mod maximise;
mod mbg_nbd;
mod pareto_nbd;
mod special;
mod value;

pub use bg_nbd::BgNbd;
pub use gamma_gamma::{GammaGamma, Spend};
pub use history::{Purchase, Summary, purchase_days, summarise};
pub use mbg_nbd::MbgNbd;
pub use pareto_nbd::ParetoNbd;
pub use value::expected_value;

use maximise::maximise;

/// Why a model cannot be fitted, or cannot answer.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// There is no customer to learn from.
    #[error("no customers to fit")]
    Empty,
    /// Nobody bought twice, so no finite parameters are the most likely ones.
    #[error("no customer has a repeat purchase")]
    NoRepeatPurchases,
    /// Not the summary of any purchase history.
    #[error("x = {x}, t_x = {t_x}, T = {t} summarise no purchase history: {reason}")]
    InvalidTriple {
        /// Repeat purchases.
        x: u32,
        /// Weeks from the first purchase to the last.
        t_x: f64,
        /// Weeks from the first purchase to the end of observation.
        t: f64,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The Gamma-Gamma model knows positive spend on one purchase or more, and no other.
    #[error("a mean spend of {mean} over {x} repeat purchases is outside the Gamma-Gamma model")]
    InvalidSpend {
        /// Repeat purchases.
        x: u32,
        /// Their mean value.
        mean: f64,
    },
    /// The search for the most likely parameters ended without finding a maximum.
    #[error("{model} did not converge: {reason}")]
    NotConverged {
        /// The model that was fitted.
        model: &'static str,
        /// Where the search ended.
        reason: &'static str,
    },
    /// The fitted spread of spend is so wide (p x + q <= 1) that its mean is infinite.
    #[error("the Gamma-Gamma model has no finite mean spend after {x} repeat purchases")]
    InfiniteMean {
        /// Repeat purchases.
        x: u32,
    },
    /// A discount rate is finite and not negative.
    #[error("{0} is no weekly discount rate")]
    InvalidDiscount(f64),
}

/// A purchase history as the models see it: (x, t_x, T) of Fader, Hardie and Lee (2005).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Triple {
    x: u32,
    t_x: f64,
    t: f64,
}

impl Triple {
    /// Nothing observed yet: the moment of the first purchase.
    pub const NEW: Triple = Triple {
        x: 0,
        t_x: 0.0,
        t: 0.0,
    };

    /// Promises 0 <= t_x <= T, both finite, and t_x = 0 exactly when x = 0. Weeks.
    ///
    /// # Errors
    /// [`ModelError::InvalidTriple`] when that does not hold.
    pub fn try_new(x: u32, t_x: f64, t: f64) -> Result<Triple, ModelError> {
        let reason = if !(t_x.is_finite() && t.is_finite()) {
            "times are finite"
        } else if t_x < 0.0 || t < 0.0 {
            "times are not negative"
        } else if t_x > t {
            "the last purchase lies within the observed time"
        } else if x == 0 && t_x != 0.0 {
            "without a repeat purchase the last purchase is the first"
        } else if x > 0 && t_x == 0.0 {
            "a repeat purchase comes after the first"
        } else {
            return Ok(Triple { x, t_x, t });
        };
        Err(ModelError::InvalidTriple { x, t_x, t, reason })
    }

    /// Repeat purchases: days with a purchase, without the first.
    #[must_use]
    pub fn x(&self) -> u32 {
        self.x
    }

    /// Weeks from the first purchase to the last.
    #[must_use]
    pub fn t_x(&self) -> f64 {
        self.t_x
    }

    /// Weeks from the first purchase to the end of observation.
    #[must_use]
    pub fn t(&self) -> f64 {
        self.t
    }
}

/// A model at its most likely parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fitted<M> {
    /// The model.
    pub model: M,
    /// Natural logarithm of the likelihood of everyone it was fitted to, summed, constants included.
    pub log_likelihood: f64,
}

/// When customers buy, and whether they still will. Times are in weeks.
pub trait PurchaseModel: Sized {
    /// The most likely parameters, given the customers (those without a repeat purchase included).
    ///
    /// # Errors
    /// [`ModelError::Empty`], [`ModelError::NoRepeatPurchases`], or [`ModelError::NotConverged`].
    fn fit(customers: &[Triple]) -> Result<Fitted<Self>, ModelError>;

    /// Log-likelihood of one customer.
    fn log_likelihood_of(&self, customer: Triple) -> f64;

    /// Probability, 0 to 1, that the customer has not left by the end of observation.
    fn p_alive(&self, customer: Triple) -> f64;

    /// Expected purchases in the `weeks` after the end of observation of a customer who has not left by then.
    ///
    /// # Panics
    /// When `weeks` is negative or not finite.
    fn expected_purchases_if_alive(&self, customer: Triple, weeks: f64) -> f64;

    /// Log-likelihood of all customers, summed.
    fn log_likelihood(&self, customers: &[Triple]) -> f64 {
        customers.iter().map(|c| self.log_likelihood_of(*c)).sum()
    }

    /// Expected purchases in the `weeks` after the end of observation, given the history: E[Y(t) | x, t_x, T].
    ///
    /// # Panics
    /// When `weeks` is negative or not finite.
    fn expected_purchases(&self, customer: Triple, weeks: f64) -> f64 {
        self.p_alive(customer) * self.expected_purchases_if_alive(customer, weeks)
    }

    /// Expected repeat purchases in the `weeks` after the first purchase of someone as yet unknown: E[X(t)].
    ///
    /// # Panics
    /// When `weeks` is negative or not finite.
    fn expected_purchases_new(&self, weeks: f64) -> f64 {
        self.expected_purchases(Triple::NEW, weeks)
    }
}

/// Fits a purchase model of two shapes around 1 and two parameters that `start` places by the mean observed time.
fn fit_purchases<M: PurchaseModel>(
    model: &'static str,
    customers: &[Triple],
    start: impl Fn(f64) -> [f64; 4],
    build: impl Fn([f64; 4]) -> M,
) -> Result<Fitted<M>, ModelError> {
    if customers.is_empty() {
        return Err(ModelError::Empty);
    }
    if customers.iter().all(|c| c.x == 0) {
        return Err(ModelError::NoRepeatPurchases);
    }
    let mean_t = customers.iter().map(|c| c.t).sum::<f64>() / customers.len() as f64;
    let tally = tally(customers);
    let log_likelihood = |model: &M| -> f64 {
        tally
            .iter()
            .map(|(customer, weight)| weight * model.log_likelihood_of(*customer))
            .sum()
    };
    let parameters = maximise(model, start(mean_t), |p| {
        log_likelihood(&build(p)) / customers.len() as f64
    })?;
    let model = build(parameters);
    Ok(Fitted {
        log_likelihood: log_likelihood(&model),
        model,
    })
}

/// Each distinct history with the number of customers who share it: purchases fall on days, so many do.
fn tally(customers: &[Triple]) -> Vec<(Triple, f64)> {
    let mut sorted = customers.to_vec();
    sorted.sort_by(|a, b| {
        a.x.cmp(&b.x)
            .then(a.t_x.total_cmp(&b.t_x))
            .then(a.t.total_cmp(&b.t))
    });
    sorted
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0], same.len() as f64))
        .collect()
}

/// Horizons come from callers; a bad one would otherwise surface as a series that never ends.
fn assert_weeks(weeks: f64) {
    assert!(
        weeks.is_finite() && weeks >= 0.0,
        "a horizon of {weeks} weeks: finite and not negative is required"
    );
}

#[cfg(test)]
mod tests;
