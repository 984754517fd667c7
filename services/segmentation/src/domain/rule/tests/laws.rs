//! What holds for every text and every rule.

use proptest::prelude::*;

use super::super::{RULE_NODES_MAX, Rule, compile, compile_explain};
use super::generate::rules;

/// A statement uses exactly the parameters that it brings.
fn uses_every_parameter(sql: &str, binds: usize) -> bool {
    (1..=binds + 3).all(|place| sql.contains(&format!("${place}::")))
        && !sql.contains(&format!("${}::", binds + 4))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_well_typed_rule_compiles(source in rules(3)) {
        match Rule::parse(&source) {
            Ok(rule) => {
                let statement = compile(&[&rule]).expect("one rule always fits");
                prop_assert!(uses_every_parameter(&statement.sql, statement.binds.len()), "{}", statement.sql);
                prop_assert_eq!(&statement, &compile(&[&rule]).expect("one rule always fits"));
                let explanation = compile_explain(&rule);
                prop_assert!(!explanation.nodes.is_empty() && explanation.nodes.len() <= RULE_NODES_MAX);
                for node in &explanation.nodes {
                    prop_assert!(source.contains(&node.source));
                    let opened = node.source.matches('(').count();
                    prop_assert_eq!(opened, node.source.matches(')').count(), "{}", node.source);
                }
                let statement = explanation.statement;
                prop_assert!(uses_every_parameter(&statement.sql, statement.binds.len()), "{}", statement.sql);
            }
            // The generator knows nothing of the limits.
            Err(error) => prop_assert!(
                error.reason.contains("more than") || error.reason.contains("at most"),
                "{error}\nin {source}"
            ),
        }
    }

    /// Constants are parameters: two rules that differ in them alone are the same SQL.
    #[test]
    fn nothing_of_a_string_reaches_the_sql(text in "[^\"\\\\\0\r\n]{0,20}") {
        let sql = |text: &str| {
            let source = format!("customer.country == \"{text}\" || purchases.channel(\"{text}\").count() > 7");
            compile(&[&Rule::parse(&source).expect("a plain string")]).expect("one rule always fits").sql
        };
        prop_assert_eq!(sql(&text), sql("TR"));
    }

    #[test]
    fn no_text_makes_the_parser_panic(source in any::<String>()) {
        let _ = Rule::parse(&source);
    }

    #[test]
    fn no_row_of_words_makes_the_parser_panic(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..40),
        spaced in any::<bool>(),
    ) {
        if let Err(error) = Rule::parse(&words.join(if spaced { " " } else { "" })) {
            prop_assert!(error.line == 1 && error.column >= 1 && !error.reason.is_empty());
        }
    }

    #[test]
    fn no_damage_to_a_rule_makes_the_parser_panic(
        source in rules(2),
        from in any::<prop::sample::Index>(),
        length in 0_usize..6,
        new in "[\\PC]{0,3}",
    ) {
        let mut chars: Vec<char> = source.chars().collect();
        let from = from.index(chars.len() + 1);
        let to = (from + length).min(chars.len());
        chars.splice(from..to, new.chars());
        let _ = Rule::parse(&chars.into_iter().collect::<String>());
    }
}

const WORDS: [&str; 48] = [
    "customer",
    "measures",
    "purchases",
    "now",
    ".",
    ".",
    "country",
    "count",
    "within",
    "(",
    ")",
    "()",
    "[",
    "]",
    ",",
    "\"90d\"",
    "'x'",
    "\"",
    "1",
    "0.5",
    "5u",
    "0x",
    "1e",
    "-",
    "-",
    "+",
    "*",
    "/",
    "%",
    "!",
    "==",
    "<",
    ">=",
    "&&",
    "||",
    "?",
    ":",
    "in",
    "has",
    "true",
    "null",
    "for",
    "{",
    "}",
    "`",
    "ş",
    "b",
    "//",
];
