//! Whether a value conforms to a schema, as far as schemas of the catalogue go; stricter in that no property is unknown.

use serde_json::{Map, Value};

/// What does not conform, in words. A schema that says something else than the catalogue's say is an error.
pub(super) fn wrong(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let schemas = all(document, schema);
    for schema in &schemas {
        one(document, schema, value, &mut wrong);
    }
    if let Value::Object(entries) = value {
        for name in entries.keys() {
            let knows = |schema: &&Map<String, Value>| {
                schema
                    .get("properties")
                    .is_some_and(|known| known.get(name).is_some())
            };
            if !schemas.iter().any(knows) {
                wrong.push(format!("{name} is not known"));
            }
        }
    }
    wrong
}

/// A schema with those that it refers to and consists of.
fn all<'a>(document: &'a Value, schema: &'a Value) -> Vec<&'a Map<String, Value>> {
    let schema = schema.as_object().unwrap();
    if let Some(reference) = schema.get("$ref") {
        let place = reference.as_str().unwrap().strip_prefix('#').unwrap();
        return all(document, document.pointer(place).unwrap());
    }
    let parts = schema.get("allOf").and_then(Value::as_array);
    let parts = parts.into_iter().flatten();
    std::iter::once(schema)
        .chain(parts.flat_map(|part| all(document, part)))
        .collect()
}

fn one(document: &Value, schema: &Map<String, Value>, value: &Value, wrong: &mut Vec<String>) {
    for (rule, says) in schema {
        let holds = match rule.as_str() {
            "title" | "description" | "allOf" | "contentEncoding" => true,
            extension if extension.starts_with("x-") => true,
            "type" => type_of(value).contains(&says.as_str().unwrap()),
            "const" => value == says,
            "enum" => says.as_array().unwrap().contains(value),
            "minimum" => value.as_i64() >= says.as_i64(),
            "maximum" => value.as_i64() <= says.as_i64(),
            "pattern" => matches(says.as_str().unwrap(), value.as_str().unwrap()),
            "format" => has_format(says.as_str().unwrap(), value.as_str().unwrap()),
            "required" => {
                let names = says.as_array().unwrap().iter();
                names
                    .map(|name| name.as_str().unwrap())
                    .all(|name| value.get(name).is_some())
            }
            "properties" => {
                for (name, schema) in says.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        let inner = self::wrong(document, schema, value);
                        wrong.extend(inner.into_iter().map(|text| format!("{name}: {text}")));
                    }
                }
                true
            }
            "items" => {
                for value in value.as_array().unwrap() {
                    wrong.extend(self::wrong(document, says, value));
                }
                true
            }
            unknown => panic!("the rule {unknown} is not checked here"),
        };
        if !holds {
            wrong.push(format!("{value} against {rule} {says}"));
        }
    }
}

fn type_of(value: &Value) -> &'static [&'static str] {
    match value {
        Value::Null => &["null"],
        Value::Bool(_) => &["boolean"],
        Value::Number(number) if number.is_f64() => &["number"],
        Value::Number(_) => &["number", "integer"],
        Value::String(_) => &["string"],
        Value::Array(_) => &["array"],
        Value::Object(_) => &["object"],
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let digits = match pattern {
        "^[0-9]+$" => text,
        "^-?[0-9]+$" => text.strip_prefix('-').unwrap_or(text),
        unknown => panic!("the pattern {unknown} is not checked here"),
    };
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_format(format: &str, text: &str) -> bool {
    match format {
        "uuid" => uuid::Uuid::try_parse(text).is_ok(),
        "date-time" => {
            let rfc3339 = &time::format_description::well_known::Rfc3339;
            time::OffsetDateTime::parse(text, rfc3339).is_ok()
        }
        unknown => panic!("the format {unknown} is not checked here"),
    }
}
