//! Customers with their facts, at random and by hand, and how they are stored.

use proptest::prelude::*;
use sqlx::{Executor, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

pub(super) const TENANT: &str = "shop";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Purchase,
    Return,
    Touchpoint,
}

#[derive(Debug, Clone)]
pub(super) struct Fact {
    pub(super) sort: Sort,
    pub(super) at: OffsetDateTime,
    pub(super) amount_minor: i64,
    pub(super) margin_minor: Option<i64>,
    pub(super) channel: Option<&'static str>,
    pub(super) category: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(super) struct Valued {
    pub(super) at: OffsetDateTime,
    pub(super) p_alive: Option<f64>,
    pub(super) tier: Option<&'static str>,
    pub(super) rfm_r: i16,
}

#[derive(Debug, Clone)]
pub(super) struct Customer {
    pub(super) id: Uuid,
    pub(super) kind: &'static str,
    pub(super) country: Option<&'static str>,
    pub(super) registered_at: Option<OffsetDateTime>,
    pub(super) facts: Vec<Fact>,
    pub(super) valuations: Vec<Valued>,
}

impl Customer {
    /// A person of whom nothing is known.
    pub(super) fn plain(id: u128) -> Self {
        Self {
            id: Uuid::from_u128(id),
            kind: "person",
            country: None,
            registered_at: None,
            facts: Vec::new(),
            valuations: Vec::new(),
        }
    }

    pub(super) fn registered(mut self, at: OffsetDateTime) -> Self {
        self.registered_at = Some(at);
        self
    }

    pub(super) fn with(mut self, sort: Sort, at: OffsetDateTime, amount_minor: i64) -> Self {
        self.facts.push(Fact {
            sort,
            at,
            amount_minor,
            margin_minor: None,
            channel: None,
            category: None,
        });
        self
    }
}

/// Moments before `now` and some after it, many of them a whole number of days away, where windows end.
fn moments(now: OffsetDateTime) -> impl Strategy<Value = OffsetDateTime> {
    prop_oneof![
        3 => (-5_i64..420).prop_map(move |days| now - Duration::days(days)),
        2 => prop::sample::select(vec![1_i64, 7, 30, 60, 90, 365]).prop_map(move |days| now - Duration::days(days)),
        3 => (-400_000_i64..36_000_000).prop_map(move |seconds| now - Duration::seconds(seconds)),
        1 => (0_i64..1000).prop_map(move |micros| now - Duration::days(30) - Duration::microseconds(micros)),
    ]
}

fn facts(now: OffsetDateTime) -> impl Strategy<Value = Fact> {
    (
        prop_oneof![3 => Just(Sort::Purchase), 1 => Just(Sort::Return), 1 => Just(Sort::Touchpoint)],
        moments(now),
        0_i64..20_000,
        prop::option::of(-500_i64..3_000),
        prop::option::of(prop::sample::select(vec!["web", "shop"])),
        prop::option::of(prop::sample::select(vec!["books", "music"])),
    )
        .prop_map(|(sort, at, amount_minor, margin_minor, channel, category)| Fact {
            sort,
            at,
            amount_minor,
            margin_minor,
            channel,
            category,
        })
}

fn valuations(now: OffsetDateTime) -> impl Strategy<Value = Valued> {
    (
        moments(now),
        prop::option::of(0.0..1.0_f64),
        prop::option::of(prop::sample::select(vec!["most_valuable", "rest"])),
        1_i16..=5,
    )
        .prop_map(|(at, p_alive, tier, rfm_r)| Valued {
            at,
            p_alive,
            tier,
            rfm_r,
        })
}

pub(super) fn customers(now: OffsetDateTime) -> impl Strategy<Value = Customer> {
    (
        any::<u128>(),
        prop::sample::select(vec!["person", "business"]),
        prop::option::of(prop::sample::select(vec!["TR", "DE", "tr", "Ş"])),
        prop::option::of(moments(now)),
        prop::collection::vec(facts(now), 0..9),
        prop::collection::vec(valuations(now), 0..3),
    )
        .prop_map(
            |(id, kind, country, registered_at, facts, mut valuations)| {
                valuations.sort_by_key(|valued| valued.at);
                valuations.dedup_by_key(|valued| valued.at);
                Customer {
                    id: Uuid::from_u128(id),
                    kind,
                    country,
                    registered_at,
                    facts,
                    valuations,
                }
            },
        )
}

/// The tables of the service itself.
pub(super) async fn create_tables(pool: &PgPool) {
    for tables in [
        include_str!("../../../migrations/0101_facts.sql"),
        include_str!("../../../migrations/0103_values.sql"),
        include_str!("../../../migrations/0104_mergers.sql"),
    ] {
        pool.execute(tables).await.unwrap();
    }
}

pub(super) async fn insert(pool: &PgPool, customer: &Customer) {
    insert_for(TENANT, pool, customer).await;
}

pub(super) async fn insert_for(tenant: &str, pool: &PgPool, customer: &Customer) {
    let partition = (customer.id.as_u128() % 64) as i16;
    sqlx::query(
        "insert into customer_fact (tenant, customer_id, partition, kind, country, registered_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant)
    .bind(customer.id)
    .bind(partition)
    .bind(customer.kind)
    .bind(customer.country)
    .bind(customer.registered_at)
    .execute(pool)
    .await
    .unwrap();
    for fact in &customer.facts {
        insert_fact(tenant, pool, customer.id, partition, fact).await;
    }
    for valued in &customer.valuations {
        sqlx::query(
            "insert into valuation (tenant, customer_id, partition, fit_id, calibration_end, p_alive, tier, rfm_r)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(tenant)
        .bind(customer.id)
        .bind(partition)
        .bind(Uuid::new_v4())
        .bind(valued.at)
        .bind(valued.p_alive)
        .bind(valued.tier)
        .bind(valued.rfm_r)
        .execute(pool)
        .await
        .unwrap();
    }
}

async fn insert_fact(tenant: &str, pool: &PgPool, customer: Uuid, partition: i16, fact: &Fact) {
    let query = match fact.sort {
        Sort::Touchpoint => sqlx::query(
            "insert into touchpoint_fact (tenant, customer_id, partition, touchpoint_id, occurred_at, channel, direction)
             values ($1, $2, $3, $4, $5, $6, 'in')",
        ),
        Sort::Purchase | Sort::Return => sqlx::query(
            "insert into purchase_fact (tenant, customer_id, partition, purchase_id, occurred_at, channel,
                 kind, amount_minor, margin_minor, currency, categories)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'TRY', array_remove(array[$10::text], null))",
        ),
    };
    let query = query
        .bind(tenant)
        .bind(customer)
        .bind(partition)
        .bind(Uuid::new_v4())
        .bind(fact.at)
        .bind(fact.channel);
    let query = match fact.sort {
        Sort::Touchpoint => query,
        Sort::Purchase | Sort::Return => query
            .bind(if fact.sort == Sort::Purchase {
                "purchase"
            } else {
                "return"
            })
            .bind(fact.amount_minor)
            .bind(fact.margin_minor)
            .bind(fact.category),
    };
    query.execute(pool).await.unwrap();
}
