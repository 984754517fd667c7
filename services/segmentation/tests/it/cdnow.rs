//! The CDNOW sample through the logs, the facts and the models: the published figures must come out.

use std::{collections::BTreeMap, time::Instant};

use aggregate::CustomerId;
use contracts::segmentation::v1 as pb;
use time::{
    Date, Month, OffsetDateTime,
    macros::{datetime, time},
};
use uuid::Uuid;

use crate::{
    feed::{self, purchase_message, recorded, registered},
    requests::{define, members, moment, moves},
    stack::Stack,
};

const ROWS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../data/cdnow_sample.txt"
));
/// The last moment of the 39 weeks to which the published models were fitted.
pub(crate) const CALIBRATION_END: OffsetDateTime = datetime!(1997-09-30 23:59:59.999999 UTC);
/// The last moment of the data.
pub(crate) const LAST: OffsetDateTime = datetime!(1998-06-30 23:59:59.999999 UTC);

/// Feeds the first customers of the sample, or all, as history. They are given in the order of the sample.
pub(crate) async fn feed_sample(stack: &Stack, customers_max: usize) -> Vec<CustomerId> {
    let mut customers: BTreeMap<&str, CustomerId> = BTreeMap::new();
    let mut purchases = Vec::new();
    for row in ROWS.lines() {
        let columns: Vec<&str> = row.split_whitespace().collect();
        let [number, _, date, _, dollars] = columns[..] else {
            panic!("five columns, not {row:?}");
        };
        if !customers.contains_key(number) && customers.len() == customers_max {
            break;
        }
        let customer = *customers.entry(number).or_insert_with(feed::customer);
        let amount_minor = dollars.replace('.', "").parse().unwrap();
        let mut message = purchase_message(customer, noon(date), amount_minor);
        message.backfill = true;
        purchases.push(recorded(&message));
    }
    let registrations: Vec<_> = customers
        .values()
        .map(|customer| registered(*customer))
        .collect();
    stack.feed(&stack.customers, &registrations).await;
    stack.feed(&stack.interactions, &purchases).await;
    customers.into_values().collect()
}

fn noon(yyyymmdd: &str) -> OffsetDateTime {
    let number: i32 = yyyymmdd.parse().unwrap();
    let month = Month::try_from(u8::try_from(number / 100 % 100).unwrap()).unwrap();
    Date::from_calendar_date(number / 10_000, month, u8::try_from(number % 100).unwrap())
        .unwrap()
        .with_time(time!(12:00))
        .assume_utc()
}

