//! What the findings say, in words and rows: the terminal and the page tell the same.

use std::collections::HashMap;

use contracts::segmentation::v1::{CustomerValue, Tier, TierSummary};

use super::Findings;
use super::chart::TierBars;
use super::format;
use super::report::Outcome;

/// A customer as a row of a list, as of the end of calibration.
#[derive(Debug)]
pub(crate) struct CustomerRow {
    /// The id in the data set.
    pub(crate) id: String,
    pub(crate) purchase_days: String,
    pub(crate) spent: String,
    pub(crate) last_purchase: String,
    pub(crate) p_alive: String,
    pub(crate) expected_purchases: String,
    pub(crate) expected_value: String,
    /// Purchase days in the weeks that followed: what nobody knew at the time.
    pub(crate) bought_since: String,
}

pub(crate) fn best(findings: &Findings) -> Vec<CustomerRow> {
    rows(findings, &findings.valuation.best)
}

pub(crate) fn slipping(findings: &Findings) -> Vec<CustomerRow> {
    rows(findings, &findings.valuation.slipping)
}

fn rows(findings: &Findings, values: &[CustomerValue]) -> Vec<CustomerRow> {
    let ids: HashMap<&str, &str> = findings
        .first
        .customer_ids
        .iter()
        .map(|(id, customer_id)| (customer_id.as_str(), id.as_str()))
        .collect();
    values
        .iter()
        .map(|value| {
            let now = findings.valuation.now.get(&value.customer_id);
            let since = now.map(|now| now.purchase_days.saturating_sub(value.purchase_days));
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "\u{2013}".to_owned());
            CustomerRow {
                id: or_dash(ids.get(value.customer_id.as_str()).map(ToString::to_string)),
                purchase_days: format::count(value.purchase_days),
                spent: format::dollars(value.monetary_minor),
                last_purchase: format::day(value.last_purchase_time.as_ref()),
                p_alive: or_dash(value.p_alive.map(format::percent)),
                expected_purchases: or_dash(value.expected_purchases.map(|n| format!("{n:.1}"))),
                expected_value: or_dash(value.expected_value_minor.map(format::dollars)),
                bought_since: or_dash(since.map(format::count)),
            }
        })
        .collect()
}

/// How well the prediction held, honestly.
pub(crate) fn prediction(findings: &Findings) -> String {
    let holdout = &findings.report.holdout;
    let actual = f64::from(holdout.actual);
    let model = |name: &str, predicted: f64| {
        let deviation = format::deviation(predicted, actual);
        format!(
            "{name} expected {}, {deviation}",
            format::count(predicted.round() as i128)
        )
    };
    format!(
        "{} repeat purchase days followed in {:.0} weeks. {}; {}; {}.",
        format::count(holdout.actual),
        holdout.weeks,
        model("BG/NBD", holdout.predicted),
        model("MBG/NBD", holdout.predicted_mbgnbd),
        model("Pareto/NBD", holdout.predicted_paretonbd),
    )
}

/// Where the prediction fails: the group in which BG/NBD is farthest off, in purchases.
pub(crate) fn weakest_group(findings: &Findings) -> Option<String> {
    let groups = &findings.valuation.validation.groups;
    let gap = |predicted: f64, actual: u32| (predicted - f64::from(actual)).abs();
    let worst = groups.iter().max_by(|one, other| {
        gap(one.predicted_bg_nbd, one.actual).total_cmp(&gap(other.predicted_bg_nbd, other.actual))
    })?;
    Some(format!(
        "Farthest off are the customers with {} earlier {}: BG/NBD expected {} of them, {} followed.",
        super::chart::group_name(worst),
        if worst.repeat_purchases == 1 && !worst.or_more {
            "repeat purchase"
        } else {
            "repeat purchases"
        },
        format::count(worst.predicted_bg_nbd.round() as i128),
        format::count(worst.actual)
    ))
}

