//! Segment rules against PostgreSQL: the compiled statement must say what a plain reading of the rule says, and
//! must say in time when that will change.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot reach its database or parse its own rules has failed"
)]

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use segmentation::domain::rule::{
    Bind, Rule, Statement, compile, compile_explain, compile_for_given,
};
use sqlx::postgres::types::PgInterval;
use sqlx::{AssertSqlSafe, PgPool, Row};
use testing::TestDatabase;
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

mod facts;
#[path = "../../src/domain/rule/tests/generate.rs"]
mod generate;
mod mergers;
mod readings;

use facts::{Customer, Sort, TENANT};
use readings::READINGS;

const NOW: OffsetDateTime = datetime!(2026-06-01 12:00 UTC);

#[derive(Debug, Clone, PartialEq)]
struct Answer {
    customer: Uuid,
    matches: Vec<bool>,
    next_due: Option<OffsetDateTime>,
}

async fn database() -> PgPool {
    let database = TestDatabase::create("rules").await.unwrap();
    let pool = PgPool::connect(database.url()).await.unwrap();
    facts::create_tables(&pool).await;
    pool
}

fn parse(source: &str) -> Rule {
    Rule::parse(source).unwrap_or_else(|error| panic!("{error}"))
}

async fn rows(
    pool: &PgPool,
    statement: &Statement,
    now: OffsetDateTime,
    customers: Option<&[Uuid]>,
) -> Vec<sqlx::postgres::PgRow> {
    let mut query = sqlx::query(AssertSqlSafe(statement.sql.clone()))
        .bind(TENANT)
        .bind(now)
        .bind(customers.map(<[Uuid]>::to_vec));
    for bind in &statement.binds {
        query = match bind {
            Bind::Text(value) => query.bind(value.clone()),
            Bind::Int(value) => query.bind(*value),
            Bind::Float(value) => query.bind(*value),
            Bind::Timestamp(value) => query.bind(*value),
            Bind::IntervalMicros(value) => query.bind(PgInterval {
                months: 0,
                days: 0,
                microseconds: *value,
            }),
        };
    }
    query
        .fetch_all(pool)
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", statement.sql))
}

/// The answers for some customers or all, by customer. What is compiled for given customers alone must say the same of them.
async fn answers(
    pool: &PgPool,
    rules: &[Rule],
    now: OffsetDateTime,
    customers: Option<&[Uuid]>,
) -> Vec<Answer> {
    let all: Vec<&Rule> = rules.iter().collect();
    let answers = answers_of(pool, &compile(&all).unwrap(), now, customers).await;
    let given: Vec<Uuid> = match customers {
        Some(customers) => customers.to_vec(),
        None => answers.iter().map(|answer| answer.customer).collect(),
    };
    let of_given = compile_for_given(&all).unwrap();
    assert_eq!(
        answers_of(pool, &of_given, now, Some(&given)).await,
        answers
    );
    answers
}

async fn answers_of(
    pool: &PgPool,
    statement: &Statement,
    now: OffsetDateTime,
    customers: Option<&[Uuid]>,
) -> Vec<Answer> {
    let mut answers: Vec<Answer> = rows(pool, statement, now, customers)
        .await
        .into_iter()
        .map(|row| Answer {
            customer: row.get("customer_id"),
            matches: row.get("matches"),
            next_due: row.get("next_due"),
        })
        .collect();
    answers.sort_by_key(|answer| answer.customer);
    answers
}

async fn values(
    pool: &PgPool,
    rule: &str,
    customer: Uuid,
    now: OffsetDateTime,
) -> Vec<(String, Option<String>)> {
    let explanation = compile_explain(&parse(rule));
    let found = rows(pool, &explanation.statement, now, Some(&[customer])).await;
    assert_eq!(found.len(), 1);
    let values: Vec<Option<String>> = found[0].get("node_values");
    let sources = explanation.nodes.into_iter().map(|node| node.source);
    sources.zip(values).collect()
}

/// A population of the given size, kept in the database too. The seed makes a failure repeatable.
async fn population(pool: &PgPool, size: usize, seed: u8) -> Vec<Customer> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = prop::collection::vec(facts::customers(NOW), size);
    let mut customers = strategy.new_tree(&mut runner).unwrap().current();
    customers.sort_by_key(|customer| customer.id);
    for customer in &customers {
        facts::insert(pool, customer).await;
    }
    customers
}

/// Those of a population who go on when some of them were merged into others, with the facts of their groups.
async fn merged(pool: &PgPool, customers: &[Customer], seed: u8) -> Vec<Customer> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = mergers::mergers(customers.len());
    let mergers = strategy.new_tree(&mut runner).unwrap().current();
    mergers.apply(pool, customers).await
}

