//! Finds the most likely parameters. The search is `argmin`'s; what counts as an answer is decided here.

use argmin::core::{CostFunction, Error, Executor, State, TerminationReason, TerminationStatus};
use argmin::solver::neldermead::NelderMead;

use super::ModelError;

/// Simplex steps in one run.
const STEPS_MAX: u64 = 2_000;
/// Runs, each with a fresh simplex at the best point so far: a simplex can collapse short of the maximum.
const RUNS_MAX: usize = 12;
/// Edge of the first simplex, and of the later ones, in the logarithm of a parameter.
const FIRST_EDGE: f64 = 0.7;
const NEXT_EDGE: f64 = 0.1;
/// A run has ended when the log-likelihoods per customer on its simplex differ by no more than this.
const SPREAD_MAX: f64 = 1e-13;
/// A further run that gains no more than this per customer confirms the one before.
const GAIN_MAX: f64 = 1e-11;
/// The slope per customer, by the logarithm of a parameter, that still counts as level.
const SLOPE_MAX: f64 = 1e-5;
/// Parameters this many times larger or smaller than the start are on their way to infinity or zero.
const RANGE: f64 = 1e4;

/// The positive parameters at which `mean_log_likelihood` (per customer) is highest, searched from `start` in
/// logarithms. Deterministic.
///
/// # Errors
/// [`ModelError::NotConverged`] when the search runs out of steps, ends on a slope, or leaves for zero or infinity.
pub(super) fn maximise<const N: usize>(
    model: &'static str,
    start: [f64; N],
    mean_log_likelihood: impl Fn([f64; N]) -> f64,
) -> Result<[f64; N], ModelError> {
    let failed = |reason| Err(ModelError::NotConverged { model, reason });
    let parameters = |log_ratio: &[f64]| std::array::from_fn(|i| start[i] * log_ratio[i].exp());
    let cost = |log_ratio: &[f64]| {
        // A wall behind the range, so that a runaway ends before anything overflows.
        if log_ratio.iter().any(|u| u.abs() > (10.0 * RANGE).ln()) {
            return f64::INFINITY;
        }
        let cost = -mean_log_likelihood(parameters(log_ratio));
        // The simplex orders its corners by cost, and NaN has no order.
        if cost.is_nan() { f64::INFINITY } else { cost }
    };

    let mut best = vec![0.0; N];
    let mut best_cost = cost(&best);
    for run in 0..RUNS_MAX {
        let edge = if run == 0 { FIRST_EDGE } else { NEXT_EDGE };
        let (point, point_cost, settled) = descend(&cost, &best, edge);
        let gain = best_cost - point_cost;
        if point_cost <= best_cost {
            (best, best_cost) = (point, point_cost);
        }
        if best.iter().any(|log_ratio| log_ratio.abs() > RANGE.ln()) {
            return failed("the likelihood still rises as a parameter leaves for zero or infinity");
        }
        if run > 0 && settled && gain <= GAIN_MAX {
            return if is_level(&cost, &best) {
                Ok(parameters(&best))
            } else {
                failed("the search stopped on a slope")
            };
        }
    }
    failed("the search ran out of steps")
}

/// One Nelder-Mead run: the best point, its cost, and whether the simplex has settled.
fn descend(cost: &impl Fn(&[f64]) -> f64, from: &[f64], edge: f64) -> (Vec<f64>, f64, bool) {
    let mut simplex = vec![from.to_vec()];
    for i in 0..from.len() {
        let mut corner = from.to_vec();
        corner[i] += edge;
        simplex.push(corner);
    }
    let solver = NelderMead::new(simplex)
        .with_sd_tolerance(SPREAD_MAX)
        .expect("the tolerance is not negative");
    // The timer reads the clock, which this module must not.
    let result = Executor::new(Objective(cost), solver)
        .configure(|state| state.max_iters(STEPS_MAX))
        .timer(false)
        .run()
        .expect("the cost is total, so nothing in the search can fail");
    let state = result.state();
    let settled = matches!(
        state.get_termination_status(),
        TerminationStatus::Terminated(TerminationReason::SolverConverged)
    );
    let best = state
        .get_best_param()
        .expect("a finished search has a best point")
        .clone();
    (best, state.get_best_cost(), settled)
}

/// Whether central differences find no slope in any direction of the axes.
fn is_level(cost: &impl Fn(&[f64]) -> f64, point: &[f64]) -> bool {
    const STEP: f64 = 1e-4;
    (0..point.len()).all(|i| {
        let at = |offset: f64| {
            let mut moved = point.to_vec();
            moved[i] += offset;
            cost(&moved)
        };
        ((at(STEP) - at(-STEP)) / (2.0 * STEP)).abs() <= SLOPE_MAX
    })
}

struct Objective<'a, F>(&'a F);

impl<F: Fn(&[f64]) -> f64> CostFunction for Objective<'_, F> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, Error> {
        Ok((self.0)(parameters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_maximum_far_from_the_start() {
        // Rosenbrock's valley in the logarithms, its maximum at (e^1, e^1).
        let valley = |[x, y]: [f64; 2]| {
            let (u, v) = (x.ln(), y.ln());
            -(1.0 - u).powi(2) - 100.0 * (v - u * u).powi(2)
        };
        let [x, y] = maximise("valley", [0.1, 30.0], valley).unwrap();
        assert!((x.ln() - 1.0).abs() < 1e-4 && (y.ln() - 1.0).abs() < 1e-4);
    }

    #[test]
    fn refuses_a_likelihood_that_rises_for_ever() {
        assert_eq!(
            reason(|x| -1.0 / x),
            "the likelihood still rises as a parameter leaves for zero or infinity"
        );
    }

    #[test]
    fn refuses_a_likelihood_that_is_nowhere_a_number() {
        assert_eq!(reason(|_| f64::NAN), "the search ran out of steps");
    }

    #[test]
    fn refuses_to_stop_on_a_slope() {
        // A ridge with sides of different steepness: the simplex settles on it, but the ground is not level.
        let ridge = |x: f64| {
            let u = x.ln() - 0.3;
            if u < 0.0 { u } else { -3.0 * u }
        };
        assert_eq!(reason(ridge), "the search stopped on a slope");
    }

    fn reason(likelihood: impl Fn(f64) -> f64) -> &'static str {
        match maximise("test", [1.0], |[x]: [f64; 1]| likelihood(x)) {
            Err(ModelError::NotConverged { reason, .. }) => reason,
            other => panic!("{other:?}"),
        }
    }
}
