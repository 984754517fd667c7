//! What holds of every purchase model.

use proptest::prelude::*;

use super::*;

const BG: BgNbd = BgNbd {
    r: 0.243,
    alpha: 4.414,
    a: 0.793,
    b: 2.426,
};
const MBG: MbgNbd = MbgNbd {
    r: 0.525,
    alpha: 6.183,
    a: 0.891,
    b: 1.614,
};
const PARETO: ParetoNbd = ParetoNbd {
    r: 0.553,
    alpha: 10.578,
    s: 0.606,
    beta: 11.669,
};

#[test]
fn refuses_triples_that_no_history_has() {
    let invalid = [
        (1, 11.0, 10.0),
        (0, 1.0, 10.0),
        (1, 0.0, 10.0),
        (1, -1.0, 10.0),
        (0, 0.0, -1.0),
        (1, f64::NAN, 10.0),
        (1, 1.0, f64::INFINITY),
    ];
    for (x, t_x, t) in invalid {
        assert!(
            matches!(
                Triple::try_new(x, t_x, t),
                Err(ModelError::InvalidTriple { .. })
            ),
            "{x} {t_x} {t}"
        );
    }
    assert!(Triple::try_new(1, 10.0, 10.0).is_ok());
}

fn refuses_data_without_a_maximum<M: PurchaseModel + std::fmt::Debug + PartialEq>() {
    assert_eq!(M::fit(&[]), Err(ModelError::Empty));
    let silent = [Triple::try_new(0, 0.0, 39.0).unwrap(); 20];
    assert_eq!(M::fit(&silent), Err(ModelError::NoRepeatPurchases));
    let alike = [Triple::try_new(5, 35.0, 39.0).unwrap(); 20];
    assert!(matches!(
        M::fit(&alike),
        Err(ModelError::NotConverged { .. })
    ));
}

#[test]
fn no_model_is_fitted_to_data_without_a_maximum() {
    refuses_data_without_a_maximum::<BgNbd>();
    refuses_data_without_a_maximum::<MbgNbd>();
    refuses_data_without_a_maximum::<ParetoNbd>();
}

#[test]
fn identical_histories_count_as_often_as_they_occur() {
    let a = Triple::try_new(2, 10.0, 39.0).unwrap();
    let b = Triple::try_new(0, 0.0, 39.0).unwrap();
    let mut tally = tally(&[a, b, a, a, b]);
    tally.sort_by_key(|(triple, _)| triple.x);
    assert_eq!(tally, [(b, 2.0), (a, 3.0)]);
}

/// 1,882 purchases in the 39 weeks after calibration. All three models foretell fewer, and say nearly the same,
/// although they disagree on who is alive.
#[test]
fn all_models_foresee_most_of_the_holdout() {
    fn predicted<M: PurchaseModel>(model: M) -> f64 {
        cdnow::triples()
            .iter()
            .map(|customer| model.expected_purchases(*customer, 39.0))
            .sum()
    }
    for sum in [predicted(BG), predicted(MBG), predicted(PARETO)] {
        assert!((0.83..0.89).contains(&(sum / 1882.0)), "{sum}");
    }
}

fn triple() -> impl Strategy<Value = Triple> {
    (0..60_u32, 0.1..200.0_f64, 0.0..200.0_f64).prop_map(|(x, t_x, silence)| {
        let t_x = if x == 0 { 0.0 } else { t_x };
        Triple::try_new(x, t_x, t_x + silence).unwrap()
    })
}

fn keeps_its_laws<M: PurchaseModel>(
    model: M,
    customer: Triple,
    weeks: f64,
    more: f64,
) -> Result<(), TestCaseError> {
    let p = model.p_alive(customer);
    prop_assert!((0.0..=1.0).contains(&p));
    prop_assert!(model.log_likelihood_of(customer).is_finite());

    let longer_silence = Triple::try_new(customer.x, customer.t_x, customer.t + more).unwrap();
    prop_assert!(model.p_alive(longer_silence) <= p + 1e-12);

    if customer.x > 0 {
        let earlier = Triple::try_new(customer.x, customer.t_x / 2.0, customer.t).unwrap();
        prop_assert!(model.p_alive(earlier) <= p + 1e-12);
    }

    let expected = |weeks| model.expected_purchases_if_alive(customer, weeks);
    prop_assert_eq!(expected(0.0), 0.0);
    let (near, far) = (expected(weeks), expected(weeks + more));
    prop_assert!(near > 0.0 && far > near);
    // As time passes, more have left: later weeks bring less than earlier ones of the same number.
    let mean_near = near / weeks;
    prop_assert!(far - near <= mean_near * more * (1.0 + 1e-9));
    prop_assert!(model.expected_purchases(customer, weeks) <= near);
    Ok(())
}

proptest! {
    #[test]
    fn every_model_keeps_its_laws(
        customer in triple(), weeks in 0.1..150.0_f64, more in 0.1..150.0_f64,
        r in 0.05..5.0_f64, alpha in 0.5..50.0_f64, a in 0.05..5.0_f64, b in 0.05..50.0_f64,
    ) {
        keeps_its_laws(BgNbd { r, alpha, a, b }, customer, weeks, more)?;
        keeps_its_laws(MbgNbd { r, alpha, a, b }, customer, weeks, more)?;
        keeps_its_laws(ParetoNbd { r, alpha, s: a, beta: b }, customer, weeks, more)?;
    }

    #[test]
    fn the_log_likelihood_is_the_sum_over_customers(customers in prop::collection::vec(triple(), 1..10)) {
        let sum: f64 = customers.iter().map(|c| PARETO.log_likelihood(&[*c])).sum();
        prop_assert!((PARETO.log_likelihood(&customers) - sum).abs() < 1e-9 * sum.abs());
    }
}
