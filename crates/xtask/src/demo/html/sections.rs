//! The sections of the page, in its order.

use maud::{Markup, html};

use super::super::chart::{self, Mark};
use super::super::checks::Check;
use super::super::evaluate::CALIBRATION_END;
use super::super::report::{BetaGeometric, Report};
use super::super::story::{self, CustomerRow};
use super::super::{Findings, format};
use super::{card, day};

pub(super) fn best_and_slipping(findings: &Findings) -> Markup {
    html! {
        section {
            h2 { "Who the best are" }
            p { "By the value expected of them in the " (findings.valuation.fit.horizon_weeks)
                " weeks after " (day(CALIBRATION_END)) ": expected purchases times expected spend. "
                "The last column is what then happened." }
            (customers("Most expected value first", &story::best(findings)))
        }
        section {
            h2 { "Who slips away" }
            p { "What they spent, times the probability that they are gone (MBG/NBD): the most is lost here "
                "if nothing is done." }
            (customers("Most value at risk first", &story::slipping(findings)))
        }
    }
}

fn customers(caption: &str, rows: &[CustomerRow]) -> Markup {
    html! {
        div class="wide" tabindex="0" { table {
            caption { (caption) }
            thead { tr {
                th scope="col" { "Customer" }
                @for name in ["Days", "Spent", "Last bought", "Still a customer", "Expected", "Expected value", "Bought since"] {
                    th scope="col" class="n" { (name) }
                }
            } }
            tbody { @for row in rows { tr {
                th scope="row" { (row.id) }
                @for cell in [&row.purchase_days, &row.spent, &row.last_purchase, &row.p_alive,
                    &row.expected_purchases, &row.expected_value] {
                    td class="n" { (cell) }
                }
                td class="n strong" { (row.bought_since) }
            } } }
        } }
    }
}

pub(super) fn prediction(findings: &Findings) -> Markup {
    let groups = &findings.valuation.validation.groups;
    html! {
        section {
            h2 { "How well the prediction held" }
            p { (story::prediction(findings)) " " (story::weakest_group(findings).unwrap_or_default()) }
            figure {
                ul class="legend" {
                    li { (chart::key(None)) "what followed" }
                    @for mark in Mark::ALL { li { (chart::key(Some(mark))) (mark.name()) } }
                }
                (chart::prediction(groups))
                figcaption { "Purchases per customer in the " (format!("{:.0}", findings.report.holdout.weeks))
                    " weeks after " (day(CALIBRATION_END)) ", by number of earlier repeat purchases." }
            }
            details {
                summary { "The same in numbers" }
                div class="wide" tabindex="0" { table {
                    caption { "Repeat purchase days, summed over the customers of a group" }
                    thead { tr {
                        th scope="col" { "Earlier repeats" }
                        @for name in ["Customers", "Followed", "BG/NBD", "MBG/NBD", "Pareto/NBD"] {
                            th scope="col" class="n" { (name) }
                        }
                    } }
                    tbody { @for group in groups { tr {
                        th scope="row" { (chart::group_name(group)) }
                        td class="n" { (format::count(group.customers)) }
                        td class="n strong" { (format::count(group.actual)) }
                        @for sum in [group.predicted_bg_nbd, group.predicted_mbg_nbd, group.predicted_pareto_nbd] {
                            td class="n" { (format!("{sum:.1}")) }
                        }
                    } } }
                } }
            }
        }
    }
}

pub(super) fn tiers(findings: &Findings) -> Markup {
    let summaries = &findings.valuation.tiers;
    html! {
        section {
            h2 { "Value by tier" }
            p { "Tiers follow the expected value: the first fifth of the customers, those up to the half, the rest. "
                "Nobody can be below zero here, because the data has no margins, and an unknown margin is not taken for zero." }
            figure {
                ul class="legend" {
                    li { svg class="key" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" {
                        rect class="second" x="1" y="3" width="14" height="10" rx="2" {} } "share of customers" }
                    li { svg class="key" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" {
                        rect class="actual" x="1" y="3" width="14" height="10" rx="2" {} } "share of expected value" }
                }
                (chart::tiers(&story::tiers(findings)))
            }
            div class="wide" tabindex="0" { table {
                caption { "Tiers, most valuable first" }
                thead { tr {
                    th scope="col" { "Tier" } th scope="col" class="n" { "Customers" }
                    th scope="col" class="n" { "Expected value" } th scope="col" class="n" { "Share" }
                } }
                tbody { @for tier in summaries { tr {
                    th scope="row" { (story::tier_title(tier.tier())) }
                    td class="n" { (format::count(tier.customers)) }
                    td class="n" { (format::dollars(tier.expected_value_minor)) }
                    td class="n" { (format::percent(tier.share_of_value)) }
                } } }
            } }
        }
    }
}

