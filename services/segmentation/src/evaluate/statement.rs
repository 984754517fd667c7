//! Runs the statements that rules are compiled to. The same statement answers for a few customers, for all of them, and as of any moment.

use std::collections::BTreeMap;

use aggregate::{CustomerId, TenantId};
use sqlx::{
    AssertSqlSafe, PgConnection, PgPool, Postgres, Row as _,
    postgres::{PgArguments, types::PgInterval},
    query::Query,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::compiled;
use crate::{
    domain::rule::{Bind, ExplainedNode, Rule, Statement, compile, compile_explain},
    read_model::segments::count,
};

/// What rules say of a customer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// In the order of the rules.
    pub(crate) matches: Vec<bool>,
    /// When an answer may change though nothing is recorded.
    pub(crate) next_due: Option<OffsetDateTime>,
}

/// What the rules say of each of these customers, as of `now`. Customers without a profile are left out.
pub(crate) async fn answers(
    connection: &mut PgConnection,
    tenant: &TenantId,
    now: OffsetDateTime,
    customers: &[CustomerId],
    rules: &[&Rule],
) -> Result<BTreeMap<CustomerId, Answer>, sqlx::Error> {
    let ids: Vec<Uuid> = customers.iter().map(|customer| customer.0).collect();
    let mut answers: BTreeMap<CustomerId, Answer> = BTreeMap::new();
    for statement in compiled::statements(rules).iter() {
        let rows = query(
            &statement.sql,
            tenant,
            now,
            Some(ids.clone()),
            &statement.binds,
        )
        .fetch_all(&mut *connection)
        .await?;
        for row in rows {
            let matches: Vec<bool> = row.try_get("matches")?;
            let next_due: Option<OffsetDateTime> = row.try_get("next_due")?;
            let answer = answers
                .entry(CustomerId(row.try_get("customer_id")?))
                .or_insert(Answer {
                    matches: Vec::new(),
                    next_due: None,
                });
            answer.matches.extend(matches);
            answer.next_due = match (answer.next_due, next_due) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
    Ok(answers)
}

fn one(rule: &Rule) -> Statement {
    compile(&[rule]).expect("a single rule fits into a statement")
}

/// What a rule would select.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selection {
    pub(crate) members: u32,
    pub(crate) customers: u32,
    pub(crate) sample: Vec<CustomerId>,
}

/// Whom a rule selects as of `now`: how many of how many, and the first few by id.
pub(crate) async fn select(
    pool: &PgPool,
    tenant: &TenantId,
    now: OffsetDateTime,
    rule: &Rule,
    sample_size: u32,
) -> Result<Selection, sqlx::Error> {
    let statement = one(rule);
    let size = format!("${}", 4 + statement.binds.len());
    let sql = format!(
        "with answer as (select customer_id, matches[1] as selected from ({}) s)
         select count(*) filter (where selected) as members, count(*) as customers,
            array(select customer_id from answer where selected order by customer_id limit {size}::bigint) as sample
         from answer",
        statement.sql
    );
    let row = query(&sql, tenant, now, None, &statement.binds)
        .bind(i64::from(sample_size))
        .fetch_one(pool)
        .await?;
    let sample: Vec<Uuid> = row.try_get("sample")?;
    Ok(Selection {
        members: count(row.try_get("members")?),
        customers: count(row.try_get("customers")?),
        sample: sample.into_iter().map(CustomerId).collect(),
    })
}

/// The next `limit` customers whom a rule selects as of `now`, in the order of their ids.
pub(crate) async fn selected(
    pool: &PgPool,
    tenant: &TenantId,
    now: OffsetDateTime,
    rule: &Rule,
    after: Option<CustomerId>,
    limit: u32,
) -> Result<Vec<CustomerId>, sqlx::Error> {
    let statement = one(rule);
    let next = 4 + statement.binds.len();
    let (after_place, limit_place) = (next, next + 1);
    let sql = format!(
        "select customer_id from ({}) s
         where matches[1] and (${after_place}::uuid is null or customer_id > ${after_place})
         order by customer_id limit ${limit_place}::bigint",
        statement.sql
    );
    let rows = query(&sql, tenant, now, None, &statement.binds)
        .bind(after.map(|customer| customer.0))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    rows.iter()
        .map(|row| Ok(CustomerId(row.try_get("customer_id")?)))
        .collect()
}

/// A rule node by node, outermost first, with the values that it has for a customer as of `now`; `None` for a customer without a profile.
pub(crate) async fn explain(
    pool: &PgPool,
    tenant: &TenantId,
    now: OffsetDateTime,
    rule: &Rule,
    customer: CustomerId,
) -> Result<Option<Vec<(ExplainedNode, Option<String>)>>, sqlx::Error> {
    let explanation = compile_explain(rule);
    let statement = explanation.statement;
    let row = query(
        &statement.sql,
        tenant,
        now,
        Some(vec![customer.0]),
        &statement.binds,
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let values: Vec<Option<String>> = row.try_get("node_values")?;
    Ok(Some(explanation.nodes.into_iter().zip(values).collect()))
}

/// The compiler puts nothing of a rule's text into the statement, only parameters.
fn query<'q>(
    sql: &str,
    tenant: &TenantId,
    now: OffsetDateTime,
    customers: Option<Vec<Uuid>>,
    binds: &[Bind],
) -> Query<'q, Postgres, PgArguments> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .bind(tenant.as_str().to_owned())
        .bind(now)
        .bind(customers);
    binds.iter().fold(query, |query, bind| match bind {
        Bind::Text(text) => query.bind(text.clone()),
        Bind::Int(int) => query.bind(*int),
        Bind::Float(float) => query.bind(*float),
        Bind::Timestamp(moment) => query.bind(*moment),
        Bind::IntervalMicros(microseconds) => query.bind(PgInterval {
            months: 0,
            days: 0,
            microseconds: *microseconds,
        }),
    })
}
