//! The names of metrics in all places that have them: what services show, rules, dashboard, documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::prometheus::Programs;
use crate::workspace;

const README: &str = "deploy/README.md";
const RULES: &str = "deploy/prometheus/rules.yml";
const DASHBOARD: &str = "deploy/grafana/dashboards/vefa.json";
/// How all our metrics begin.
const PREFIXES: [&str; 3] = ["vefa_", "rpc_server_", "db_client_connection_"];

#[derive(Debug, Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: Annotations,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Annotations {
    summary: String,
    description: String,
    runbook: String,
}

/// Every name that rules and dashboard use is one that these services show; the documentation has just those that they show.
pub(super) fn agree(texts: &[&str]) -> anyhow::Result<()> {
    let shown: BTreeSet<String> = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(str::to_owned)
        .collect();
    for file in [RULES, DASHBOARD] {
        let expressions = match file {
            RULES => alerts()?.into_iter().map(|rule| rule.expr).collect(),
            _ => expressions_of_dashboard()?,
        };
        for expression in expressions {
            let used = used(&expression);
            let known = used.is_subset(&shown) && !used.is_empty();
            ensure!(
                known || expression.starts_with("ALERTS{"),
                "{file} uses {used:?} in {expression:?}, and services show {shown:?}"
            );
        }
    }
    let documented: BTreeSet<String> = rows()?
        .into_iter()
        .map(|row| row[0].clone())
        .filter(|name| begins_as_ours(name))
        .collect();
    ensure!(
        documented == shown,
        "{README} has {documented:?}, and services show {shown:?}"
    );
    Ok(())
}

#[test]
fn every_alert_has_a_row_that_says_what_its_runbook_says() -> anyhow::Result<()> {
    let rows = rows()?;
    let alerts = alerts()?;
    ensure!(!alerts.is_empty(), "no alerts");
    for Rule {
        alert,
        labels,
        annotations,
        ..
    } in &alerts
    {
        let row = rows.iter().find(|row| row[0] == *alert);
        let row = row.with_context(|| format!("{README} has no row for {alert}"))?;
        assert_eq!(row.last(), Some(&annotations.runbook), "{alert}");
        let severity = labels.get("severity").map(String::as_str);
        assert!(matches!(severity, Some("critical" | "warning")), "{alert}");
        for text in [&annotations.summary, &annotations.description] {
            assert!(text.len() > 20, "{alert}: {text:?} says little");
        }
    }
    let described = rows.iter().filter(|row| row[0].starts_with("Vefa")).count();
    assert_eq!(
        described,
        alerts.len(),
        "an alert that is no more has a row"
    );
    Ok(())
}

#[test]
fn promtool_finds_that_each_alert_fires_when_it_should_and_only_then() -> anyhow::Result<()> {
    let dir = workspace::root().join("deploy/prometheus");
    Programs::find_or_obtain()?.check_rules(&dir)?;
    let tests = fs::read_to_string(dir.join("rules.test.yml"))?;
    for Rule { alert, .. } in alerts()? {
        let fires = format!("alertname=\"{alert}\", alertstate=\"firing\", severity=");
        ensure!(tests.contains(&fires), "no test has {alert} fire");
    }
    Ok(())
}

fn alerts() -> anyhow::Result<Vec<Rule>> {
    let text = read(RULES)?;
    let rules: Rules = serde_saphyr::from_str(&text).context(RULES)?;
    Ok(rules
        .groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect())
}

fn expressions_of_dashboard() -> anyhow::Result<Vec<String>> {
    let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)?)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array());
    let expressions = targets.flatten().map(|target| {
        let expression = target["expr"].as_str().context("no expression")?;
        Ok(expression.to_owned())
    });
    expressions.collect()
}

/// The tables of the documentation: the cells of each row, the first one without its backticks.
fn rows() -> anyhow::Result<Vec<Vec<String>>> {
    let text = read(README)?;
    let rows = text.lines().filter_map(|line| {
        let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let mut cells: Vec<String> = inner.split(" | ").map(str::to_owned).collect();
        cells[0] = cells[0].trim_matches('`').to_owned();
        Some(cells)
    });
    Ok(rows.collect())
}

fn read(file: &str) -> anyhow::Result<String> {
    fs::read_to_string(workspace::root().join(file)).context(file.to_owned())
}

fn begins_as_ours(name: &str) -> bool {
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The metrics that an expression uses, without what a histogram adds to its name. What stands in braces are labels.
fn used(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let (mut word, mut in_braces) = (String::new(), false);
    for character in expression.chars().chain([' ']) {
        if character.is_ascii_alphanumeric() || character == '_' {
            word.push(character);
            continue;
        }
        let complete = std::mem::take(&mut word);
        if !in_braces && begins_as_ours(&complete) {
            let base = ["_bucket", "_sum", "_count"]
                .into_iter()
                .find_map(|suffix| {
                    let base = complete.strip_suffix(suffix)?;
                    (base != "db_client_connection").then_some(base)
                });
            names.insert(base.unwrap_or(&complete).to_owned());
        }
        match character {
            '{' => in_braces = true,
            '}' => in_braces = false,
            _ => {}
        }
    }
    names
}

#[test]
fn names_are_found_in_expressions() {
    let expression = r#"sum by (le) (rate(rpc_server_x_seconds_bucket{rpc_server_label="vefa_no"}[5m])) / vefa_a_total > max(db_client_connection_count)"#;
    let expected = [
        "db_client_connection_count",
        "rpc_server_x_seconds",
        "vefa_a_total",
    ];
    assert_eq!(used(expression), expected.map(str::to_owned).into());
}
