//! Findings as a good run makes them, for the tests of what is made of them.

use std::collections::{BTreeMap, BTreeSet};

use contracts::campaigns::v1::{
    ArmOutcome, Campaign, CampaignState, GetOutcomeResponse, RefusalCount, RefusalReason,
};
use contracts::segmentation::v1::{
    BetaGeometricParameters, CustomerValue, Fit, GammaGammaParameters, ParetoNbdParameters,
    Segment, Tier, TierSummary, ValidateFitResponse, ValidationGroup,
};
use prost_types::Timestamp;
use time::Date;
use time::macros::date;

use super::evaluate::{Valuation, WinBack};
use super::import::Imported;
use super::service::{PerService, Service};
use super::streams::{Compared, Counts, Published};
use super::{Findings, Seconds, assemble};

const CUSTOMERS: usize = 2_357;
/// Earlier repeat purchases: customers, and what followed.
const GROUPS: [(u32, u32); 8] = [
    (1_411, 280),
    (439, 260),
    (214, 200),
    (100, 180),
    (62, 170),
    (38, 150),
    (29, 122),
    (64, 520),
];

pub(crate) fn findings() -> Findings {
    let first = imported(6_919, 0);
    let second = imported(0, 6_919);
    let valuation = valuation(&first);
    let counts = |service| match service {
        Service::Customers => 8_707,
        Service::Interactions => 6_919,
        Service::Segmentation => 5_500,
        Service::Campaigns => 303,
    };
    let events = PerService::try_new(|service| Ok::<_, ()>(counts(service))).unwrap();
    let compared = PerService::try_new(|service| {
        let count = counts(service);
        Ok::<_, ()>(Compared {
            counts: Counts {
                postgres: count,
                jetstream: count,
            },
            heads: count,
            difference: None,
        })
    })
    .unwrap();
    let report = assemble(
        CUSTOMERS as u64,
        (&first, &second),
        &valuation,
        &win_back(),
        &compared,
        Seconds {
            setup: 4.2,
            import: 9.1,
            evaluate: 3.3,
            total: 21.4,
        },
    );
    Findings {
        report: report.unwrap(),
        first,
        second,
        valuation,
        win_back: win_back(),
        events_before: events.clone(),
        events_after: events,
        compared,
        published: published(),
    }
}

fn imported(recorded: u64, duplicates: u64) -> Imported {
    let ids = (1..=CUSTOMERS).map(|n| (format!("{n:05}"), format!("id-{n}")));
    Imported {
        customer_ids: ids.collect(),
        consents: 1_650,
        recorded,
        duplicates,
        rejected: 0,
        refusals: Vec::new(),
    }
}

fn published() -> Published {
    let days = (0..6_696).map(|n| (format!("id-{n}"), date!(1997 - 01 - 01)));
    Published {
        purchases: 6_919,
        revenue_minor: 24_409_194,
        customer_days: days.collect::<BTreeSet<(String, Date)>>(),
    }
}

/// The first customer has all that the others have not.
fn values_now(first: &Imported) -> BTreeMap<String, CustomerValue> {
    let others = CUSTOMERS as u32 - 1;
    let value = |customer_id: &String, n: usize| {
        let mut value = CustomerValue {
            customer_id: customer_id.clone(),
            purchases: 1,
            purchase_days: 1,
            monetary_minor: 1,
            ..CustomerValue::default()
        };
        if n == 0 {
            value.purchases = 6_919 - others;
            value.purchase_days = 6_696 - others;
            value.monetary_minor = 24_409_194 - i64::from(others);
        }
        (customer_id.clone(), value)
    };
    let ids = first.customer_ids.values().enumerate();
    ids.map(|(n, id)| value(id, n)).collect()
}

