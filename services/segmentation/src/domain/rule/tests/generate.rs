//! Well-typed rules at random. The tests against PostgreSQL include this file too: it knows no more than the language.

use proptest::prelude::*;

/// A rule of at most `depth` levels.
pub(crate) fn rules(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        3 => (numbers(0), comparisons(), numbers(0)).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        2 => (texts(), comparisons(), texts()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (texts(), prop::collection::vec(texts(), 1..4))
            .prop_map(|(a, list)| format!("{a} in [{}]", list.join(", "))),
        1 => (texts(), prop::sample::select(vec!["startsWith", "endsWith", "contains"]), texts())
            .prop_map(|(a, test, b)| format!("{a}.{test}({b})")),
        1 => fields().prop_map(|field| format!("has({field})")),
        1 => Just("customer.kind == \"person\"".to_owned()),
        1 => any::<bool>().prop_map(|value| value.to_string()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = depth - 1;
    let (logic, equal) = (
        (
            rules(inner),
            prop::sample::select(vec!["&&", "||"]),
            rules(inner),
        ),
        (
            rules(inner),
            prop::sample::select(vec!["==", "!="]),
            rules(inner),
        ),
    );
    prop_oneof![
        2 => leaf,
        2 => (numbers(depth), comparisons(), numbers(depth)).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (steady_numbers(depth), prop::collection::vec(numbers(inner), 1..4))
            .prop_map(|(a, list)| format!("{a} in [{}]", list.join(", "))),
        1 => (moments(depth), comparisons(), moments(depth)).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        1 => (lengths(depth), comparisons(), lengths(depth)).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        3 => logic.prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
        1 => equal.prop_map(|(a, op, b)| format!("({a}) {op} ({b})")),
        1 => rules(inner).prop_map(|a| format!("!({a})")),
        1 => (rules(inner), rules(inner), rules(inner)).prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
    ]
    .boxed()
}

fn comparisons() -> BoxedStrategy<&'static str> {
    prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]).boxed()
}

fn fields() -> BoxedStrategy<&'static str> {
    prop::sample::select(vec![
        "customer.kind",
        "customer.locale",
        "customer.time_zone",
        "customer.country",
        "customer.registered_at",
        "measures.purchases",
        "measures.recency_days",
        "measures.margin_minor",
        "measures.p_alive",
        "measures.tier",
    ])
    .boxed()
}

fn texts() -> BoxedStrategy<String> {
    prop_oneof![
        prop::sample::select(vec![
            "customer.locale",
            "customer.time_zone",
            "customer.country",
            "measures.tier",
            "\"\"",
            "\"TR\"",
            "'ığ\\u015f'",
            "\"it''s \\\" $1 ; --\"",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z ]{0,6}".prop_map(|text| format!("\"{text}\"")),
    ]
    .boxed()
}

/// Numbers that stand still while no fact is added.
fn steady_numbers(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "measures.purchases",
            "measures.purchase_days",
            "measures.frequency",
            "measures.monetary_minor",
            "measures.average_minor",
            "measures.margin_minor",
            "measures.returns",
            "measures.p_alive",
            "measures.expected_purchases",
            "measures.expected_value_minor",
            "measures.rfm_r",
            "measures.rfm_f",
            "measures.rfm_m",
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "1e18",
            "-1e-18",
            "0.0",
        ])
        .prop_map(str::to_owned),
        (-100_i64..100).prop_map(|value| value.to_string()),
        (-100.0..100.0).prop_map(|value: f64| format!("{value:.3}")),
        windows(),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = depth - 1;
    let arithmetic = prop::sample::select(vec!["+", "-", "*", "/"]);
    prop_oneof![
        leaf,
        (steady_numbers(inner), arithmetic, steady_numbers(inner))
            .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        steady_numbers(inner).prop_map(|a| format!("-({a})")),
        (rules(inner), steady_numbers(inner), steady_numbers(inner))
            .prop_map(|(a, b, c)| format!("(({a}) ? {b} : {c})")),
    ]
    .boxed()
}

fn numbers(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        2 => steady_numbers(0),
        1 => Just("measures.recency_days".to_owned()),
        1 => Just("measures.tenure_days".to_owned()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = depth - 1;
    prop_oneof![
        3 => leaf,
        1 => steady_numbers(depth),
        1 => (numbers(inner), prop::sample::select(vec!["+", "-"]), numbers(inner))
            .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => (numbers(inner), prop::sample::select(vec!["*", "/"]), steady_numbers(inner))
            .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        1 => (steady_numbers(inner), numbers(inner)).prop_map(|(a, b)| format!("({a} * {b})")),
        1 => (rules(inner), numbers(inner), numbers(inner)).prop_map(|(a, b, c)| format!("(({a}) ? {b} : {c})")),
    ]
    .boxed()
}

fn windows() -> BoxedStrategy<String> {
    let facts = prop::sample::select(vec!["purchases", "returns", "touchpoints"]);
    let range = prop_oneof![
        Just(String::new()),
        span().prop_map(|span| format!(".within(\"{span}\")")),
        (1_u32..20, 1_u32..20)
            .prop_map(|(older, newer)| format!(".between(\"{}d\", \"{newer}d\")", older + newer)),
    ];
    (facts, range, any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(facts, range, channel, filter, sum)| {
            let channel = if channel { ".channel(\"web\")" } else { "" };
            let (own, end) = match (facts, filter, sum) {
                ("touchpoints", true, _) => (".direction(\"in\")", "count"),
                ("touchpoints", false, _) => ("", "count"),
                (_, true, true) => (".category(\"books\")", "sum_minor"),
                (_, true, false) => (".category(\"books\")", "count"),
                (_, false, true) => ("", "sum_minor"),
                (_, false, false) => ("", "count"),
            };
            format!("{facts}{own}{range}{channel}.{end}()")
        })
        .boxed()
}

fn span() -> BoxedStrategy<String> {
    (
        1_u32..50,
        prop::sample::select(vec!["w", "d", "h", "m", "d12h"]),
    )
        .prop_map(|(amount, unit)| format!("{amount}{unit}"))
        .boxed()
}

fn moments(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop::sample::select(vec![
        "now",
        "customer.registered_at",
        "timestamp(\"2026-01-31T00:00:00.5+03:00\")",
        "timestamp(\"0001-01-01T00:00:00Z\")",
        "timestamp(\"9999-12-31T23:59:59Z\")",
    ])
    .prop_map(str::to_owned);
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = depth - 1;
    prop_oneof![
        leaf,
        (
            moments(inner),
            prop::sample::select(vec!["+", "-"]),
            lengths(inner)
        )
            .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
        (rules(inner), moments(inner), moments(inner))
            .prop_map(|(a, b, c)| format!("(({a}) ? {b} : {c})")),
    ]
    .boxed()
}

fn lengths(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        span().prop_map(|span| format!("duration(\"{span}\")")),
        Just("duration(\"36500d\")".to_owned()),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = depth - 1;
    prop_oneof![
        leaf,
        (moments(inner), moments(inner)).prop_map(|(a, b)| format!("({a} - {b})")),
        lengths(inner).prop_map(|a| format!("-({a})")),
        (
            lengths(inner),
            prop::sample::select(vec!["+", "-"]),
            lengths(inner)
        )
            .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
    ]
    .boxed()
}
