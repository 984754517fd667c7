//! What rules depend on, and the SQL that they become.

use time::macros::datetime;

use super::super::{Bind, Dependencies, Rule, compile, compile_explain, compile_for_given};

#[track_caller]
fn rule(source: &str) -> Rule {
    match Rule::parse(source) {
        Ok(rule) => rule,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_rule_says_what_can_change_it() {
    let nothing = Dependencies::default();
    let cases = [
        ("true", nothing),
        (
            "customer.country == \"TR\"",
            Dependencies {
                profile: true,
                ..nothing
            },
        ),
        (
            "measures.monetary_minor > 5 || purchases.count() > 1",
            Dependencies {
                purchases: true,
                ..nothing
            },
        ),
        (
            "has(measures.recency_days)",
            Dependencies {
                purchases: true,
                ..nothing
            },
        ),
        (
            "measures.recency_days > 60",
            Dependencies {
                purchases: true,
                uses_time: true,
                ..nothing
            },
        ),
        (
            "returns.within(\"7d\").count() > 0",
            Dependencies {
                returns: true,
                uses_time: true,
                ..nothing
            },
        ),
        (
            "measures.returns > 0 && measures.tier == \"a\"",
            Dependencies {
                returns: true,
                valuation: true,
                ..nothing
            },
        ),
        (
            "touchpoints.count() > 0",
            Dependencies {
                touchpoints: true,
                ..nothing
            },
        ),
        (
            "now > timestamp(\"2026-01-31T00:00:00Z\")",
            Dependencies {
                uses_time: true,
                ..nothing
            },
        ),
    ];
    for (source, expected) in cases {
        assert_eq!(rule(source).depends_on(), expected, "{source}");
    }
}

#[test]
fn the_profile_alone_needs_no_scan() {
    let statement = compile(&[
        &rule("customer.country in [\"TR\", \"DE\"]"),
        &rule("customer.registered_at < timestamp(\"2026-01-31T03:00:00+03:00\")"),
        &rule("!(customer.country == \"TR\")"),
    ])
    .unwrap();
    let expected = "\
select c.customer_id, c.partition,
       array[
         coalesce(c.country in ($4::text, $5::text), false),
         coalesce(c.registered_at < $6::timestamptz, false),
         (not coalesce(c.country = $4::text, false))
       ]::boolean[] as matches,
       null::timestamptz as next_due
  from customer_fact c
 where c.tenant = $1::text and c.survivor_id is null and $2::timestamptz is not null
   and ($3::uuid[] is null or c.customer_id = any($3::uuid[]))";
    assert_eq!(statement.sql, expected);
    let binds = [
        Bind::Text("TR".to_owned()),
        Bind::Text("DE".to_owned()),
        Bind::Timestamp(datetime!(2026-01-31 00:00 UTC)),
    ];
    assert_eq!(statement.binds, binds);
}

#[test]
fn windows_of_all_rules_share_one_scan_that_reads_no_further_back_than_needed() {
    let statement = compile(&[
        &rule("purchases.within(\"90d\").count() == 0"),
        &rule("purchases.between(\"365d\", \"90d\").category(\"books\").sum_minor() >= 500"),
        &rule("0 == purchases.within(\"90d\").count()"),
    ])
    .unwrap();
    let expected = "\
select c.customer_id, c.partition,
       array[
         coalesce(coalesce(p.a1, 0) = $5::bigint, false),
         coalesce(coalesce(p.a2, 0) >= $8::bigint, false),
         coalesce($5::bigint = coalesce(p.a1, 0), false)
       ]::boolean[] as matches,
       p.due as next_due
  from customer_fact c
  left join (
    select coalesce(g.customer_id, f.customer_id) as customer_id,
           count(*) filter (where f.kind = 'purchase' and f.occurred_at > $2::timestamptz - $4::interval and f.occurred_at <= $2::timestamptz) as a1,
           sum(f.amount_minor) filter (where f.kind = 'purchase' and $6::text = any(f.categories) and f.occurred_at > $2::timestamptz - $7::interval and f.occurred_at <= $2::timestamptz - $4::interval) as a2,
           least(
             min(f.occurred_at) filter (where f.occurred_at > $2::timestamptz),
             min(f.occurred_at) filter (where f.kind = 'purchase' and f.occurred_at > $2::timestamptz - $4::interval and f.occurred_at <= $2::timestamptz) + $4::interval,
             min(f.occurred_at) filter (where f.kind = 'purchase' and $6::text = any(f.categories) and f.occurred_at > $2::timestamptz - $7::interval and f.occurred_at <= $2::timestamptz - $4::interval) + $7::interval,
             min(f.occurred_at) filter (where f.kind = 'purchase' and $6::text = any(f.categories) and f.occurred_at > $2::timestamptz - $4::interval and f.occurred_at <= $2::timestamptz) + $4::interval) as due
      from purchase_fact f
      left join (
        select s.customer_id, unnest(s.absorbed) as absorbed_id
          from customer_fact s
         where s.tenant = $1::text and s.survivor_id is null and s.absorbed <> '{}'
      ) g on g.absorbed_id = f.customer_id
     where f.tenant = $1::text and ($3::uuid[] is null or coalesce(g.customer_id, f.customer_id) = any($3::uuid[])) and f.occurred_at > $2::timestamptz - $7::interval
     group by 1
  ) p on p.customer_id = c.customer_id
 where c.tenant = $1::text and c.survivor_id is null and $2::timestamptz is not null
   and ($3::uuid[] is null or c.customer_id = any($3::uuid[]))";
    assert_eq!(statement.sql, expected);
    let days = |days: i64| Bind::IntervalMicros(days * 86_400_000_000);
    let binds = [
        days(90),
        Bind::Int(0),
        Bind::Text("books".to_owned()),
        days(365),
        Bind::Int(500),
    ];
    assert_eq!(statement.binds, binds);
}

#[test]
fn a_comparison_that_time_can_turn_says_when() {
    let statement =
        compile(&[&rule("measures.recency_days > 60 && measures.p_alive < 1")]).unwrap();
    let expected = "\
select c.customer_id, c.partition,
       array[
         (coalesce((extract(epoch from $2::timestamptz - p.a1) * 1000000) > ($4::bigint::numeric * 86400000000), false) and coalesce(v.p_alive < $5::float8, false))
       ]::boolean[] as matches,
       least(p.due, (select min($2::timestamptz + d.micros::float8 * interval '1 microsecond')
          from (values
           (floor(round((($4::bigint::numeric * 86400000000) - (extract(epoch from $2::timestamptz - p.a1) * 1000000)) / nullif(1, 0), 3)) + 1)) as d(micros)
         where d.micros > 0 and d.micros <= 3155760000000000)) as next_due
  from customer_fact c
  left join (
    select coalesce(g.customer_id, f.customer_id) as customer_id,
           max(f.occurred_at) filter (where f.kind = 'purchase' and f.occurred_at <= $2::timestamptz) as a1,
           least(
             min(f.occurred_at) filter (where f.occurred_at > $2::timestamptz)) as due
      from purchase_fact f
      left join (
        select s.customer_id, unnest(s.absorbed) as absorbed_id
          from customer_fact s
         where s.tenant = $1::text and s.survivor_id is null and s.absorbed <> '{}'
      ) g on g.absorbed_id = f.customer_id
     where f.tenant = $1::text and ($3::uuid[] is null or coalesce(g.customer_id, f.customer_id) = any($3::uuid[]))
     group by 1
  ) p on p.customer_id = c.customer_id
  left join lateral (
    select x.p_alive, x.expected_purchases, x.expected_value_minor, x.tier, x.rfm_r, x.rfm_f, x.rfm_m
      from valuation x
     where x.tenant = $1::text and x.customer_id = c.customer_id and x.calibration_end <= $2::timestamptz
     order by x.calibration_end desc
     limit 1
  ) v on true
 where c.tenant = $1::text and c.survivor_id is null and $2::timestamptz is not null
   and ($3::uuid[] is null or c.customer_id = any($3::uuid[]))";
    assert_eq!(statement.sql, expected);
    assert_eq!(statement.binds, [Bind::Int(60), Bind::Float(1.0)]);
}

/// Customer by customer, each with those who were merged into it; who was merged is not asked.
#[test]
fn given_customers_are_looked_up_one_by_one_with_whoever_came_to_them() {
    let statement = compile_for_given(&[&rule("touchpoints.count() > 0")]).unwrap();
    let expected = "\
select c.customer_id, c.partition,
       array[
         coalesce(coalesce(t.a1, 0) > $4::bigint, false)
       ]::boolean[] as matches,
       t.due as next_due
  from unnest($3::uuid[]) as given (customer_id)
  join customer_fact c on c.tenant = $1::text and c.customer_id = given.customer_id
   and c.survivor_id is null
  left join lateral (
    select            count(*) filter (where f.occurred_at <= $2::timestamptz) as a1,
           least(
             min(f.occurred_at) filter (where f.occurred_at > $2::timestamptz)) as due
      from touchpoint_fact f
     where f.tenant = $1::text and f.customer_id = any(c.customer_id || c.absorbed)
  ) t on true
 where $2::timestamptz is not null";
    assert_eq!(statement.sql, expected);
}

/// Equality needs no order; the order must not depend on the database's language.
#[test]
fn strings_are_ordered_by_code_point() {
    let sql = |source: &str| compile(&[&rule(source)]).unwrap().sql;
    assert!(sql("customer.country >= \"TR\"").contains("c.country collate \"C\" >= $4::text"));
    assert!(sql("customer.country == \"TR\"").contains("c.country = $4::text"));
}

#[test]
fn rules_that_need_too_much_together_are_refused_together() {
    let rules: Vec<Rule> = (1..=1501)
        .map(|hours| rule(&format!("purchases.within(\"{hours}h\").count() > 0")))
        .collect();
    let all: Vec<&Rule> = rules.iter().collect();
    assert!(compile(&all[..1500]).is_ok());
    let error = compile(&all).unwrap_err();
    assert_eq!((error.aggregates, error.binds), (1501, 1502));
}

#[test]
fn an_explanation_names_each_part_and_its_place() {
    let source = "(customer.country == \"TR\") &&\n  -measures.purchases * (2 + purchases.within(\"7d\").count()) < -5";
    let explanation = compile_explain(&rule(source));
    let nodes: Vec<(&str, usize, usize, usize)> = explanation
        .nodes
        .iter()
        .map(|node| (node.source.as_str(), node.depth, node.line, node.column))
        .collect();
    let expected = [
        (source, 0, 1, 1),
        ("customer.country == \"TR\"", 1, 1, 2),
        ("customer.country", 2, 1, 2),
        (
            "-measures.purchases * (2 + purchases.within(\"7d\").count()) < -5",
            1,
            2,
            3,
        ),
        (
            "-measures.purchases * (2 + purchases.within(\"7d\").count())",
            2,
            2,
            3,
        ),
        ("-measures.purchases", 3, 2, 3),
        ("measures.purchases", 4, 2, 4),
        ("2 + purchases.within(\"7d\").count()", 3, 2, 26),
        ("purchases.within(\"7d\").count()", 4, 2, 30),
    ];
    assert_eq!(nodes, expected);
}
