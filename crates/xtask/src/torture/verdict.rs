//! Whether all of it agrees in the end: ledger, logs, streams, and what was made of them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use contracts::segmentation::v1::{ListSegmentMembersRequest, PreviewSegmentRequest};
use sqlx::{Connection, PgConnection};
use tokio::time::{Instant, sleep};

use super::faults::Ground;
use super::ledger::{Ledger, Logged};
use super::requests::RULE;
use crate::demo::client::Clients;
use crate::demo::import;
use crate::demo::logs::Logs;
use crate::demo::service::Service;
use crate::demo::streams;

const POLL: Duration = Duration::from_millis(200);
const PAGE: i32 = 1000;

/// Where what one service keeps of events must be as many rows as a log has events: the keeper, its table with a condition, the
/// log, and the types.
const COPIES: [(Service, &str, Service, &[&str]); 7] = [
    (
        Service::Customers,
        "customer_list",
        Service::Customers,
        &["CustomerRegistered"],
    ),
    (
        Service::Interactions,
        "known_customer",
        Service::Customers,
        &["CustomerRegistered"],
    ),
    (
        Service::Interactions,
        "timeline",
        Service::Interactions,
        &["PurchaseRecorded", "ReturnRecorded", "TouchpointRecorded"],
    ),
    (
        Service::Segmentation,
        "customer_fact",
        Service::Customers,
        &["CustomerRegistered"],
    ),
    (
        Service::Segmentation,
        "purchase_fact",
        Service::Interactions,
        &["PurchaseRecorded", "ReturnRecorded"],
    ),
    (
        Service::Segmentation,
        "touchpoint_fact",
        Service::Interactions,
        &["TouchpointRecorded"],
    ),
    (
        Service::Campaigns,
        "purchase",
        Service::Interactions,
        &["PurchaseRecorded", "ReturnRecorded"],
    ),
];

/// Waits until everyone has read everything and every stream is as long as its log.
pub(crate) async fn wait_until_read(ground: &Ground, limit: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    Logs::new(ground.stack.databases.clone())
        .wait_until_read(limit)
        .await?;
    let clients = Clients::new(&ground.stack)?;
    loop {
        let (compared, _) = streams::compare(&ground.servers, &ground.stack, &clients).await?;
        let behind: Vec<&str> = compared
            .iter()
            .filter(|(_, one)| one.counts.jetstream < one.counts.postgres)
            .map(|(service, _)| service.name())
            .collect();
        if behind.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "after {limit:?} these streams are shorter than their logs: {behind:?}"
        );
        sleep(POLL).await;
    }
}

/// Everything that does not agree.
pub(crate) async fn findings(ground: &Ground, ledger: &Ledger) -> anyhow::Result<Vec<String>> {
    let logged = Logged::read(&ground.stack.databases).await?;
    let mut findings = ledger.check(&logged);
    findings.extend(ground.died.iter().cloned());
    findings.extend(check_streams(ground).await?);
    findings.extend(read_models(ground).await?);
    let (healthy, said) = ground.stack.doctor()?;
    if !healthy {
        let wrong = said.lines().filter(|line| !line.ends_with(" ok"));
        findings.extend(wrong.map(|line| format!("vefa doctor: {line}")));
    }
    Ok(findings)
}

async fn check_streams(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let clients = Clients::new(&ground.stack)?;
    let (compared, _) = streams::compare(&ground.servers, &ground.stack, &clients).await?;
    let mut findings = Vec::new();
    for (service, one) in compared.iter() {
        let name = service.name();
        let counts = one.counts;
        if counts.jetstream != counts.postgres {
            findings.push(format!(
                "the stream of {name} is no copy of its log: {counts:?}"
            ));
        }
        findings.extend(one.difference.clone());
    }
    Ok(findings)
}

/// What read models and followers have made of the logs that is not what these hold.
pub(crate) async fn read_models(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let mut findings = check_copies(ground).await?;
    findings.extend(check_list(ground).await?);
    Ok(findings)
}

async fn check_copies(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for (keeper, table, log, types) in COPIES {
        let patterns: Vec<String> = types.iter().map(|type_| format!("%.{type_}")).collect();
        let mut database = PgConnection::connect(ground.stack.databases.of(log)).await?;
        let events: i64 = sqlx::query_scalar("select count(*) from event where type like any ($1)")
            .bind(&patterns)
            .fetch_one(&mut database)
            .await
            .context("counting events")?;
        let mut database = PgConnection::connect(ground.stack.databases.of(keeper)).await?;
        // Names of tables cannot be bound as parameters; these are constants.
        let count = format!("select count(*) from {table}");
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .fetch_one(&mut database)
            .await
            .with_context(|| format!("counting the rows of {table}"))?;
        if rows != events {
            let (keeper, log) = (keeper.name(), log.name());
            findings.push(format!(
                "{keeper} keeps {rows} rows in {table}, of {events} events of {log}"
            ));
        }
    }
    Ok(findings)
}

/// What the list of customers shows.
async fn check_list(ground: &Ground) -> anyhow::Result<Vec<String>> {
    let clients = Clients::new(&ground.stack)?;
    let mut database = PgConnection::connect(&ground.stack.databases.customers).await?;
    let registered: i64 =
        sqlx::query_scalar("select count(*) from event where type like '%.CustomerRegistered'")
            .fetch_one(&mut database)
            .await?;
    let listed = import::count_customers(&clients).await?;
    let differs = u64::try_from(registered) != Ok(listed);
    let finding = || format!("{listed} customers are listed, of {registered} that registered");
    Ok(differs.then(finding).into_iter().collect())
}

/// The members of a segment are those who fulfil its rule by the facts.
pub(crate) async fn check_segment(
    clients: &mut Clients,
    segment_id: String,
) -> anyhow::Result<Option<String>> {
    let token = clients.facts_token().await?;
    let preview = PreviewSegmentRequest {
        rule: RULE.to_owned(),
        consistency_token: token.clone(),
        ..PreviewSegmentRequest::default()
    };
    let preview = clients.segmentation.preview_segment(preview).await?;
    let expected = preview.into_inner().members as usize;
    let mut members = BTreeSet::new();
    let mut page_token = String::new();
    loop {
        let request = ListSegmentMembersRequest {
            segment_id: segment_id.clone(),
            page_size: PAGE,
            page_token,
            consistency_token: token.clone(),
            ..ListSegmentMembersRequest::default()
        };
        let page = clients.segmentation.list_segment_members(request).await?;
        let page = page.into_inner();
        members.extend(page.members.into_iter().map(|member| member.customer_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let count = members.len();
    Ok((count != expected)
        .then(|| format!("{count} are in the segment, and {expected} fulfil its rule")))
}
