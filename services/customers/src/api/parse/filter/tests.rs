use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Result<Option<Condition>, String> {
    let mut violations = Violations::new();
    let condition = filter(&mut violations, text);
    violations
        .into_result()
        .map_err(|status| status.message().to_owned())?;
    Ok(condition)
}

fn of_team(team: &str) -> Condition {
    Condition::Compare(
        Column::Team,
        Comparison::Equal,
        Value::Text(team.to_owned()),
    )
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

#[test]
fn an_empty_filter_takes_everybody() {
    assert_eq!(parsed(""), Ok(None));
    assert_eq!(parsed(" \n"), Ok(None));
}

#[test]
fn or_binds_tighter_than_and() {
    let (a, b, c) = (of_team("a"), of_team("b"), of_team("c"));
    let expected = Condition::All(vec![a, Condition::Any(vec![b, c])]);
    for text in [
        "team = a AND team = b OR team = c",
        "team=a (team:b OR team = \"c\")",
    ] {
        assert_eq!(parsed(text), Ok(Some(expected.clone())), "{text}");
    }
}

#[test]
fn each_kind_of_field_has_its_values() {
    let moment = time::macros::datetime!(2026-01-31 01:00 UTC);
    let id = Uuid::from_u128(7);
    for (text, expected) in [
        (
            "kind = CUSTOMER_KIND_BUSINESS".to_owned(),
            Condition::Compare(Column::Kind, Comparison::Equal, Value::Number(2)),
        ),
        (
            "lifecycle.stage != \"LIFECYCLE_STAGE_LOST\"".to_owned(),
            not(Condition::Compare(
                Column::Stage,
                Comparison::Equal,
                Value::Number(4),
            )),
        ),
        (
            "registered_time < \"2026-01-31T02:00:00+01:00\"".to_owned(),
            Condition::Compare(
                Column::RegisteredAt,
                Comparison::Less,
                Value::Moment(moment),
            ),
        ),
        (
            format!("owner.employee_id = {id}"),
            Condition::Compare(Column::OwnerId, Comparison::Equal, Value::Id(id)),
        ),
        (
            "owner.role = \"rep*\"".to_owned(),
            Condition::Form(Column::OwnerRole, "rep*".to_owned()),
        ),
        (
            "NOT owner:*".to_owned(),
            not(Condition::Present(Column::OwnerId)),
        ),
        ("-team:*".to_owned(), not(Condition::Present(Column::Team))),
    ] {
        assert_eq!(parsed(&text), Ok(Some(expected)), "{text}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_not_repeated() {
    for (text, reason) in [
        ("team = ", "filter: character 8: unexpected end of filter"),
        ("(team = a", "filter: character 10: expected ')'"),
        ("team = a)", "filter: character 9: unexpected input"),
        ("şşş = \"a", "filter: character 7: unterminated string"),
        (
            "team = a AND kind = SECRET",
            "filter: comparison 2: kind must be compared with CUSTOMER_KIND_PERSON or CUSTOMER_KIND_BUSINESS",
        ),
        (
            "kind = CUSTOMER_KIND_UNSPECIFIED",
            "filter: comparison 1: kind must be compared with CUSTOMER_KIND_PERSON or CUSTOMER_KIND_BUSINESS",
        ),
        (
            "team < b",
            "filter: comparison 1: team has no order; it can be compared by =, != and :",
        ),
        (
            "SECRET",
            "filter: comparison 1: must compare a field with a value; names are looked for with SearchCustomers",
        ),
        (
            "f(team) = a",
            "filter: comparison 1: there are no functions",
        ),
        (
            "owner.employee_id = 7",
            "filter: comparison 1: owner.employee_id must be compared with a UUID",
        ),
        (
            "team = (a OR b)",
            "filter: comparison 1: team must be compared with one value, quoted where it has other characters than letters, \
             digits, - and _",
        ),
        (
            "team = \"a\0\"",
            "filter: comparison 1: team must be compared with a text without NUL",
        ),
    ] {
        assert_eq!(parsed(text), Err(reason.to_owned()), "{text}");
    }
    let unknown = parsed("secret.field = a").unwrap_err();
    assert!(
        unknown.starts_with("filter: comparison 1: must begin with one of kind, "),
        "{unknown}"
    );
    assert!(!unknown.contains("secret"), "{unknown}");
    let unquoted = parsed("registered_time > 2026-01-31T00:00:00Z").unwrap_err();
    assert!(unquoted.contains("character 32"), "{unquoted}");
}

#[test]
fn one_answer_tells_all_that_is_wrong() {
    let reasons = parsed("team < a AND NOT kind = x OR f() = 1").unwrap_err();
    for comparison in ["comparison 1", "comparison 2", "comparison 3"] {
        assert!(reasons.contains(comparison), "{reasons}");
    }
}

#[test]
fn long_deep_and_wide_filters_are_refused() {
    let deep = format!("{}team = a{}", "(".repeat(33), ")".repeat(33));
    let wide = vec!["team=a"; 65].join(" ");
    let long = format!("team = {}", "a".repeat(2048));
    for (text, reason) in [
        (deep, "filter: must not be nested deeper than 32 levels"),
        (wide, "filter: must have at most 64 comparisons"),
        (long, "filter: must have at most 2048 bytes"),
    ] {
        assert_eq!(parsed(&text), Err(reason.to_owned()));
    }
}

/// A condition as a text.
fn written(condition: &Condition) -> String {
    let joined = |parts: &[Condition], operator: &str| {
        let parts: Vec<String> = parts.iter().map(written).collect();
        format!("({})", parts.join(operator))
    };
    match condition {
        Condition::All(parts) => joined(parts, " AND "),
        Condition::Any(parts) => joined(parts, " OR "),
        Condition::Not(part) => format!("NOT ({})", written(part)),
        Condition::Present(column) => format!("{}:*", name_of(*column)),
        Condition::Form(column, form) => format!("{} = {}", name_of(*column), quoted(form)),
        Condition::Compare(column, comparison, value) => {
            let comparison = match comparison {
                Comparison::Equal => "=",
                Comparison::Less => "<",
                Comparison::LessOrEqual => "<=",
                Comparison::Greater => ">",
                Comparison::GreaterOrEqual => ">=",
            };
            let value = match value {
                Value::Number(number) => pb::LifecycleStage::try_from(i32::from(*number))
                    .unwrap()
                    .as_str_name()
                    .to_owned(),
                Value::Text(text) => quoted(text),
                Value::Id(id) => id.to_string(),
                Value::Moment(moment) => quoted(&moment.format(&Rfc3339).unwrap()),
                Value::Date(date) => date.to_string(),
            };
            format!("{} {comparison} {value}", name_of(*column))
        }
    }
}

fn name_of(column: Column) -> &'static str {
    let (name, _, _) = FIELDS
        .iter()
        .rfind(|(_, other, _)| *other == column)
        .unwrap();
    name
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn comparison_of_any() -> impl Strategy<Value = Condition> {
    let text = "[a-z \"'\\\\()ş=-]{0,6}";
    let compare = |column, value| Condition::Compare(column, Comparison::Equal, value);
    let orders = vec![
        Comparison::Equal,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ];
    prop_oneof![
        text.prop_map(move |text| compare(Column::Team, Value::Text(text))),
        text.prop_map(|text| Condition::Form(Column::Locale, format!("{text}*"))),
        (1i16..=5).prop_map(move |stage| compare(Column::Stage, Value::Number(stage))),
        any::<u128>().prop_map(move |id| compare(Column::OwnerId, Value::Id(Uuid::from_u128(id)))),
        (prop::sample::select(orders), 0i64..4_000_000_000).prop_map(|(order, seconds)| {
            let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            Condition::Compare(Column::OwnerSince, order, Value::Moment(moment))
        }),
        (0i32..40_000).prop_map(|day| {
            let date = Date::from_julian_day(2_420_000 + day).unwrap();
            Condition::Compare(Column::BirthDate, Comparison::Less, Value::Date(date))
        }),
        Just(Condition::Present(Column::Country)),
    ]
}

fn conditions() -> impl Strategy<Value = Condition> {
    comparison_of_any().prop_recursive(4, 24, 3, |part| {
        prop_oneof![
            prop::collection::vec(part.clone(), 2..4).prop_map(Condition::All),
            prop::collection::vec(part.clone(), 2..4).prop_map(Condition::Any),
            part.prop_map(not),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(condition in conditions()) {
        let text = written(&condition);
        prop_assert_eq!(parsed(&text), Ok(Some(condition)), "{}", text);
    }

    #[test]
    fn nothing_makes_it_panic(text in "[a-z.=<>!:()\"'\\\\ANDORT *ş-]{0,40}") {
        drop(parsed(&text));
    }
}
