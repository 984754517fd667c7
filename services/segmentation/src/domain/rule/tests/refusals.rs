//! Every refusal names its place, the text there, and the reason.

use super::super::{RULE_WINDOWS_MAX, Rule, RuleError};

#[track_caller]
fn refused(source: &str) -> RuleError {
    match Rule::parse(source) {
        Ok(_) => panic!("accepted: {source}"),
        Err(error) => error,
    }
}

#[track_caller]
fn refuses(source: &str, line: usize, column: usize, text: &str, reason: &str) {
    let expected = RuleError {
        line,
        column,
        text: text.to_owned(),
        reason: reason.to_owned(),
    };
    assert_eq!(refused(source), expected, "in: {source}");
}

#[test]
fn the_message_says_where_what_and_why() {
    assert_eq!(
        refused("measures.recency_days == \"x\"").to_string(),
        "line 1, column 1: measures.recency_days is a double, compared with a string, \
         at `measures.recency_days == \"x\"`"
    );
}

#[test]
fn lines_and_columns_count_characters_from_one() {
    let source = "customer.locale == \"ığüşöç\" &&\n  \"ığü\" == measures.purchases";
    let reason = "\"ığü\" is a string, compared with an int";
    refuses(source, 2, 3, "\"ığü\" == measures.purchases", reason);
    let source = "// who buys\r\ntrue && customer.locale == \"ş\" && 7";
    refuses(source, 2, 35, "7", "&& needs a bool, this is an int");
}

#[test]
fn what_is_no_expression() {
    refuses("", 1, 1, "", "the rule is empty");
    refuses("  // nothing", 1, 1, "  // nothing", "the rule is empty");
    refuses(
        "true &&",
        1,
        8,
        "",
        "mismatched input 'the end of the rule' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}",
    );
    refuses("(true", 1, 1, "(", "this bracket is never closed");
    refuses("true)", 1, 5, ")", "this bracket closes nothing");
    refuses("[true)", 1, 6, ")", "this does not close `[`");
    refuses(
        "customer.country = \"TR\"",
        1,
        18,
        "=",
        "write == to compare",
    );
    refuses("true & true", 1, 6, "&", "write && for and");
    refuses("true | true", 1, 6, "|", "write || for or");
    refuses("{} == {}", 1, 1, "{", "a rule has no maps and no messages");
    refuses(
        "true && ½",
        1,
        9,
        "½",
        "a rule has no such character outside a string",
    );
    let reason = "this string is not closed on its line";
    refuses("customer.country == \"TR", 1, 21, "\"TR", reason);
    let reason = "a rule has no such escape; write \\\\ for a backslash";
    refuses("customer.country == \"\\q\"", 1, 22, "\\", reason);
    let reason = "a rule has plain strings only, without a prefix or triple quotes";
    refuses("customer.country == r\"TR\"", 1, 22, "\"", reason);
    refuses("customer.country == \"\"\"TR\"\"\"", 1, 23, "\"", reason);
}

#[test]
fn names_that_are_not_known() {
    let known = "a rule can use customer, measures, purchases, returns, touchpoints and now";
    refuses(
        "true && orders > 1",
        1,
        9,
        "orders",
        &format!("orders is not known; {known}"),
    );
    refuses(
        "client.country == \"TR\"",
        1,
        1,
        "client.country",
        &format!("client is not known; {known}"),
    );
    let fields = "kind, locale, time_zone, country, registered_at";
    let reason = format!("customer has no field age; it has {fields}");
    refuses("customer.age > 30", 1, 1, "customer.age", &reason);
    let reason = format!("customer is not a value, name one of its fields: {fields}");
    refuses("customer == 1", 1, 1, "customer", &reason);
    let reason = "purchases has no field count: call it, as in purchases.count()";
    refuses("purchases.count > 1", 1, 1, "purchases.count", reason);
    refuses(
        "customer.country.code == 1",
        1,
        1,
        "customer.country.code",
        "this has no field code",
    );
    let reason = "size is not known; the functions are has, timestamp and duration";
    refuses(
        "size(customer.country) > 1",
        1,
        1,
        "size(customer.country)",
        reason,
    );
    let reason = "exists is not a method of the rule language";
    refuses(
        "purchases.exists(p, p > 1)",
        1,
        1,
        "purchases.exists(p, p > 1)",
        reason,
    );
}

