//! Filters of a list (AIP-160), checked against the fields that a list has. The grammar is the library's; what fields mean is ours.

use aip_160::{
    Arg, Comparable, Comparator, Expression, FilterError, Restriction, Value as Literal,
    parse_filter,
};
use contracts::customers::v1 as pb;
use service::status::Violations;
use time::{
    Date, OffsetDateTime,
    format_description::well_known::{Iso8601, Rfc3339},
};
use uuid::Uuid;

use crate::read_model::{Column, Comparison, Condition, Value};

const FILTER_BYTES_MAX: usize = 2048;
const COMPARISONS_MAX: usize = 64;

/// What a field's values are.
#[derive(Clone, Copy)]
enum Kind {
    /// Names of an enum, with their numbers.
    Enum(fn(&str) -> Option<i32>, &'static str),
    Text,
    Id,
    Moment,
    Date,
}

/// Every field that a filter may name, with its column.
const FIELDS: [(&str, Column, Kind); 20] = [
    (
        "kind",
        Column::Kind,
        Kind::Enum(kind, "CUSTOMER_KIND_PERSON or CUSTOMER_KIND_BUSINESS"),
    ),
    (
        "affiliation",
        Column::Affiliation,
        Kind::Enum(
            affiliation,
            "CUSTOMER_AFFILIATION_EXTERNAL or CUSTOMER_AFFILIATION_INTERNAL",
        ),
    ),
    (
        "lifecycle.stage",
        Column::Stage,
        Kind::Enum(
            stage,
            "LIFECYCLE_STAGE_ and PROSPECT, ACTIVE, LAPSED, LOST or WON_BACK",
        ),
    ),
    ("lifecycle.reason", Column::StageReason, Kind::Text),
    ("lifecycle.since_time", Column::StageSince, Kind::Moment),
    ("owner", Column::OwnerId, Kind::Id),
    ("owner.employee_id", Column::OwnerId, Kind::Id),
    ("owner.role", Column::OwnerRole, Kind::Text),
    ("owner.since_time", Column::OwnerSince, Kind::Moment),
    ("team", Column::Team, Kind::Text),
    ("profile.country_code", Column::Country, Kind::Text),
    ("profile.locale", Column::Locale, Kind::Text),
    ("profile.time_zone", Column::TimeZone, Kind::Text),
    ("profile.region_code", Column::Region, Kind::Text),
    ("profile.birth_date", Column::BirthDate, Kind::Date),
    (
        "profile.gender",
        Column::Gender,
        Kind::Enum(gender, "GENDER_ and FEMALE, MALE or OTHER"),
    ),
    ("profile.income_band", Column::IncomeBand, Kind::Text),
    ("profile.sector", Column::Sector, Kind::Text),
    (
        "profile.company_size",
        Column::CompanySize,
        Kind::Enum(
            company_size,
            "COMPANY_SIZE_ and MICRO, SMALL, MEDIUM or LARGE",
        ),
    ),
    ("registered_time", Column::RegisteredAt, Kind::Moment),
];

fn kind(name: &str) -> Option<i32> {
    pb::CustomerKind::from_str_name(name)
        .map(i32::from)
        .filter(|number| *number != 0)
}

fn affiliation(name: &str) -> Option<i32> {
    pb::CustomerAffiliation::from_str_name(name)
        .map(i32::from)
        .filter(|number| *number != 0)
}

fn stage(name: &str) -> Option<i32> {
    pb::LifecycleStage::from_str_name(name)
        .map(i32::from)
        .filter(|number| *number != 0)
}

fn gender(name: &str) -> Option<i32> {
    pb::Gender::from_str_name(name)
        .map(i32::from)
        .filter(|number| *number != 0)
}

fn company_size(name: &str) -> Option<i32> {
    pb::CompanySize::from_str_name(name)
        .map(i32::from)
        .filter(|number| *number != 0)
}

/// The condition that a filter stands for; none for an empty one. What is wrong is told with its place: the character where the text is no
/// filter, or the comparison, counted from 1, that a list does not know. What the filter says is not repeated.
pub(in crate::api) fn filter(violations: &mut Violations, text: &str) -> Option<Condition> {
    if text.len() > FILTER_BYTES_MAX {
        violations.add(
            "filter",
            format!("must have at most {FILTER_BYTES_MAX} bytes"),
        );
        return None;
    }
    let expression = match parse_filter(text) {
        Ok(filter) => filter.expression?,
        Err(error) => {
            violations.add("filter", syntax(text, &error));
            return None;
        }
    };
    let mut check = Check {
        violations,
        comparisons: 0,
    };
    let condition = check.condition(&expression);
    let too_many = check.comparisons > COMPARISONS_MAX;
    violations.check(!too_many, "filter", "must have at most 64 comparisons");
    condition
}

fn syntax(text: &str, error: &FilterError) -> String {
    match error {
        FilterError::Syntax { offset, message } => {
            let character = text
                .get(..*offset)
                .map_or(0, |before| before.chars().count())
                + 1;
            // The parser's own words, which name a character or a keyword that it expects and nothing of the text.
            format!("character {character}: {message}")
        }
        FilterError::TooDeep { limit } => format!("must not be nested deeper than {limit} levels"),
        // These come from a part of the library that is not in use, and from what may be added to it.
        FilterError::InvalidField(_)
        | FilterError::InvalidValue { .. }
        | FilterError::Unsupported(_)
        | _ => "is no filter".to_owned(),
    }
}

struct Check<'a> {
    violations: &'a mut Violations,
    comparisons: usize,
}