pub(super) fn campaign(findings: &Findings) -> Markup {
    let campaign = &findings.report.campaign;
    let segment = &findings.report.segment;
    html! {
        section {
            h2 { "A campaign to win them back, looking back" }
            p { "Segment " b { (segment.name) } ", " (format::count(segment.members as u64)) " members on "
                (day(CALIBRATION_END)) " by the rule" }
            pre { code { (segment.rule) } }
            dl class="cards" {
                (card("Decided on", &format::count(campaign.decided), "each with an event and its reason"))
                (card("To contact", &format::count(campaign.contacted), "with the consent's event id"))
                (card("Held out", &format::count(campaign.held_out), "by a seeded draw"))
                @for (reason, customers) in &campaign.refused {
                    (card("Refused", &format::count(*customers), &reason.replace('_', " ")))
                }
            }
            p { (story::outcome(&campaign.outcome)) }
            figure {
                (chart::interval(&campaign.outcome))
                figcaption { "Newcombe's interval (1998, method 10) for the difference of two shares." }
            }
        }
    }
}

pub(super) fn models(report: &Report) -> Markup {
    let beta_geometric = |name: &str, fitted: &BetaGeometric| {
        model_row(
            name,
            &[
                ("r", fitted.r, 3),
                ("\u{3b1}", fitted.alpha, 3),
                ("a", fitted.a, 3),
                ("b", fitted.b, 3),
            ],
            fitted.log_likelihood,
        )
    };
    let pareto = &report.paretonbd;
    let spend = &report.gamma_gamma;
    html! {
        section {
            h2 { "The fitted models" }
            p { "By maximum likelihood, in weeks. The published values stand below, under what was checked." }
            div class="wide" tabindex="0" { table {
                caption { "Parameters and log-likelihoods" }
                thead { tr {
                    th scope="col" { "Model" } th scope="col" { "Parameters" }
                    th scope="col" class="n" { "Log-likelihood" }
                } }
                tbody {
                    (beta_geometric("BG/NBD", &report.bgnbd))
                    (beta_geometric("MBG/NBD", &report.mbgnbd))
                    (model_row("Pareto/NBD", &[("r", pareto.r, 3), ("\u{3b1}", pareto.alpha, 3), ("s", pareto.s, 3),
                        ("\u{3b2}", pareto.beta, 3)], pareto.log_likelihood))
                    (model_row("Gamma-Gamma", &[("p", spend.p, 2), ("q", spend.q, 2), ("\u{3b3}", spend.gamma, 2)],
                        spend.log_likelihood))
                }
            } }
        }
    }
}

fn model_row(name: &str, parameters: &[(&str, f64, usize)], log_likelihood: f64) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            td { @for (symbol, value, digits) in parameters {
                span class="parameter" { i { (symbol) } " " (format!("{value:.digits$}")) }
            } }
            td class="n" { (format!("{log_likelihood:.1}")) }
        }
    }
}

pub(super) fn streams(findings: &Findings) -> Markup {
    html! {
        section {
            h2 { "Logs and streams" }
            p { "PostgreSQL holds the truth, JetStream a copy. Both were read whole and compared event by event, "
                "in the order of each partition. " (story::second_import(findings)) }
            div class="wide" tabindex="0" { table {
                caption { "Events of each service" }
                thead { tr {
                    th scope="col" { "Service" }
                    @for name in ["PostgreSQL", "JetStream", "Before the second import", "After it"] {
                        th scope="col" class="n" { (name) }
                    }
                    th scope="col" { "Order" }
                } }
                tbody { @for (service, compared) in findings.compared.iter() { tr {
                    th scope="row" { (service.name()) }
                    @for number in [compared.counts.postgres, compared.counts.jetstream,
                        *findings.events_before.of(service), *findings.events_after.of(service)] {
                        td class="n" { (format::count(number)) }
                    }
                    td { (compared.difference.as_deref().unwrap_or("the same")) }
                } } }
            } }
        }
    }
}

pub(super) fn checked(checks: &[Check]) -> Markup {
    html! {
        section {
            h2 { "What was checked" }
            div class="wide" tabindex="0" { table class="checks" {
                caption { "Expected values come from publications, from the other side of a copy, or from the moment before" }
                thead { tr {
                    th scope="col" { "" } th scope="col" { "Statement" }
                    th scope="col" class="n" { "Expected" } th scope="col" class="n" { "Found" }
                } }
                tbody { @for check in checks { tr {
                    td class=(if check.holds() { "holds" } else { "fails" }) {
                        (if check.holds() { "\u{2713} holds" } else { "\u{2717} FAILS" })
                    }
                    th scope="row" { (check.what) }
                    td class="n" { (check.expected) }
                    td class="n" { (check.found) }
                } } }
            } }
        }
    }
}
