//! The report on the terminal: short, and the same as the page tells.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::checks::Check;
use super::evaluate::{CALIBRATION_END, HOLDOUT_END};
use super::service::Service;
use super::stack::{self, Stack};
use super::story::{self, CustomerRow};
use super::{Files, Findings, chart, format};
use crate::servers::Servers;

/// Customers of each list that are printed; the page has more.
const PRINTED: usize = 5;
/// A line below the header, and nothing else.
pub(crate) const PLAIN: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─'));

pub(crate) fn print(findings: &Findings, checks: &[Check], files: &Files) {
    let report = &findings.report;
    let imported = &report.imported;
    println!();
    println!(
        "{} customers, {} purchases on {} customer-days, {} in all; learnt up to {}, judged until {}.",
        format::count(imported.customers),
        format::count(imported.purchases),
        format::count(imported.customer_days),
        format::dollars(imported.revenue_minor),
        CALIBRATION_END.date(),
        HOLDOUT_END.date(),
    );
    section("Who the best are", &customers(&story::best(findings)));
    section("Who slips away", &customers(&story::slipping(findings)));
    section("How well the prediction held", &groups(findings));
    println!("{}", story::prediction(findings));
    section("Value by tier", &tiers(findings));
    println!(
        "\nA campaign to win back \"{}\" ({} members), looking back",
        report.segment.name,
        format::count(report.segment.members as u64)
    );
    println!("{}", story::decisions(findings));
    println!("{}", story::outcome(&report.campaign.outcome));
    section("Events in logs and streams", &streams(findings));
    println!("{}", story::second_import(findings));
    println!(
        "\n{:.1} s in all: {:.1} s to start, {:.1} s to import, {:.1} s to evaluate.",
        report.seconds.total, report.seconds.setup, report.seconds.import, report.seconds.evaluate
    );
    let failed: Vec<&Check> = checks.iter().filter(|check| !check.holds()).collect();
    println!(
        "{} of {} checks hold.",
        checks.len() - failed.len(),
        checks.len()
    );
    for check in failed {
        println!(
            "  FAILS: {}: expected {}, found {}",
            check.what, check.expected, check.found
        );
    }
    println!("{}\n{}", files.html.display(), files.json.display());
}

fn section(title: &str, table: &Table) {
    println!("\n{title}\n{table}");
}

fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Table {
    let mut table = Table::new();
    table.load_style(PLAIN).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn customers(rows: &[CustomerRow]) -> Table {
    table(
        [
            "customer",
            "days",
            "spent",
            "last bought",
            "alive",
            "expected",
            "value",
            "bought since",
        ],
        rows.iter().take(PRINTED).map(|row| {
            [
                &row.id,
                &row.purchase_days,
                &row.spent,
                &row.last_purchase,
                &row.p_alive,
                &row.expected_purchases,
                &row.expected_value,
                &row.bought_since,
            ]
            .map(Clone::clone)
        }),
    )
}

fn groups(findings: &Findings) -> Table {
    table(
        [
            "earlier repeats",
            "customers",
            "followed",
            "BG/NBD",
            "MBG/NBD",
            "Pareto/NBD",
        ],
        findings.valuation.validation.groups.iter().map(|group| {
            [
                chart::group_name(group),
                format::count(group.customers),
                format::count(group.actual),
                format!("{:.1}", group.predicted_bg_nbd),
                format!("{:.1}", group.predicted_mbg_nbd),
                format!("{:.1}", group.predicted_pareto_nbd),
            ]
        }),
    )
}

fn tiers(findings: &Findings) -> Table {
    table(
        ["tier", "customers", "expected value", "share of value"],
        findings.valuation.tiers.iter().map(|tier| {
            [
                story::tier_title(tier.tier()).to_owned(),
                format::count(tier.customers),
                format::dollars(tier.expected_value_minor),
                format::percent(tier.share_of_value),
            ]
        }),
    )
}

fn streams(findings: &Findings) -> Table {
    table(
        ["service", "PostgreSQL", "JetStream", "order"],
        findings.compared.iter().map(|(service, compared)| {
            [
                service.name().to_owned(),
                format::count(compared.counts.postgres),
                format::count(compared.counts.jetstream),
                compared
                    .difference
                    .clone()
                    .unwrap_or_else(|| "the same".to_owned()),
            ]
        }),
    )
}

/// For `--keep`: how to look around.
pub(crate) fn print_addresses(servers: &Servers, stack: &Stack) {
    println!("\nEverything keeps running:\n");
    for (service, id) in stack.process_ids() {
        println!(
            "  {:17} http://{} (process {id})",
            service.name(),
            stack.addresses.of(service)
        );
    }
    println!("  {:17} {}", "NATS", servers.nats.url());
    for (service, url) in stack.databases.iter() {
        println!("  {:17} {url}", format!("{} log", service.name()));
    }
    println!("  {:17} {}", "log lines", stack::logs().display());
    println!("\nexport TOKEN={}\n", stack.token);
    println!("grpcurl -plaintext -H \"authorization: Bearer $TOKEN\" \\");
    println!("  -d '{{\"order\": \"VALUE_ORDER_EXPECTED_VALUE\", \"page_size\": 3}}' \\");
    println!(
        "  {} {}/ListCustomerValues",
        stack.addresses.segmentation,
        Service::Segmentation.api()
    );
    println!("\nAll of it, and its data, goes with Ctrl-C.");
}