fn valuation(first: &Imported) -> Valuation {
    let listed: Vec<CustomerValue> = (1..=10).map(listed).collect();
    let tier = |tier: Tier, customers, share_of_value| TierSummary {
        tier: tier.into(),
        customers,
        expected_value_minor: 6_000_000,
        share_of_value,
    };
    Valuation {
        fit: fit(),
        validation: validation(),
        tiers: vec![
            tier(Tier::MostValuable, 472, 0.742),
            tier(Tier::MostGrowable, 707, 0.131),
            tier(Tier::Standard, 1_178, 0.127),
            tier(Tier::BelowZero, 0, 0.0),
        ],
        best: listed.clone(),
        slipping: listed,
        now: values_now(first),
    }
}

fn listed(n: i64) -> CustomerValue {
    CustomerValue {
        customer_id: format!("id-{}", n * 7),
        last_purchase_time: Some(Timestamp {
            seconds: 875_620_799,
            nanos: 0,
        }),
        purchases: 20,
        purchase_days: 19,
        monetary_minor: 150_000 - n * 3_333,
        p_alive: Some(0.97),
        expected_purchases: Some(17.4),
        expected_value_minor: Some(99_000 - n * 4_111),
        ..CustomerValue::default()
    }
}

fn fit() -> Fit {
    let beta_geometric = |r, alpha, a, b, log_likelihood| BetaGeometricParameters {
        r,
        alpha,
        a,
        b,
        log_likelihood,
    };
    Fit {
        customers: CUSTOMERS as u32,
        repeat_customers: 946,
        horizon_weeks: 39,
        bg_nbd: Some(beta_geometric(0.2426, 4.4136, 0.7929, 2.4259, -9_582.43)),
        mbg_nbd: Some(beta_geometric(0.5250, 6.1830, 0.8911, 1.6143, -9_582.11)),
        pareto_nbd: Some(ParetoNbdParameters {
            r: 0.5533,
            alpha: 10.5783,
            s: 0.6061,
            beta: 11.6688,
            log_likelihood: -9_594.98,
        }),
        gamma_gamma: Some(GammaGammaParameters {
            p: 6.25,
            q: 3.744,
            gamma: 15.443,
            log_likelihood: -4_055.92,
        }),
        ..Fit::default()
    }
}

fn validation() -> ValidateFitResponse {
    let groups = GROUPS
        .into_iter()
        .enumerate()
        .map(|(n, (customers, actual))| {
            let actual_f64 = f64::from(actual);
            ValidationGroup {
                repeat_purchases: n as u32,
                or_more: n == 7,
                customers,
                predicted_bg_nbd: actual_f64 * 0.9,
                predicted_mbg_nbd: actual_f64 * 0.8,
                predicted_pareto_nbd: actual_f64 * 0.95,
                actual,
            }
        });
    ValidateFitResponse {
        weeks: 39.0,
        predicted_bg_nbd: 1_654.0,
        predicted_mbg_nbd: 1_577.0,
        predicted_pareto_nbd: 1_666.0,
        actual: 1_882,
        groups: groups.collect(),
    }
}

fn win_back() -> WinBack {
    let arm = |customers: u32, buyers: u32| ArmOutcome {
        customers,
        buyers,
        purchases: buyers * 2,
        revenue_minor: i64::from(buyers) * 5_000,
        rate: f64::from(buyers) / f64::from(customers),
    };
    let mut campaign = Campaign {
        decided: 300,
        contacted: 147,
        held_out: 63,
        retrospective: true,
        refused: vec![RefusalCount {
            reason: RefusalReason::NoConsent.into(),
            customers: 90,
        }],
        ..Campaign::default()
    };
    campaign.set_state(CampaignState::Running);
    WinBack {
        segment: Segment {
            name: "slipping-away".to_owned(),
            rule: "measures.frequency >= 1 && measures.p_alive < 0.6".to_owned(),
            ..Segment::default()
        },
        members: 300,
        campaign,
        outcome: GetOutcomeResponse {
            contacted: Some(arm(147, 38)),
            held_out: Some(arm(63, 14)),
            uplift: 0.036,
            uplift_lower: -0.1,
            uplift_upper: 0.151,
            confidence_level: 0.95,
            retrospective: true,
            currency_code: "USD".to_owned(),
        },
    }
}