impl Check<'_> {
    fn condition(&mut self, expression: &Expression) -> Option<Condition> {
        match expression {
            // Words side by side must all be found, as if joined by AND.
            Expression::And(parts) | Expression::Sequence(parts) => {
                self.all(parts).map(Condition::All)
            }
            Expression::Or(parts) => self.all(parts).map(Condition::Any),
            Expression::Not(part) => Some(Condition::Not(Box::new(self.condition(part)?))),
            Expression::Restriction(restriction) => self.comparison(restriction),
            Expression::Global(_) => {
                self.comparisons += 1;
                self.wrong(
                    "must compare a field with a value; names are looked for with SearchCustomers",
                )
            }
        }
    }

    fn all(&mut self, parts: &[Expression]) -> Option<Vec<Condition>> {
        // Every part is looked at, so that one answer tells all that is wrong.
        let parts: Vec<_> = parts.iter().map(|part| self.condition(part)).collect();
        parts.into_iter().collect()
    }

    fn wrong(&mut self, reason: &str) -> Option<Condition> {
        let place = format!("comparison {}: {reason}", self.comparisons);
        self.violations.add("filter", place);
        None
    }

    fn comparison(&mut self, restriction: &Restriction) -> Option<Condition> {
        self.comparisons += 1;
        let Comparable::Member(_) = &restriction.comparable else {
            return self.wrong("there are no functions");
        };
        let path = restriction.comparable.field_path().unwrap_or_default();
        let Some((name, column, kind)) = FIELDS.iter().find(|(name, _, _)| *name == path) else {
            let names: Vec<&str> = FIELDS.iter().map(|(name, _, _)| *name).collect();
            return self.wrong(&format!("must begin with one of {}", names.join(", ")));
        };
        let literal = match &restriction.arg {
            Arg::Comparable(_) => restriction.arg.as_value(),
            Arg::Composite(_) => None,
        };
        let Some(literal) = literal else {
            return self.wrong(&format!("{name} must be compared with one value, quoted where it has other characters than letters, digits, - and _"));
        };
        if is_star(literal) && restriction.comparator == Comparator::Has {
            return Some(Condition::Present(*column));
        }
        let Some(comparison) = comparison(restriction.comparator) else {
            let equal = self.equal(name, *column, *kind, literal)?;
            return Some(Condition::Not(Box::new(equal)));
        };
        if comparison == Comparison::Equal {
            return self.equal(name, *column, *kind, literal);
        }
        match kind {
            Kind::Moment | Kind::Date => {
                let moment = self.value(name, *kind, literal)?;
                Some(Condition::Compare(*column, comparison, moment))
            }
            Kind::Enum(..) | Kind::Text | Kind::Id => self.wrong(&format!(
                "{name} has no order; it can be compared by =, != and :"
            )),
        }
    }

    fn equal(
        &mut self,
        name: &str,
        column: Column,
        kind: Kind,
        literal: &Literal,
    ) -> Option<Condition> {
        let has_form = literal.is_quoted() && literal.as_str().contains('*');
        if has_form && matches!(kind, Kind::Text) {
            return Some(Condition::Form(column, literal.as_str().to_owned()));
        }
        let value = self.value(name, kind, literal)?;
        Some(Condition::Compare(column, Comparison::Equal, value))
    }

    fn value(&mut self, name: &str, kind: Kind, literal: &Literal) -> Option<Value> {
        let text = literal.as_str();
        let (value, wanted) = match kind {
            Kind::Enum(number, names) => {
                let number = number(text).and_then(|number| i16::try_from(number).ok());
                (number.map(Value::Number), names)
            }
            // PostgreSQL takes no such character in a text.
            Kind::Text if text.contains('\0') => (None, "a text without NUL"),
            Kind::Text => (Some(Value::Text(text.to_owned())), "a text"),
            Kind::Id => (Uuid::try_parse(text).ok().map(Value::Id), "a UUID"),
            Kind::Moment => {
                let moment = OffsetDateTime::parse(text, &Rfc3339).ok();
                (
                    moment.map(Value::Moment),
                    "a quoted RFC 3339 moment, such as \"2026-01-31T00:00:00Z\"",
                )
            }
            Kind::Date => {
                let date = Date::parse(text, &Iso8601::DATE).ok();
                (date.map(Value::Date), "a date, such as 1990-05-17")
            }
        };
        if value.is_none() {
            self.wrong(&format!("{name} must be compared with {wanted}"));
        }
        value
    }
}

fn is_star(literal: &Literal) -> bool {
    *literal == Literal::Text("*".to_owned())
}

/// None for the negation of equality. `:` asks whether a field has a value, which of one value is whether it is equal.
fn comparison(comparator: Comparator) -> Option<Comparison> {
    match comparator {
        Comparator::Equal | Comparator::Has => Some(Comparison::Equal),
        Comparator::NotEqual => None,
        Comparator::LessThan => Some(Comparison::Less),
        Comparator::LessThanOrEqual => Some(Comparison::LessOrEqual),
        Comparator::GreaterThan => Some(Comparison::Greater),
        Comparator::GreaterThanOrEqual => Some(Comparison::GreaterOrEqual),
    }
}

#[cfg(test)]
mod tests;