pub(crate) async fn fit_request(stack: &Stack) -> pb::FitModelsRequest {
    pb::FitModelsRequest {
        request_id: Uuid::new_v4().to_string(),
        calibration_end_time: moment(CALIBRATION_END),
        horizon_weeks: 0,
        consistency_token: stack.fed().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_published_figures_come_out() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let slipping = define(&mut client, "slipping-away", "measures.p_alive < 0.4").await;
    let began = Instant::now();
    let customers = feed_sample(&stack, usize::MAX).await;
    assert_eq!(customers.len(), 2_357);
    assert!(members(&stack, &mut client, &slipping).await.is_empty());
    println!("fed and followed in {:?}", began.elapsed());

    let began = Instant::now();
    let fitted = client
        .fit_models(fit_request(&stack).await)
        .await
        .unwrap()
        .into_inner();
    let took = began.elapsed();
    println!("fitted and scored in {took:?}");
    assert!(took.as_secs() < 15, "{took:?}");
    let fit = fitted.fit.unwrap();
    assert_published(&fit);

    let request = pb::ValidateFitRequest {
        fit_id: fit.fit_id.clone(),
        until_time: moment(LAST),
        consistency_token: String::new(),
    };
    let validation = client.validate_fit(request).await.unwrap().into_inner();
    assert_eq!((validation.weeks, validation.actual), (39.0, 1_882));
    for predicted in [
        validation.predicted_bg_nbd,
        validation.predicted_mbg_nbd,
        validation.predicted_pareto_nbd,
    ] {
        assert!((0.83..0.89).contains(&(predicted / 1_882.0)), "{predicted}");
    }
    assert_eq!(validation.groups.len(), 8);
    assert_eq!(
        validation
            .groups
            .iter()
            .map(|group| group.customers)
            .sum::<u32>(),
        2_357
    );
    assert_eq!(
        validation
            .groups
            .iter()
            .map(|group| group.actual)
            .sum::<u32>(),
        1_882
    );

    assert_tiers(&mut client, &fit).await;

    // Whoever is slipping away was told so by the fit, in the step that scored them.
    let slipping_away = members(&stack, &mut client, &slipping).await;
    assert!(
        (100..2_000).contains(&slipping_away.len()),
        "{}",
        slipping_away.len()
    );
    let moves = moves(&stack, &slipping).await;
    assert_eq!(moves.len(), slipping_away.len());
    assert!(
        moves
            .iter()
            .all(|moved| moved.cause == pb::MembershipCause::Fit && moved.entered)
    );
    stack.stop().await;
}

/// Fader, Hardie and Lee (2005), Batislam et al. (2007), Fader and Hardie (2013).
fn assert_published(fit: &pb::Fit) {
    assert_eq!((fit.customers, fit.repeat_customers), (2_357, 946));
    assert_eq!((fit.horizon_weeks, fit.currency_code.as_str()), (39, "USD"));
    let bg = fit.bg_nbd.unwrap();
    let printed = format!(
        "{:.3} {:.3} {:.3} {:.3} {:.1}",
        bg.r, bg.alpha, bg.a, bg.b, bg.log_likelihood
    );
    assert_eq!(printed, "0.243 4.414 0.793 2.426 -9582.4");
    let mbg = fit.mbg_nbd.unwrap();
    let printed = format!("{:.3} {:.3} {:.3} {:.3}", mbg.r, mbg.alpha, mbg.a, mbg.b);
    assert_eq!(printed, "0.525 6.183 0.891 1.614");
    let pareto = fit.pareto_nbd.unwrap();
    let printed = format!(
        "{:.3} {:.3} {:.3} {:.3}",
        pareto.r, pareto.alpha, pareto.s, pareto.beta
    );
    assert_eq!(printed, "0.553 10.578 0.606 11.669");
    let gamma = fit.gamma_gamma.unwrap();
    let printed = format!(
        "{:.2} {:.2} {:.2} {:.1}",
        gamma.p, gamma.q, gamma.gamma, gamma.log_likelihood
    );
    assert_eq!(printed, "6.25 3.74 15.44 -4055.9");
    assert_eq!(fit.frequency_cut_points, [2.0, 2.0, 3.0, 4.0]);
}

async fn assert_tiers(client: &mut crate::stack::Client, fit: &pb::Fit) {
    let request = pb::ListTiersRequest {
        fit_id: fit.fit_id.clone(),
    };
    let tiers = client.list_tiers(request).await.unwrap().into_inner().tiers;
    let order: Vec<_> = tiers.iter().map(pb::TierSummary::tier).collect();
    let expected = [
        pb::Tier::MostValuable,
        pb::Tier::MostGrowable,
        pb::Tier::Standard,
        pb::Tier::BelowZero,
    ];
    assert_eq!(order, expected);
    assert_eq!(tiers.iter().map(|tier| tier.customers).sum::<u32>(), 2_357);
    assert_eq!((tiers[0].customers, tiers[3].customers), (472, 0));
    let share: f64 = tiers.iter().map(|tier| tier.share_of_value).sum();
    assert!((share - 1.0).abs() < 1e-9);
    // A fifth of the customers is most of the value.
    assert!(tiers[0].share_of_value > 0.5, "{}", tiers[0].share_of_value);
}
