//! Finding customers among many: by name, in spite of typing errors, by a filter, and those who may be the same as one.
//!
//! The customers come through the API, one registration each, so that the read model is the one that the service makes of its log.

mod names;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use contracts::customers::v1::{
    AssignTeamRequest, ChangeLifecycleStageRequest, LifecycleStage, ListCustomersRequest,
    ListDuplicateCandidatesRequest, NameMatch, SearchCustomersRequest,
    search_customers_request::Query,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::{Connection as _, PgConnection};
use tokio::time::Instant;

use super::commands::settled;
use super::load::{Measured, closed};
use super::report::{Line, Report, ms};
use super::stage::{Load, Stage};
use crate::demo::service::Service;
use crate::demo::stack::Stack;

/// Registrations under way at once.
const REGISTERING: usize = 128;
/// Searches under way at once.
const SEARCHING: usize = 4;
/// Of so many customers one is lost, and another has a team.
const MARKED_EVERY: u64 = 100;
const TEAMS: u64 = 50;
const PAGE: i32 = 50;

/// `search`.
pub(super) fn measure(stage: &Stage<'_>, report: &mut Report) -> anyhow::Result<()> {
    let customers = stage.options.search_customers;
    let mut stack = stage.block_on(stage.start(&[Service::Customers]))?;
    let load = stage.block_on(async { Load::new(&stack) })?;
    let start = Instant::now();
    stage.block_on(register(&load, customers))?;
    let registered = start.elapsed();
    stage.block_on(settled(&load, &[Service::Customers]))?;
    let shown = start.elapsed();
    stage.block_on(rest(&stack))?;
    let rate = |elapsed: Duration| customers as f64 / elapsed.as_secs_f64();
    report.add(Line::new("search: customers", customers as f64, ""));
    report.add(Line::new("search: registered", rate(registered), "/s"));
    report.add(Line::new(
        "search: shown by the read model",
        rate(shown),
        "/s",
    ));
    for (name, question) in [
        ("search prefix", Question::Prefix),
        ("search fuzzy", Question::Fuzzy),
        ("search filter", Question::Filter),
        ("search duplicates", Question::Duplicates),
    ] {
        let measured = stage.block_on(ask(&load, question, customers, stage.seconds()))?;
        let p99 = ms(&measured.latencies, 0.99);
        report.add(Line::rate(name, &measured));
        report.add(Line::new(format!("{name} p99"), p99, "ms").with_goal(p99 <= 50.0, "<= 50 ms"));
    }
    stack.all_run()
}

async fn register(load: &Load, customers: u64) -> anyhow::Result<()> {
    stream::iter(0..customers)
        .map(|n| {
            let mut client = load.customers(usize::try_from(n).unwrap_or_default());
            async move {
                let request = names::registration(n);
                client
                    .register_customer(request)
                    .await
                    .context("RegisterCustomer")?;
                match n % MARKED_EVERY {
                    0 => {
                        let lost = ChangeLifecycleStageRequest {
                            customer_id: names::id(n).to_string(),
                            stage: LifecycleStage::Lost.into(),
                            reason: "price".to_owned(),
                            ..ChangeLifecycleStageRequest::default()
                        };
                        let changed = client.change_lifecycle_stage(lost).await;
                        changed.context("ChangeLifecycleStage").map(drop)
                    }
                    1 => {
                        let team = AssignTeamRequest {
                            customer_id: names::id(n).to_string(),
                            team: team(n / MARKED_EVERY),
                            ..AssignTeamRequest::default()
                        };
                        client
                            .assign_team(team)
                            .await
                            .context("AssignTeam")
                            .map(drop)
                    }
                    _ => Ok(()),
                }
            }
        })
        .buffer_unordered(REGISTERING)
        .try_collect()
        .await
}

fn team(n: u64) -> String {
    format!("team-{}", n % TEAMS)
}

/// Leaves nothing behind that the server would do during a measurement.
async fn rest(stack: &Stack) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(stack.databases.of(Service::Customers))
        .await
        .context("connecting to the read model")?;
    for statement in ["vacuum analyze", "checkpoint"] {
        sqlx::raw_sql(statement).execute(&mut connection).await?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Question {
    Prefix,
    Fuzzy,
    Filter,
    Duplicates,
}

async fn ask(
    load: &Load,
    question: Question,
    customers: u64,
    seconds: u64,
) -> anyhow::Result<Measured> {
    let load = Arc::new(load.clone());
    closed(SEARCHING, Duration::from_secs(seconds), move |worker, n| {
        let load = Arc::clone(&load);
        async move {
            let mut client = load.customers(worker);
            let n = names::drawn(n, 9);
            let customer = n % customers;
            let found = match question {
                Question::Prefix => {
                    let request = by_name(names::beginning_of(customer), NameMatch::Prefix);
                    client
                        .search_customers(request)
                        .await?
                        .into_inner()
                        .results
                        .len()
                }
                Question::Fuzzy => {
                    let request = by_name(names::misspelt(customer), NameMatch::Fuzzy);
                    client
                        .search_customers(request)
                        .await?
                        .into_inner()
                        .results
                        .len()
                }
                Question::Filter => {
                    // Not every filter takes somebody.
                    client.list_customers(filtered(n)).await?;
                    1
                }
                Question::Duplicates => {
                    let request = ListDuplicateCandidatesRequest {
                        customer_id: names::id(customer).to_string(),
                        page_size: PAGE,
                        ..ListDuplicateCandidatesRequest::default()
                    };
                    // Many customers are like nobody else.
                    client.list_duplicate_candidates(request).await?;
                    1
                }
            };
            ensure!(found > 0, "{question:?} {n} found nobody");
            Ok(())
        }
    })
    .await
}

fn by_name(name: String, name_match: NameMatch) -> SearchCustomersRequest {
    SearchCustomersRequest {
        query: Some(Query::Name(name)),
        name_match: name_match.into(),
        page_size: PAGE,
        ..SearchCustomersRequest::default()
    }
}

/// Filters that take many and few, and a page from somewhere within.
fn filtered(n: u64) -> ListCustomersRequest {
    let since = names::registered(n).to_string();
    let filter = match n % 6 {
        0 => format!("team = {}", team(n / 7)),
        1 => "lifecycle.stage = LIFECYCLE_STAGE_LOST".to_owned(),
        2 => format!("profile.country_code = DE AND registered_time >= \"{since}\""),
        3 => format!("kind = CUSTOMER_KIND_PERSON AND registered_time >= \"{since}\""),
        4 => format!(
            "lifecycle.stage != LIFECYCLE_STAGE_PROSPECT AND (team = {} OR profile.country_code = TR)",
            team(n / 7)
        ),
        _ => "team:* AND NOT profile.country_code = TR".to_owned(),
    };
    ListCustomersRequest {
        filter,
        page_size: PAGE,
        ..ListCustomersRequest::default()
    }
}
