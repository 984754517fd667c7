//! What must hold for the demo to succeed. Each check has an expected value that comes from elsewhere: a
//! publication, the other side of a copy, or the same figure a moment before.

use super::Findings;
use super::report::{BetaGeometric, Report};
use super::service::Service;

/// A statement and what was found.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl Check {
    pub(crate) fn holds(&self) -> bool {
        self.expected == self.found
    }
}

/// Facts of the data set: see `data/README.md`.
const CUSTOMERS: u64 = 2_357;
const PURCHASES: u64 = 6_919;
const CUSTOMER_DAYS: u64 = 6_696;
const REVENUE_MINOR: i64 = 24_409_194;
const REPEAT_CUSTOMERS: u32 = 946;
const ACTUAL: u32 = 1_882;
const WEEKS: &str = "39.0";

/// All of them, in the order of the report.
pub(crate) fn all(findings: &Findings) -> Vec<Check> {
    let mut checks = Checks(Vec::new());
    imported(&mut checks, findings);
    models(&mut checks, &findings.report);
    evaluated(&mut checks, findings);
    campaign(&mut checks, findings);
    second_import(&mut checks, findings);
    streams(&mut checks, findings);
    checks.0
}

struct Checks(Vec<Check>);

impl Checks {
    fn equal(&mut self, what: impl Into<String>, expected: impl ToString, found: impl ToString) {
        self.0.push(Check {
            what: what.into(),
            expected: expected.to_string(),
            found: found.to_string(),
        });
    }
}

fn imported(checks: &mut Checks, findings: &Findings) {
    let imported = &findings.report.imported;
    checks.equal("customers registered", CUSTOMERS, imported.customers);
    checks.equal("purchases recorded", PURCHASES, findings.first.recorded);
    checks.equal("purchases refused", 0, imported.rejected);
    checks.equal("purchases measured", PURCHASES, imported.purchases);
    checks.equal(
        "customer-days measured",
        CUSTOMER_DAYS,
        imported.customer_days,
    );
    checks.equal(
        "revenue measured (cents)",
        REVENUE_MINOR,
        imported.revenue_minor,
    );
    let published = &findings.published;
    checks.equal("purchases published", PURCHASES, published.purchases);
    let days = published.customer_days.len();
    checks.equal("customer-days published", CUSTOMER_DAYS, days);
    checks.equal(
        "revenue published (cents)",
        REVENUE_MINOR,
        published.revenue_minor,
    );
}

/// The published values, to every printed digit.
fn models(checks: &mut Checks, report: &Report) {
    let mut model =
        |name: &str, symbols: &str, parameters: (&str, String), likelihood: (&str, f64)| {
            checks.equal(format!("{name} {symbols}"), parameters.0, parameters.1);
            let found = format!("{:.1}", likelihood.1);
            checks.equal(format!("{name} log-likelihood"), likelihood.0, found);
        };
    let beta_geometric =
        |fitted: &BetaGeometric| join(&[fitted.r, fitted.alpha, fitted.a, fitted.b], 3);
    let fitted = &report.bgnbd;
    model(
        "BG/NBD",
        "r, alpha, a, b",
        ("0.243, 4.414, 0.793, 2.426", beta_geometric(fitted)),
        ("-9582.4", fitted.log_likelihood),
    );
    let fitted = &report.mbgnbd;
    model(
        "MBG/NBD",
        "r, alpha, a, b",
        ("0.525, 6.183, 0.891, 1.614", beta_geometric(fitted)),
        ("-9582.1", fitted.log_likelihood),
    );
    let fitted = &report.paretonbd;
    model(
        "Pareto/NBD",
        "r, alpha, s, beta",
        (
            "0.553, 10.578, 0.606, 11.669",
            join(&[fitted.r, fitted.alpha, fitted.s, fitted.beta], 3),
        ),
        ("-9595.0", fitted.log_likelihood),
    );
    let fitted = &report.gamma_gamma;
    model(
        "Gamma-Gamma",
        "p, q, gamma",
        (
            "6.25, 3.74, 15.44",
            join(&[fitted.p, fitted.q, fitted.gamma], 2),
        ),
        ("-4055.9", fitted.log_likelihood),
    );
}

fn join(values: &[f64], digits: usize) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|value| format!("{value:.digits$}"))
        .collect();
    values.join(", ")
}

fn evaluated(checks: &mut Checks, findings: &Findings) {
    let valuation = &findings.valuation;
    checks.equal("customers in the fit", CUSTOMERS, valuation.fit.customers);
    checks.equal(
        "customers with a repeat purchase",
        REPEAT_CUSTOMERS,
        valuation.fit.repeat_customers,
    );
    let holdout = &findings.report.holdout;
    checks.equal(
        "weeks of validation",
        WEEKS,
        format!("{:.1}", holdout.weeks),
    );
    checks.equal("repeat purchases that followed", ACTUAL, holdout.actual);
    let groups = &valuation.validation.groups;
    let sum: u32 = groups.iter().map(|group| group.actual).sum();
    checks.equal("the same, summed over groups", ACTUAL, sum);
    let sum: u32 = groups.iter().map(|group| group.customers).sum();
    checks.equal("customers, summed over groups", CUSTOMERS, sum);
    let sum: u32 = valuation.tiers.iter().map(|tier| tier.customers).sum();
    checks.equal("customers, summed over tiers", CUSTOMERS, sum);
}

