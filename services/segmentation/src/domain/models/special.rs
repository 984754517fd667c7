//! Special functions that the likelihoods need and `statrs` lacks.

/// ln(1 + e^u) without overflow.
pub(super) fn ln_1p_exp(u: f64) -> f64 {
    u.max(0.0) + (-u.abs()).exp().ln_1p()
}

/// 1 / (1 + e^u) without overflow.
pub(super) fn one_over_1p_exp(u: f64) -> f64 {
    1.0 / (1.0 + u.exp())
}

/// Gauss's 2F1(1, b; c; z) for 0 < b < c and 0 <= z < 1, to about 14 digits.
///
/// Euler's transformation (DLMF 15.8.1) brings both hypergeometric functions of the Pareto/NBD likelihood to this
/// form, in which nothing overflows. Gauss's continued fraction (Cuyt et al., Handbook of Continued Fractions for
/// Special Functions, 2008, chapter 15) converges where the series would crawl: with z close to 1.
pub(super) fn hypergeometric_1(b: f64, c: f64, z: f64) -> f64 {
    debug_assert!(0.0 < b && b < c && (0.0..1.0).contains(&z), "{b} {c} {z}");
    // F = 1 / (1 - k1 z / (1 - k2 z / (1 - ...))), from the front by Lentz's method. Every k lies in (0, 1), so
    // neither running ratio can reach zero.
    let mut value = 1.0;
    let mut numerator_ratio = 1.0;
    let mut denominator_ratio = 0.0;
    for step in 0..STEPS_MAX {
        let m = f64::from(step / 2);
        let k = if step % 2 == 0 {
            (b + m) * (c - 1.0 + m) / ((c + 2.0 * m - 1.0) * (c + 2.0 * m))
        } else {
            (1.0 + m) * (c - b + m) / ((c + 2.0 * m) * (c + 2.0 * m + 1.0))
        };
        denominator_ratio = 1.0 / (1.0 - k * z * denominator_ratio);
        numerator_ratio = 1.0 - k * z / numerator_ratio;
        let change = numerator_ratio * denominator_ratio;
        value *= change;
        if (change - 1.0).abs() < 1e-15 {
            return 1.0 / value;
        }
    }
    // Only reached with z within 1e-7 or so of 1, where alpha and beta differ by a factor of ten million. The search
    // for a maximum turns away from NaN.
    f64::NAN
}

const STEPS_MAX: u32 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(actual: f64, expected: f64, relative: f64) -> bool {
        (actual - expected).abs() <= relative * expected.abs()
    }

    #[test]
    fn hypergeometric_meets_its_elementary_cases() {
        for z in [1e-6_f64, 0.1, 0.5, 0.9, 0.999, 0.999_999] {
            // DLMF 15.4.1: 2F1(1, 1; 2; z) = -ln(1 - z) / z.
            let actual = hypergeometric_1(1.0, 2.0, z);
            assert!(close(actual, -(-z).ln_1p() / z, 1e-11), "{z}: {actual}");
            // DLMF 15.4.2: 2F1(1/2, 1; 3/2; z) = artanh(sqrt z) / sqrt z.
            let root = z.sqrt();
            let actual = hypergeometric_1(0.5, 1.5, z);
            assert!(close(actual, root.atanh() / root, 1e-11), "{z}: {actual}");
        }
        assert_eq!(hypergeometric_1(0.3, 4.0, 0.0), 1.0);
    }

    proptest! {
        /// DLMF 15.2.1, the defining series, where it converges fast.
        #[test]
        fn hypergeometric_equals_its_series(b in 0.01..50.0_f64, above in 0.01..50.0_f64, z in 0.0..0.7_f64) {
            let c = b + above;
            let mut term = 1.0;
            let mut series = 0.0;
            for n in 0..200 {
                series += term;
                term *= (b + f64::from(n)) / (c + f64::from(n)) * z;
            }
            prop_assert!(close(hypergeometric_1(b, c, z), series, 1e-12));
        }

        #[test]
        fn logistic_pieces_agree(u in -700.0..700.0_f64) {
            prop_assert!((ln_1p_exp(u) + one_over_1p_exp(u).ln()).abs() <= 1e-12 * (1.0 + u.abs()));
        }
    }
}
