//! Rules beside a plain reading of each in Rust, fact by fact.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime, macros::datetime};

use super::facts::{Customer, Fact, Sort, Valued};

type Reading = fn(&Customer, OffsetDateTime) -> bool;

pub(super) const READINGS: &[(&str, Reading)] = &[
    ("customer.kind == \"person\"", |c, _| c.kind == "person"),
    ("customer.country == \"TR\"", |c, _| c.country == Some("TR")),
    ("customer.country != \"TR\"", |c, _| {
        c.country.is_some_and(|country| country != "TR")
    }),
    ("!(customer.country == \"TR\")", |c, _| {
        c.country != Some("TR")
    }),
    ("has(customer.country)", |c, _| c.country.is_some()),
    ("customer.country in [\"TR\", \"DE\"]", |c, _| {
        matches!(c.country, Some("TR" | "DE"))
    }),
    ("customer.country > \"TR\"", |c, _| {
        c.country.is_some_and(|country| country > "TR")
    }),
    (
        "customer.country.startsWith(\"T\") || customer.country.endsWith(\"E\")",
        |c, _| {
            c.country
                .is_some_and(|country| country.starts_with('T') || country.ends_with('E'))
        },
    ),
    ("customer.country.contains(\"R\")", |c, _| {
        c.country.is_some_and(|country| country.contains('R'))
    }),
    (
        "customer.registered_at >= timestamp(\"2026-01-01T00:00:00Z\")",
        |c, _| {
            c.registered_at
                .is_some_and(|at| at >= datetime!(2026-01-01 00:00 UTC))
        },
    ),
    (
        "now - customer.registered_at < duration(\"100d\")",
        |c, now| {
            c.registered_at
                .is_some_and(|at| now - at < Duration::days(100))
        },
    ),
    ("purchases.count() >= 3", |c, now| {
        c.chosen(now, Sort::Purchase, |_| true).len() >= 3
    }),
    ("purchases.within(\"90d\").count() == 0", |c, now| {
        c.within(now, Sort::Purchase, 90).is_empty()
    }),
    ("purchases.within(\"30d\").count() >= 1", |c, now| {
        !c.within(now, Sort::Purchase, 30).is_empty()
    }),
    (
        "purchases.within(\"12w\").channel(\"web\").count() >= 1",
        |c, now| {
            c.within(now, Sort::Purchase, 84)
                .iter()
                .any(|fact| fact.channel == Some("web"))
        },
    ),
    (
        "purchases.category(\"books\").within(\"365d\").sum_minor() > 5000",
        |c, now| {
            let books = c
                .within(now, Sort::Purchase, 365)
                .into_iter()
                .filter(|fact| fact.category == Some("books"));
            books.map(|fact| fact.amount_minor).sum::<i64>() > 5000
        },
    ),
    (
        "purchases.between(\"365d\", \"90d\").count() > purchases.within(\"90d\").count()",
        |c, now| {
            let year = c.within(now, Sort::Purchase, 365).len();
            let quarter = c.within(now, Sort::Purchase, 90).len();
            year - quarter > quarter
        },
    ),
    (
        "returns.within(\"60d\").count() > 0 || returns.sum_minor() > 9000",
        |c, now| {
            let all: i64 = c
                .chosen(now, Sort::Return, |_| true)
                .iter()
                .map(|fact| fact.amount_minor)
                .sum();
            !c.within(now, Sort::Return, 60).is_empty() || all > 9000
        },
    ),
    ("touchpoints.within(\"30d\").count() > 0", |c, now| {
        !c.within(now, Sort::Touchpoint, 30).is_empty()
    }),
    (
        "touchpoints.direction(\"in\").channel(\"web\").count() > 0",
        |c, now| {
            !c.chosen(now, Sort::Touchpoint, |fact| fact.channel == Some("web"))
                .is_empty()
        },
    ),
    (
        "measures.purchases == purchases.count() && measures.purchase_days < measures.purchases",
        |c, now| c.days(now) < c.chosen(now, Sort::Purchase, |_| true).len(),
    ),
    ("measures.frequency >= 2", |c, now| c.days(now) >= 3),
    ("measures.frequency < 1", |c, now| c.days(now) <= 1),
    ("measures.recency_days > 60", |c, now| {
        c.last(now).is_some_and(|at| now - at > Duration::days(60))
    }),
    ("!(measures.recency_days > 60)", |c, now| {
        c.last(now).is_none_or(|at| now - at <= Duration::days(60))
    }),
    ("measures.recency_days <= 30.5", |c, now| {
        c.last(now)
            .is_some_and(|at| now - at <= Duration::hours(732))
    }),
    (
        "2 * measures.recency_days < measures.tenure_days",
        |c, now| {
            c.last(now)
                .zip(c.first(now))
                .is_some_and(|(last, first)| (now - last) * 2 < now - first)
        },
    ),
    (
        "measures.tenure_days >= 365 ? purchases.within(\"90d\").count() == 0 : measures.recency_days > 30",
        |c, now| {
            let older = c
                .first(now)
                .is_some_and(|at| now - at >= Duration::days(365));
            if older {
                c.within(now, Sort::Purchase, 90).is_empty()
            } else {
                c.last(now).is_some_and(|at| now - at > Duration::days(30))
            }
        },
    ),
    ("measures.monetary_minor / 2 > 10000", |c, now| {
        c.spent(now) / 2 > 10000
    }),
    (
        "measures.monetary_minor / 3 * 3 == measures.monetary_minor",
        |c, now| c.spent(now) % 3 == 0,
    ),
    ("measures.average_minor >= 10000.5", |c, now| {
        let count = i64::try_from(c.chosen(now, Sort::Purchase, |_| true).len()).unwrap();
        count > 0 && 2 * c.spent(now) >= 20001 * count
    }),
    ("measures.margin_minor < 1000", |c, now| {
        c.margin(now).is_some_and(|margin| margin < 1000)
    }),
    ("has(measures.margin_minor)", |c, now| {
        c.margin(now).is_some()
    }),
    (
        "measures.margin_minor * 10 < measures.monetary_minor",
        |c, now| {
            c.margin(now)
                .is_some_and(|margin| margin * 10 < c.spent(now))
        },
    ),
    (
        "measures.monetary_minor / measures.returns > 5000",
        |c, now| {
            let returns = i64::try_from(c.chosen(now, Sort::Return, |_| true).len()).unwrap();
            returns > 0 && c.spent(now) / returns > 5000
        },
    ),
    ("measures.p_alive < 0.5", |c, now| {
        c.valued(now)
            .is_some_and(|valued| valued.p_alive.is_some_and(|p| p < 0.5))
    }),
    ("measures.p_alive * 2 + 1 >= 2", |c, now| {
        c.valued(now)
            .is_some_and(|valued| valued.p_alive.is_some_and(|p| p >= 0.5))
    }),
    (
        "measures.tier == \"most_valuable\" && measures.rfm_r in [4, 5]",
        |c, now| {
            c.valued(now)
                .is_some_and(|valued| valued.tier == Some("most_valuable") && valued.rfm_r >= 4)
        },
    ),
    (
        "(customer.kind == \"person\") == (measures.purchases > 2)",
        |c, now| (c.kind == "person") == (c.chosen(now, Sort::Purchase, |_| true).len() > 2),
    ),
];