fn campaign(checks: &mut Checks, findings: &Findings) {
    let campaign = &findings.report.campaign;
    let refused: u32 = campaign.refused.values().sum();
    checks.equal(
        "members of the segment decided on",
        findings.win_back.members,
        campaign.decided,
    );
    checks.equal(
        "contacted, held out and refused together",
        campaign.decided,
        campaign.contacted + campaign.held_out + refused,
    );
    let arms = &campaign.outcome;
    checks.equal(
        "the contacted arm measured",
        campaign.contacted,
        arms.contacted.customers,
    );
    checks.equal(
        "the held-out arm measured",
        campaign.held_out,
        arms.held_out.customers,
    );
    checks.equal("the campaign contacts nobody", true, arms.retrospective);
}

fn second_import(checks: &mut Checks, findings: &Findings) {
    let second = &findings.second;
    checks.equal("purchases that a second import doubles", 0, second.recorded);
    checks.equal("purchases that it refuses", 0, second.rejected);
    checks.equal("purchases that it knows", PURCHASES, second.duplicates);
    let same = second.customer_ids == findings.first.customer_ids;
    checks.equal("customers keep their ids", true, same);
    for service in Service::ALL {
        checks.equal(
            format!("events of {} after it", service.name()),
            findings.events_before.of(service),
            findings.events_after.of(service),
        );
    }
}

fn streams(checks: &mut Checks, findings: &Findings) {
    for (service, compared) in findings.compared.iter() {
        let name = service.name();
        let counts = compared.counts;
        checks.equal(
            format!("events of {name} in JetStream"),
            counts.postgres,
            counts.jetstream,
        );
        checks.equal(
            format!("last positions of {name}, summed"),
            counts.postgres,
            compared.heads,
        );
        let order = compared.difference.as_deref().unwrap_or("the same");
        checks.equal(format!("order of {name} per partition"), "the same", order);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn failing(change: impl FnOnce(&mut Findings)) -> Vec<String> {
        let mut findings = sample::findings();
        change(&mut findings);
        let failing = all(&findings).into_iter().filter(|check| !check.holds());
        failing.map(|check| check.what).collect()
    }

    #[test]
    fn a_good_run_passes() {
        assert_eq!(failing(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn a_last_printed_digit_that_differs_fails() {
        let names = ["BG/NBD r, alpha, a, b", "MBG/NBD log-likelihood"];
        assert_eq!(failing(|it| it.report.bgnbd.r = 0.2436), names[..1]);
        assert_eq!(
            failing(|it| it.report.mbgnbd.log_likelihood = -9_582.16),
            names[1..]
        );
        let names = ["Pareto/NBD r, alpha, s, beta", "Gamma-Gamma p, q, gamma"];
        assert_eq!(failing(|it| it.report.paretonbd.beta = 11.6684), names[..1]);
        assert_eq!(
            failing(|it| it.report.gamma_gamma.gamma = 15.446),
            names[1..]
        );
    }

    #[test]
    fn a_customer_a_purchase_or_a_cent_too_many_fails() {
        assert_eq!(
            failing(|it| it.report.imported.customers += 1),
            ["customers registered"]
        );
        assert_eq!(
            failing(|it| it.report.imported.purchases += 1),
            ["purchases measured"]
        );
        assert_eq!(
            failing(|it| it.report.imported.customer_days += 1),
            ["customer-days measured"]
        );
        assert_eq!(
            failing(|it| it.report.imported.revenue_minor -= 1),
            ["revenue measured (cents)"]
        );
        assert_eq!(
            failing(|it| it.published.revenue_minor += 1),
            ["revenue published (cents)"]
        );
        assert_eq!(
            failing(|it| it.report.holdout.actual += 1),
            ["repeat purchases that followed"]
        );
    }

    #[test]
    fn a_second_import_that_changes_something_fails() {
        assert_eq!(
            failing(|it| it.second.duplicates -= 1),
            ["purchases that it knows"]
        );
        assert_eq!(
            failing(|it| it.events_after.segmentation += 1),
            ["events of segmentation after it"]
        );
        let renamed = |it: &mut Findings| {
            it.second
                .customer_ids
                .insert("00001".to_owned(), "another".to_owned());
        };
        assert_eq!(failing(renamed), ["customers keep their ids"]);
    }

    #[test]
    fn a_stream_that_lacks_an_event_or_is_out_of_order_fails() {
        assert_eq!(
            failing(|it| it.compared.campaigns.counts.jetstream -= 1),
            ["events of campaigns in JetStream"]
        );
        let disorder = |it: &mut Findings| {
            it.compared.customers.difference = Some("partition 3 holds other events".to_owned());
        };
        assert_eq!(failing(disorder), ["order of customers per partition"]);
    }
}