#[test]
fn types_that_do_not_agree() {
    let reason = "a rule says yes or no, but this is an int";
    refuses("purchases.count()", 1, 1, "purchases.count()", reason);
    let reason = "customer.registered_at is a timestamp, compared with a string; write timestamp(\"2026-01-31T00:00:00Z\")";
    refuses(
        "customer.registered_at > \"2026\"",
        1,
        1,
        "customer.registered_at > \"2026\"",
        reason,
    );
    let reason = "now - customer.registered_at is a duration, compared with a string; write duration(\"24h\")";
    let source = "now - customer.registered_at > \"24h\"";
    refuses(source, 1, 1, source, reason);
    let reason = "a bool is neither less nor greater than another";
    refuses("true < false", 1, 1, "true < false", reason);
    refuses(
        "!purchases.count()",
        1,
        2,
        "purchases.count()",
        "! needs a bool, this is an int",
    );
    refuses("(1 || true)", 1, 2, "1", "|| needs a bool, this is an int");
    refuses(
        "1 ? true : false",
        1,
        1,
        "1",
        "? needs a bool, this is an int",
    );
    let reason = "both outcomes of ? need one type, these are an int and a string";
    refuses("(true ? 1 : \"a\") == 1", 1, 2, "true ? 1 : \"a\"", reason);
    let reason = "+ does not apply to a string and a string";
    refuses(
        "customer.country + \"x\" == \"TRx\"",
        1,
        1,
        "customer.country + \"x\"",
        reason,
    );
    let reason = "* does not apply to a timestamp and an int";
    refuses("true && (now) * 2 > now", 1, 9, "(now) * 2", reason);
    let reason = "- needs a number or a duration, this is a string";
    refuses("-customer.country == 1", 1, 2, "customer.country", reason);
    let reason = "startsWith needs strings, this is an int";
    refuses("customer.country.startsWith(1)", 1, 29, "1", reason);
    refuses(
        "customer.country.contains()",
        1,
        1,
        "customer.country.contains()",
        "contains takes one string",
    );
}

#[test]
fn lists_outside_in_and_wrong_lists() {
    refuses(
        "[1] == 1",
        1,
        1,
        "[1]",
        "a list can only stand to the right of in",
    );
    let reason = "in needs a list on its right, as in [\"TR\", \"DE\"]";
    refuses("customer.country in \"TR\"", 1, 21, "\"TR\"", reason);
    refuses(
        "customer.country in []",
        1,
        21,
        "[]",
        "nothing is in an empty list",
    );
    let reason = "customer.country is a string, compared with an int";
    refuses("customer.country in [\"TR\", 5]", 1, 28, "5", reason);
    refuses(
        "[1, 2][0] == 1",
        1,
        1,
        "[1, 2][0]",
        "nothing in the rule language can be indexed",
    );
}

#[test]
fn a_kind_that_no_customer_has() {
    let reason = "customer.kind is \"person\" or \"business\", never this";
    refuses("customer.kind == \"company\"", 1, 18, "\"company\"", reason);
    refuses("\"Person\" != customer.kind", 1, 1, "\"Person\"", reason);
    refuses(
        "customer.kind in [\"person\", \"firm\"]",
        1,
        29,
        "\"firm\"",
        reason,
    );
}

#[test]
fn literals_outside_the_language() {
    let reason = "null is no value here: ask has(customer.country) to see whether it is known";
    refuses("customer.country == null", 1, 21, "null", reason);
    refuses(
        "measures.purchases > 5u",
        1,
        22,
        "5u",
        "write a whole number without the u",
    );
    let reason = "a double is between 1e-18 and 1e18 in size, or zero";
    refuses("measures.p_alive < -1e300", 1, 20, "-1e300", reason);
    refuses("measures.p_alive < 1e-300", 1, 20, "1e-300", reason);
    refuses(
        "measures.purchases > 9223372036854775808",
        1,
        22,
        "9223372036854775808",
        "invalid int literal",
    );
    let reason = "a string cannot hold the character zero";
    refuses(
        "customer.country == \"a\\x00\"",
        1,
        21,
        "\"a\\x00\"",
        reason,
    );
    refuses(
        "purchases.channel(\"\\000\").count() > 1",
        1,
        19,
        "\"\\000\"",
        reason,
    );
    let reason = "\"yesterday\" is not a time as in \"2026-01-31T00:00:00Z\"";
    refuses(
        "timestamp(\"yesterday\") < now",
        1,
        11,
        "\"yesterday\"",
        reason,
    );
    let reason = "duration takes a string as it stands, as in duration(\"24h\")";
    refuses("duration(24) < duration(\"1d\")", 1, 10, "24", reason);
    let reason = "the rule language has no remainder, only + - * /";
    refuses(
        "measures.purchases % 2 == 0",
        1,
        1,
        "measures.purchases % 2",
        reason,
    );
}