#[tokio::test]
async fn sql_says_what_a_plain_reading_says() {
    let pool = database().await;
    let customers = population(&pool, 150, 1).await;
    assert_reads(&pool, &customers).await;
}

/// Who was merged is not answered for; the facts of a group are those of whoever goes on.
#[tokio::test]
async fn sql_says_of_a_group_what_a_plain_reading_says() {
    let pool = database().await;
    let everybody = population(&pool, 250, 6).await;
    let customers = merged(&pool, &everybody, 6).await;
    assert_reads(&pool, &customers).await;
    // Asked by name, they are not answered for either, in neither form.
    let rules: Vec<Rule> = READINGS.iter().map(|(source, _)| parse(source)).collect();
    let ids: Vec<Uuid> = everybody.iter().map(|customer| customer.id).collect();
    let all = answers(&pool, &rules, NOW, None).await;
    assert_eq!(answers(&pool, &rules, NOW, Some(&ids)).await, all);
}

async fn assert_reads(pool: &PgPool, customers: &[Customer]) {
    let rules: Vec<Rule> = READINGS.iter().map(|(source, _)| parse(source)).collect();
    for now in [
        NOW,
        NOW - Duration::days(90),
        NOW + Duration::days(3),
        NOW - Duration::days(400),
    ] {
        let answers = answers(pool, &rules, now, None).await;
        assert_eq!(answers.len(), customers.len());
        let mut seen = vec![[false; 2]; rules.len()];
        for (customer, answer) in customers.iter().zip(&answers) {
            assert_eq!(customer.id, answer.customer);
            for (index, (source, reading)) in READINGS.iter().enumerate() {
                let expected = reading(customer, now);
                seen[index][usize::from(expected)] = true;
                assert_eq!(
                    answer.matches[index], expected,
                    "{source}\nat {now} for {customer:#?}"
                );
            }
        }
        if now == NOW {
            for ((source, _), seen) in READINGS.iter().zip(seen) {
                assert_eq!(
                    seen,
                    [true, true],
                    "the population does not try both answers of {source}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_increment_answers_as_the_full_evaluation_does() {
    let pool = database().await;
    let customers = merged(&pool, &population(&pool, 90, 2).await, 2).await;
    let rules: Vec<Rule> = READINGS.iter().map(|(source, _)| parse(source)).collect();
    let all = answers(&pool, &rules, NOW, None).await;
    let some: Vec<Uuid> = customers
        .iter()
        .step_by(7)
        .map(|customer| customer.id)
        .collect();
    let expected: Vec<Answer> = all
        .iter()
        .filter(|answer| some.contains(&answer.customer))
        .cloned()
        .collect();
    assert_eq!(answers(&pool, &rules, NOW, Some(&some)).await, expected);
    assert_eq!(answers(&pool, &rules, NOW, Some(&[])).await, []);
    // Each rule by itself answers as it does among others.
    for (index, rule) in rules.iter().enumerate() {
        let alone = answers(&pool, std::slice::from_ref(rule), NOW, None).await;
        for (alone, among) in alone.iter().zip(&all) {
            assert_eq!(alone.matches[0], among.matches[index], "{}", rule.source());
        }
    }
}

#[tokio::test]
async fn a_fact_exactly_as_old_as_the_window_is_just_out() {
    let pool = database().await;
    let customer = Customer::plain(1).with(Sort::Purchase, NOW - Duration::days(90), 500);
    facts::insert(&pool, &customer).await;
    let rules = [
        "purchases.within(\"90d\").count() == 1",
        "purchases.between(\"91d\", \"90d\").count() == 1",
        "purchases.between(\"90d\", \"1d\").count() == 1",
        "measures.recency_days == 90",
        "measures.recency_days > 90",
    ]
    .map(parse);
    let microsecond = Duration::microseconds(1);
    for (now, expected) in [
        (NOW - microsecond, [true, false, true, false, false]),
        (NOW, [false, true, false, true, false]),
        (NOW + microsecond, [false, true, false, false, true]),
        (NOW + Duration::days(1), [false, false, false, false, true]),
        // Not yet bought.
        (NOW - Duration::days(91), [false; 5]),
        (NOW - Duration::days(90), [true, false, false, false, false]),
    ] {
        let answers = answers(&pool, &rules, now, None).await;
        assert_eq!(answers[0].matches, expected, "at {now}");
    }
}

#[tokio::test]
async fn the_next_due_moment_is_that_of_the_change() {
    let pool = database().await;
    let bought = NOW - Duration::days(10);
    let customer = Customer::plain(1)
        .registered(NOW - Duration::days(5))
        .with(Sort::Purchase, bought, 500)
        .with(Sort::Touchpoint, NOW - Duration::days(2), 0);
    facts::insert(&pool, &customer).await;
    let microsecond = Duration::microseconds(1);
    let in_days = |days: i64| Some(NOW + Duration::days(days));
    for (rule, expected) in [
        ("purchases.within(\"90d\").count() == 0", in_days(80)),
        (
            "purchases.between(\"90d\", \"30d\").count() == 0",
            in_days(20),
        ),
        (
            "purchases.between(\"90d\", \"5d\").count() == 0",
            in_days(80),
        ),
        ("touchpoints.within(\"3d\").count() > 0", in_days(1)),
        (
            "touchpoints.within(\"3d\").count() > 0 || purchases.within(\"11d\").count() > 0",
            in_days(1),
        ),
        ("purchases.within(\"9d\").count() > 0", None),
        (
            "purchases.within(\"90d\").channel(\"none\").count() > 0",
            None,
        ),
        ("returns.within(\"90d\").count() > 0", None),
        ("purchases.count() > 0", None),
        ("measures.recency_days >= 60", in_days(50)),
        ("measures.recency_days < 60", in_days(50)),
        (
            "measures.recency_days > 60",
            in_days(50).map(|due| due + microsecond),
        ),
        (
            "60.0 < measures.recency_days",
            in_days(50).map(|due| due + microsecond),
        ),
        ("measures.recency_days == 60", in_days(50)),
        ("measures.recency_days == 10", Some(NOW + microsecond)),
        (
            "measures.recency_days in [5, 10.5, 11]",
            Some(NOW + Duration::hours(12)),
        ),
        ("measures.recency_days > 5", None),
        ("measures.tenure_days * 2 - 40 >= 0", in_days(10)),
        (
            "-measures.tenure_days / 4 < -5",
            in_days(10).map(|due| due + microsecond),
        ),
        ("measures.recency_days - measures.tenure_days > 0", None),
        ("measures.recency_days >= 1000000", None),
        (
            "customer.registered_at <= now - duration(\"7d\")",
            in_days(2),
        ),
        (
            "now - customer.registered_at > duration(\"6d\")",
            in_days(1).map(|due| due + microsecond),
        ),
        ("now >= timestamp(\"2026-06-02T12:00:00Z\")", in_days(1)),
        (
            "(customer.kind == \"person\" ? measures.recency_days : 3.0) >= 12",
            in_days(2),
        ),
        (
            "has(measures.recency_days) && customer.kind == \"person\"",
            None,
        ),
    ] {
        let answers = answers(&pool, &[parse(rule)], NOW, None).await;
        assert_eq!(answers[0].next_due, expected, "{rule}");
    }
}

/// Steps from one due moment to the next, and sees that nothing changed in between.
#[tokio::test]
async fn nothing_changes_before_it_is_due() {
    let pool = database().await;
    let customers = merged(&pool, &population(&pool, 60, 3).await, 3).await;
    let ids: Vec<Uuid> = customers.iter().map(|customer| customer.id).collect();
    let mut steps = 0;
    for (source, reading) in READINGS {
        let rule = [parse(source)];
        // A valuation that arrives is news, not the passing of time.
        if rule[0].depends_on().valuation {
            continue;
        }
        let start = NOW - Duration::days(60);
        for (customer, first) in customers
            .iter()
            .zip(answers(&pool, &rule, start, Some(&ids)).await)
        {
            let (mut now, mut answer) = (start, first);
            for _ in 0..12 {
                let due = answer.next_due.unwrap_or(now + Duration::days(4000));
                assert!(due > now, "{source}");
                for moment in [
                    now + (due - now) / 3,
                    now + (due - now) / 1.01,
                    due - Duration::microseconds(1),
                ] {
                    let micros = (moment - now).whole_microseconds();
                    let moment = now + Duration::microseconds(i64::try_from(micros).unwrap());
                    assert_eq!(
                        answer.matches[0],
                        reading(customer, moment),
                        "{source}\nturned by {moment}, between {now} and the due {due}, for {customer:#?}"
                    );
                }
                if answer.next_due.is_none() {
                    break;
                }
                steps += 1;
                now = due;
                answer = answers(&pool, &rule, now, Some(&[customer.id]))
                    .await
                    .remove(0);
                assert_eq!(
                    answer.matches[0],
                    reading(customer, now),
                    "{source}\nat the due {now} for {customer:#?}"
                );
            }
        }
    }
    assert!(steps > 500, "only {steps} moments were due");
}

/// One rule that fails would fail all rules in its statement.
#[tokio::test]
async fn no_rule_fails_when_it_runs() {
    let pool = database().await;
    let customers = population(&pool, 15, 4).await;
    let extreme = [
        "9223372036854775807 + 9223372036854775807 > 0",
        "-(-9223372036854775808) > 0",
        "measures.monetary_minor * 9223372036854775807 * 9223372036854775807 > 0",
        "1 / (measures.purchases - measures.purchases) == 1",
        "1.0 / (measures.p_alive - measures.p_alive) == 1.0",
        "1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 * 1e18 > 1",
        "measures.recency_days * 1e18 * 1e18 > 1e-18 / 1e18",
        "timestamp(\"9999-12-31T23:59:59Z\") + (timestamp(\"9999-12-31T23:59:59Z\") - timestamp(\"0001-01-01T00:00:00Z\")) > now",
        "timestamp(\"0001-01-01T00:00:00Z\") - duration(\"36500d\") - duration(\"36500d\") < now",
        "purchases.within(\"36500d\").sum_minor() > 0",
    ];
    for source in extreme {
        let rule = parse(source);
        assert_eq!(
            answers(&pool, &[rule], NOW, None).await.len(),
            customers.len()
        );
        values(&pool, source, customers[0].id, NOW).await;
    }
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    let strategy = generate::rules(3);
    let mut ran = 0;
    while ran < 150 {
        let source = strategy.new_tree(&mut runner).unwrap().current();
        // Some are longer than a rule may be.
        let Ok(rule) = Rule::parse(&source) else {
            continue;
        };
        let answers = answers(&pool, &[rule], NOW, None).await;
        assert_eq!(answers.len(), customers.len(), "{source}");
        let explained = values(&pool, &source, customers[0].id, NOW).await;
        assert_eq!(
            explained[0].1.as_deref(),
            Some(if answers[0].matches[0] {
                "true"
            } else {
                "false"
            })
        );
        ran += 1;
    }
}

#[tokio::test]
async fn an_explanation_shows_the_value_of_each_part() {
    let pool = database().await;
    let customer = Customer::plain(1).registered(NOW - Duration::days(5)).with(
        Sort::Purchase,
        NOW - Duration::hours(36),
        500,
    );
    facts::insert(&pool, &customer).await;
    let shown = values(
        &pool,
        "customer.country == \"TR\" || measures.recency_days > 1 && \
         customer.registered_at + duration(\"24h\") < now && now - customer.registered_at > duration(\"1d\") && \
         purchases.within(\"2d\").sum_minor() / 3 == 166 && measures.p_alive < 0.5",
        customer.id,
        NOW,
    )
    .await;
    let expected = [
        ("customer.country == \"TR\"", Some("false")),
        ("customer.country", None),
        ("measures.recency_days > 1", Some("true")),
        ("measures.recency_days", Some("1.5")),
        (
            "customer.registered_at + duration(\"24h\") < now",
            Some("true"),
        ),
        (
            "customer.registered_at + duration(\"24h\")",
            Some("2026-05-28T12:00:00.000000Z"),
        ),
        (
            "customer.registered_at",
            Some("2026-05-27T12:00:00.000000Z"),
        ),
        ("now", Some("2026-06-01T12:00:00.000000Z")),
        (
            "now - customer.registered_at > duration(\"1d\")",
            Some("true"),
        ),
        ("now - customer.registered_at", Some("432000s")),
        ("now", Some("2026-06-01T12:00:00.000000Z")),
        (
            "customer.registered_at",
            Some("2026-05-27T12:00:00.000000Z"),
        ),
        (
            "purchases.within(\"2d\").sum_minor() / 3 == 166",
            Some("true"),
        ),
        ("purchases.within(\"2d\").sum_minor() / 3", Some("166")),
        ("purchases.within(\"2d\").sum_minor()", Some("500")),
        ("measures.p_alive < 0.5", Some("false")),
        ("measures.p_alive", None),
    ];
    let shown: Vec<(&str, Option<&str>)> = shown
        .iter()
        // The whole rule, and its right half.
        .filter(|(source, _)| !source.contains("||") && !source.contains("&&"))
        .map(|(source, value)| (source.as_str(), value.as_deref()))
        .collect();
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn another_tenants_facts_do_not_count() {
    let pool = database().await;
    let mine = Customer::plain(1);
    facts::insert(&pool, &mine).await;
    let theirs = Customer::plain(1).with(Sort::Purchase, NOW - Duration::days(1), 500);
    facts::insert_for("other", &pool, &theirs).await;
    let answers = answers(&pool, &[parse("purchases.count() == 0")], NOW, None).await;
    let expected = Answer {
        customer: mine.id,
        matches: vec![true],
        next_due: None,
    };
    assert_eq!(answers, [expected]);
}
