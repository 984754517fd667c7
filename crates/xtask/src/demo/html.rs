//! `report.html`: one page that needs nothing else, not even a script.

mod sections;

use maud::{Markup, html};
use time::OffsetDateTime;

use super::checks::Check;
use super::evaluate::{CALIBRATION_END, HOLDOUT_END};
use super::{Findings, format};
use crate::page;

const STYLE: &str = include_str!("report.css");

/// The whole page.
pub(crate) fn page(findings: &Findings, checks: &[Check]) -> String {
    let body = html! {
        (head(findings, checks))
        main {
            (sections::best_and_slipping(findings))
            (sections::prediction(findings))
            (sections::tiers(findings))
            (sections::campaign(findings))
            (sections::models(&findings.report))
            (sections::streams(findings))
            (sections::checked(checks))
        }
        footer { p {
            "Data: the CDNOW 1/10 sample of Fader, Hardie and Lee (2005), described in "
            code { "data/README.md" } ". Every figure was read back from the services over gRPC, "
            "or from their logs and streams. Made by " code { "cargo xtask demo" } "."
        } }
    };
    page::page("Vefa: the CDNOW history", STYLE, None, &body)
}

fn head(findings: &Findings, checks: &[Check]) -> Markup {
    let report = &findings.report;
    let imported = &report.imported;
    let holdout = &report.holdout;
    let failed = checks.iter().filter(|check| !check.holds()).count();
    html! {
        header {
            p class="over" { "Vefa demo" }
            h1 { "Eighteen months of real purchases, valued" }
            p class="lead" {
                "The history of " (format::count(imported.customers)) " customers went through four services. "
                "Models learnt from it up to " (day(CALIBRATION_END)) ", and were judged by what customers did until "
                (day(HOLDOUT_END)) "."
            }
            dl class="cards" {
                (card("Customers", &format::count(imported.customers),
                    &format!("{} consent to e\u{2011}mail", format::count(findings.first.consents as u64))))
                (card("Purchases", &format::count(imported.purchases),
                    &format!("on {} customer-days", format::count(imported.customer_days))))
                (card("Revenue", &format::dollars(imported.revenue_minor), "to the cent"))
                (card("Predicted", &format::count(holdout.predicted.round() as i128),
                    &format!("{} followed: {}", format::count(holdout.actual),
                        format::deviation(holdout.predicted, holdout.actual.into()))))
                (card("Checks", &format!("{} of {}", checks.len() - failed, checks.len()),
                    if failed == 0 { "all hold" } else { "NOT all hold" }))
            }
            p class="seconds" {
                (format!("{:.1} s in all: {:.1} s to start, {:.1} s to import, {:.1} s to evaluate; ",
                    report.seconds.total, report.seconds.setup, report.seconds.import, report.seconds.evaluate))
                "the rest for a second import and for comparing streams."
            }
        }
    }
}

/// A day that is not broken over two lines.
fn day(moment: OffsetDateTime) -> Markup {
    html! { time { (moment.date()) } }
}

fn card(name: &str, value: &str, note: &str) -> Markup {
    html! {
        div class="card" {
            dt { (name) }
            dd class="value" { (value) }
            dd class="note" { (note) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{checks, sample};
    use super::*;

    #[test]
    fn the_page_needs_nothing_else_and_has_its_charts() {
        let findings = sample::findings();
        let page = page(&findings, &checks::all(&findings));
        for outside in [
            "http:", "https:", "src=", "href=", "<script", "@import", "url(",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        for chart in ["prediction-title", "tiers-title", "interval-title"] {
            assert!(page.contains(&format!("id=\"{chart}\"")), "{chart}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    }

    #[test]
    fn what_comes_from_outside_is_text_and_not_markup() {
        let mut findings = sample::findings();
        findings.report.segment.rule = "a < 1 && b > \"<b>\"".to_owned();
        let page = page(&findings, &[]);
        assert!(page.contains("a &lt; 1 &amp;&amp; b &gt; &quot;&lt;b&gt;&quot;"));
    }

    #[test]
    fn a_check_that_fails_is_told_in_words() {
        let findings = sample::findings();
        let check = Check {
            what: "customers".to_owned(),
            expected: "1".to_owned(),
            found: "2".to_owned(),
        };
        let page = page(&findings, &[check]);
        assert!(page.contains("FAILS") && page.contains("NOT all hold"));
    }
}