/// Each tier with its share of the customers and of the expected value.
pub(crate) fn tiers(findings: &Findings) -> Vec<TierBars> {
    let tiers = &findings.valuation.tiers;
    let all: u32 = tiers.iter().map(|tier| tier.customers).sum();
    let bars = |tier: &TierSummary| TierBars {
        name: tier_title(tier.tier()).to_owned(),
        share_of_customers: f64::from(tier.customers) / f64::from(all.max(1)),
        share_of_value: tier.share_of_value,
    };
    tiers.iter().map(bars).collect()
}

pub(crate) fn tier_title(tier: Tier) -> &'static str {
    match tier {
        Tier::Unspecified => "No tier",
        Tier::MostValuable => "Most valuable",
        Tier::MostGrowable => "Most growable",
        Tier::Standard => "Standard",
        Tier::BelowZero => "Below zero",
    }
}

/// What the campaign decided.
pub(crate) fn decisions(findings: &Findings) -> String {
    let campaign = &findings.report.campaign;
    let refused: Vec<String> = campaign
        .refused
        .iter()
        .map(|(reason, customers)| {
            format!(
                "{} for {}",
                format::count(*customers),
                reason.replace('_', " ")
            )
        })
        .collect();
    let refused = if refused.is_empty() {
        "nobody".to_owned()
    } else {
        refused.join(", ")
    };
    format!(
        "{} decided on: {} to contact, {} held out, refused {refused}.",
        format::count(campaign.decided),
        format::count(campaign.contacted),
        format::count(campaign.held_out),
    )
}

/// What the outcome means.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    let arm = |arm: &super::report::Arm| {
        format!(
            "{} of {} ({:.1}\u{a0}%)",
            arm.buyers,
            arm.customers,
            arm.rate * 100.0
        )
    };
    let measured = format!(
        "Bought again: {} of those to contact, {} of those held out. Difference {} points, {:.0}\u{a0}% interval {} to {}.",
        arm(&outcome.contacted),
        arm(&outcome.held_out),
        format::points(outcome.uplift),
        outcome.confidence_level * 100.0,
        format::points(outcome.uplift_lower),
        format::points(outcome.uplift_upper),
    );
    let verdict = if outcome.covers_zero {
        "Nobody was really contacted, so the true difference is zero, and the interval covers it: the measurement passes this A/A check."
    } else {
        "Nobody was really contacted, so the true difference is zero, and the interval does NOT cover it. That happens by chance once in twenty such checks; here it happened."
    };
    format!("{measured} {verdict}")
}

/// What the second import did.
pub(crate) fn second_import(findings: &Findings) -> String {
    let changed: u64 = findings
        .events_before
        .iter()
        .map(|(service, before)| findings.events_after.of(service).abs_diff(*before))
        .sum();
    format!(
        "Everything was sent a second time: {} of {} purchases were known already, {} new events in all four logs.",
        format::count(findings.second.duplicates),
        format::count(findings.report.imported.purchases),
        format::count(changed),
    )
}

#[cfg(test)]
mod tests {
    use super::super::report::Arm;
    use super::*;

    fn arm(customers: u32, buyers: u32) -> Arm {
        Arm {
            customers,
            buyers,
            rate: f64::from(buyers) / f64::from(customers),
            purchases: buyers,
            revenue_minor: 0,
        }
    }

    #[test]
    fn an_interval_that_misses_zero_is_not_passed_over() {
        let mut measured = Outcome {
            contacted: arm(200, 60),
            held_out: arm(100, 20),
            uplift: 0.1,
            uplift_lower: 0.001,
            uplift_upper: 0.2,
            confidence_level: 0.95,
            covers_zero: false,
            retrospective: true,
        };
        let said = outcome(&measured);
        assert!(
            said.contains("60 of 200 (30.0\u{a0}%)") && said.contains("does NOT cover"),
            "{said}"
        );
        measured.covers_zero = true;
        assert!(outcome(&measured).contains("covers it: the measurement passes"));
    }
}
