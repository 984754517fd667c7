//! What BG/NBD and MBG/NBD share: a customer who may leave after each purchase, with a probability that differs
//! between customers by a beta distribution, and buys at a rate that differs by a gamma distribution.

use super::{Triple, assert_weeks};

/// Expected purchases in the next `weeks` of a customer who is there now, whose rate is gamma with shape `shape` and
/// rate `rate_weeks`, and whose probability of leaving after each purchase is beta with parameters `a` and `b`.
///
/// Someone who never left would make n purchases with negative binomial probability w_n; the first is made for
/// certain, the k-th only after k - 1 decisions to stay. Hence the sum over n of w_n (s_0 + ... + s_(n-1)), where s_k,
/// the chance to stay k times, is B(a, b+k) / B(a, b).
/// This is Fader, Hardie and Lee (2005), eq. (10) before its division by P(alive),
/// (a+b-1)/(a-1) [1 - (rate/(rate+t))^shape 2F1(shape, b; a+b-1; t/(rate+t))], with `b` for their b + x,
/// written with positive terms alone: theirs cancels near a = 1, and is undefined there.
pub(super) fn expected_purchases(shape: f64, rate_weeks: f64, a: f64, b: f64, weeks: f64) -> f64 {
    assert_weeks(weeks);
    let z = weeks / (rate_weeks + weeks);
    let mode = shape * weeks / rate_weeks;
    // In logarithms: with hundreds of purchases the first terms are below the smallest f64.
    let mut ln_w = -shape * (weeks / rate_weeks).ln_1p();
    let mut stay = 1.0;
    let mut stays = 0.0;
    let mut sum = 0.0;
    for n in 0_u64.. {
        let n = n as f64;
        let term = ln_w.exp() * stays;
        sum += term;
        // Past the mode the terms fall at least as fast as a geometric series of ratio close to z.
        if n > mode && term <= 1e-16 * (1.0 - z) * sum {
            break;
        }
        stays += stay;
        stay *= (b + n) / (a + b + n);
        ln_w += ((shape + n) / (n + 1.0) * z).ln();
    }
    sum
}

/// (r + x) ln((alpha + T) / (alpha + t_x)): how much the silence since the last purchase speaks against staying.
pub(super) fn ln_silence(r: f64, alpha: f64, customer: Triple) -> f64 {
    let silence = (customer.t - customer.t_x) / (alpha + customer.t_x);
    (r + f64::from(customer.x)) * silence.ln_1p()
}

/// Gauss's 2F1(a, b; c; z) by its series (DLMF 15.2.1), and with it the published closed form: what the tests of both
/// models compare [`expected_purchases`] with.
#[cfg(test)]
pub(super) fn published_expected_purchases(
    shape: f64,
    rate_weeks: f64,
    a: f64,
    b: f64,
    weeks: f64,
) -> f64 {
    let z = weeks / (rate_weeks + weeks);
    let mut term = 1.0;
    let mut hypergeometric = 0.0;
    for n in 0..20_000 {
        hypergeometric += term;
        let n = f64::from(n);
        term *= (shape + n) * (b + n) / ((a + b - 1.0 + n) * (n + 1.0)) * z;
    }
    (a + b - 1.0) / (a - 1.0)
        * (1.0 - (rate_weeks / (rate_weeks + weeks)).powf(shape) * hypergeometric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_published_closed_form(
            shape in 0.05..30.0_f64, rate in 1.0..60.0_f64, a in 1.1..5.0_f64, below in any::<bool>(),
            b in 0.2..30.0_f64, weeks in 0.1..100.0_f64,
        ) {
            // Either side of the published form's gap at a = 1, and clear of its other one at a + b = 1.
            let a = if below { 2.0 - 1.0 / a - 0.15 } else { a };
            prop_assume!((a - 1.0_f64).abs() > 0.05 && a + b > 1.05);
            let expected = published_expected_purchases(shape, rate, a, b, weeks);
            let actual = expected_purchases(shape, rate, a, b, weeks);
            prop_assert!((actual - expected).abs() <= 1e-8 * expected, "{actual} {expected}");
        }
    }

    #[test]
    fn has_no_gap_where_a_is_one() {
        let at = |a| expected_purchases(2.0, 10.0, a, 3.0, 39.0);
        let between = (at(1.0 - 1e-6) + at(1.0 + 1e-6)) / 2.0;
        assert!((at(1.0) - between).abs() < 1e-9);
    }

    #[test]
    fn nobody_who_never_leaves_buys_less_than_the_mean_rate() {
        // a -> 0: the chance to leave vanishes, and the expectation is that of the NBD, shape / rate * weeks.
        let actual = expected_purchases(1500.0, 52.0, 1e-12, 3.0, 52.0);
        assert!((actual - 1500.0).abs() < 1e-6, "{actual}");
    }

    #[test]
    #[should_panic(expected = "a horizon of -1 weeks")]
    fn refuses_a_horizon_in_the_past() {
        expected_purchases(1.0, 1.0, 1.0, 1.0, -1.0);
    }
}