#[test]
fn windows_that_make_no_sense() {
    for text in [
        "",
        "90",
        "d",
        "90 d",
        "-90d",
        "1.5d",
        "90y",
        "0d",
        "99999999999d",
        "90d5",
        "ş",
    ] {
        let reason = format!(
            "\"{text}\" is not a length of time: write whole numbers with a unit of w, d, h, m or s, as in \"90d\" or \"1d12h\""
        );
        let source = format!("purchases.within(\"{text}\").count() > 0");
        refuses(&source, 1, 18, &format!("\"{text}\""), &reason);
    }
    let reason = "\"36501d\" is longer than 36500 days";
    refuses(
        "purchases.within(\"36501d\").count() > 0",
        1,
        18,
        "\"36501d\"",
        reason,
    );
    let between = "purchases.between(\"90d\", \"365d\")";
    let reason = "between takes the older end first, and the newer must be nearer to now";
    refuses(&format!("{between}.count() > 0"), 1, 1, between, reason);
    let reason = "between takes the older and the newer end, as in between(\"365d\", \"90d\")";
    refuses(
        "purchases.between(\"90d\").count() > 0",
        1,
        1,
        "purchases.between(\"90d\")",
        reason,
    );
    let reason = "the stretch of time is given twice";
    let twice = "purchases.within(\"1d\").within(\"2d\")";
    refuses(&format!("{twice}.count() > 0"), 1, 1, twice, reason);
    let twice = "returns.channel(\"a\").channel(\"b\")";
    refuses(
        &format!("{twice}.count() > 0"),
        1,
        1,
        twice,
        "channel is given twice",
    );
    let reason = "these are many facts, not a value: end with .count() or .sum_minor()";
    refuses(
        "purchases.within(\"1d\") > 0",
        1,
        1,
        "purchases.within(\"1d\")",
        reason,
    );
    let reason = "purchases are many facts, not a value: end with .count() or .sum_minor()";
    refuses("purchases > 0", 1, 1, "purchases", reason);
    let reason = "touchpoints have no amount, they can only be counted";
    refuses(
        "touchpoints.sum_minor() > 0",
        1,
        1,
        "touchpoints.sum_minor()",
        reason,
    );
    let reason = "touchpoints cannot be narrowed by category";
    let category = "touchpoints.category(\"books\")";
    refuses(&format!("{category}.count() > 0"), 1, 1, category, reason);
    let reason = "facts are purchases, returns or touchpoints";
    refuses("customer.count() > 0", 1, 1, "customer", reason);
    let reason = "count takes nothing between its brackets";
    refuses("purchases.count(1) > 0", 1, 1, "purchases.count(1)", reason);
    let reason = "has takes a field, as in has(customer.country)";
    refuses("has(purchases)", 1, 5, "purchases", reason);
}

#[test]
fn time_that_does_not_run_straight() {
    let reason = "two values that both change with time cannot be multiplied";
    let source = "measures.recency_days * measures.tenure_days > 1.0";
    refuses(
        source,
        1,
        1,
        "measures.recency_days * measures.tenure_days",
        reason,
    );
    let reason = "a value that changes with time cannot divide; multiply the other side of the comparison by it";
    let source = "measures.purchases / measures.tenure_days > 0.1";
    refuses(source, 1, 22, "measures.tenure_days", reason);
}

#[test]
fn too_long() {
    let source = format!("true{}", " ".repeat(4093));
    assert_eq!(
        refused(&source).reason,
        "the rule has 4097 bytes, at most 4096 are allowed"
    );
    assert!(Rule::parse(&source[..4096]).is_ok());
}

#[test]
fn too_many_parts() {
    let terms = |count: usize| vec!["true"; count].join("||");
    assert!(Rule::parse(&terms(511)).is_ok());
    let error = refused(&terms(512));
    assert_eq!(error.reason, "the rule has more than 512 parts");
    assert_eq!(error.column, 511 * 6 + 1);
}

#[test]
fn too_many_windows() {
    let rule = |count: usize| {
        let windows = (1..=count).map(|days| format!("purchases.within(\"{days}d\").count() > 0"));
        windows.collect::<Vec<_>>().join(" || ")
    };
    assert!(Rule::parse(&rule(RULE_WINDOWS_MAX)).is_ok());
    let error = refused(&rule(RULE_WINDOWS_MAX + 1));
    assert_eq!(error.reason, "the rule has more than 32 different windows");
    assert_eq!(error.text, "purchases.within(\"33d\").count()");
    let repeated = vec!["purchases.within(\"1d\").count() > 0"; 100].join(" || ");
    assert!(Rule::parse(&repeated).is_ok());
}

/// On a stack of 512 KiB, a quarter of what a tokio worker has.
#[test]
fn too_deep_whatever_the_shape() {
    let shapes: [fn(usize) -> String; 12] = [
        |n| format!("{}true{}", "(".repeat(n), ")".repeat(n)),
        |n| format!("{}true", "!(true) == ".repeat(n)),
        |n| format!("{}true{}", "!(".repeat(n), ")".repeat(n)),
        |n| format!("{}1 == 1", "1+".repeat(n)),
        |n| format!("{}1 == 1", "-".repeat(n)),
        |n| format!("{}true", "true?true:".repeat(n)),
        |n| format!("{}true", "true?true&&true:".repeat(n)),
        |n| format!("now{}", ".a".repeat(n)),
        |n| format!("now{}", ".a()".repeat(n)),
        |n| format!("{}1{}", "[".repeat(n), "]".repeat(n)),
        |n| format!("{}1{} == 1", "((".repeat(n / 2), "+1)+1)".repeat(n / 2)),
        |n| format!("{}true", "true == ".repeat(n)),
    ];
    let work = move || {
        for shape in shapes {
            for size in [20, 40, 64, 130, 400, 1000, 4000] {
                let source = shape(size);
                match Rule::parse(&source) {
                    // Double signs cancel out, so no length of them is deep.
                    Ok(_) => assert!(size <= 40 || source.starts_with("--"), "accepted: {source}"),
                    Err(error) => assert!(!error.reason.is_empty()),
                }
            }
        }
    };
    let thread = std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(work)
        .unwrap();
    thread.join().unwrap();
}
