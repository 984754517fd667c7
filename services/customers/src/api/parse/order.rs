//! The order of a list (AIP-132).

use service::status::Violations;

use crate::read_model::{Order, Sort};

/// The order that a text asks for; that of registration for an empty one.
pub(in crate::api) fn order(violations: &mut Violations, text: &str) -> Order {
    if text.trim().is_empty() {
        return Order::default();
    }
    let mut fields: Vec<(Sort, bool)> = Vec::new();
    for (number, field) in text.split(',').enumerate() {
        let mut words = field.split_ascii_whitespace();
        let sort = match words.next() {
            Some("registered_time") => Some(Sort::RegisteredAt),
            Some("lifecycle.since_time") => Some(Sort::StageSince),
            Some(_) | None => None,
        };
        let descending = match (words.next(), words.next()) {
            (None, _) => Some(false),
            (Some("desc"), None) => Some(true),
            (Some(_), _) => None,
        };
        let place = number + 1;
        match (sort, descending) {
            (None, _) => {
                let reason =
                    format!("field {place} must be registered_time or lifecycle.since_time");
                violations.add("order_by", reason);
            }
            (Some(_), None) => {
                violations.add(
                    "order_by",
                    format!("field {place} may be followed by desc alone"),
                );
            }
            (Some(sort), Some(_)) if fields.iter().any(|(other, _)| *other == sort) => {
                violations.add("order_by", format!("field {place} stands there already"));
            }
            (Some(sort), Some(descending)) => fields.push((sort, descending)),
        }
    }
    Order::by(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Order, String> {
        let mut violations = Violations::new();
        let order = order(&mut violations, text);
        violations
            .into_result()
            .map_err(|status| status.message().to_owned())?;
        Ok(order)
    }

    #[test]
    fn takes_fields_with_a_direction() {
        let both = Order::by([(Sort::StageSince, true), (Sort::RegisteredAt, false)]);
        for text in [
            "lifecycle.since_time desc, registered_time",
            " lifecycle.since_time   desc,registered_time ",
        ] {
            assert_eq!(parsed(text), Ok(both.clone()), "{text}");
        }
        assert_eq!(parsed("  "), Ok(Order::default()));
    }

    #[test]
    fn names_the_field_that_is_wrong() {
        for (text, reason) in [
            (
                "name",
                "order_by: field 1 must be registered_time or lifecycle.since_time",
            ),
            (
                "registered_time,",
                "order_by: field 2 must be registered_time or lifecycle.since_time",
            ),
            (
                "registered_time asc",
                "order_by: field 1 may be followed by desc alone",
            ),
            (
                "registered_time desc desc",
                "order_by: field 1 may be followed by desc alone",
            ),
            (
                "registered_time, registered_time desc",
                "order_by: field 2 stands there already",
            ),
        ] {
            assert_eq!(parsed(text), Err(reason.to_owned()), "{text}");
        }
    }
}