impl Customer {
    fn chosen(
        &self,
        now: OffsetDateTime,
        sort: Sort,
        choice: impl Fn(&Fact) -> bool,
    ) -> Vec<&Fact> {
        let seen = self
            .facts
            .iter()
            .filter(|fact| fact.sort == sort && fact.at <= now);
        seen.filter(|fact| choice(fact)).collect()
    }

    fn within(&self, now: OffsetDateTime, sort: Sort, days: i64) -> Vec<&Fact> {
        self.chosen(now, sort, |fact| now - fact.at < Duration::days(days))
    }

    fn days(&self, now: OffsetDateTime) -> usize {
        let purchases = self.chosen(now, Sort::Purchase, |_| true);
        purchases
            .iter()
            .map(|fact| fact.at.date())
            .collect::<BTreeSet<_>>()
            .len()
    }

    fn first(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.chosen(now, Sort::Purchase, |_| true)
            .iter()
            .map(|fact| fact.at)
            .min()
    }

    fn last(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.chosen(now, Sort::Purchase, |_| true)
            .iter()
            .map(|fact| fact.at)
            .max()
    }

    fn spent(&self, now: OffsetDateTime) -> i64 {
        self.chosen(now, Sort::Purchase, |_| true)
            .iter()
            .map(|fact| fact.amount_minor)
            .sum()
    }

    fn margin(&self, now: OffsetDateTime) -> Option<i64> {
        let purchases = self.chosen(now, Sort::Purchase, |_| true);
        purchases
            .iter()
            .filter_map(|fact| fact.margin_minor)
            .reduce(|sum, margin| sum + margin)
    }

    fn valued(&self, now: OffsetDateTime) -> Option<&Valued> {
        self.valuations
            .iter()
            .filter(|valued| valued.at <= now)
            .max_by_key(|valued| valued.at)
    }
}
