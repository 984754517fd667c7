//! Which customers of the list are wanted: checked conditions over its columns, and their SQL.

use sqlx::{Postgres, QueryBuilder};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// A column that a condition may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Kind,
    Affiliation,
    Stage,
    StageReason,
    StageSince,
    OwnerId,
    OwnerRole,
    OwnerSince,
    Team,
    Country,
    Locale,
    TimeZone,
    RegisteredAt,
    BirthDate,
    Gender,
    IncomeBand,
    Sector,
    CompanySize,
    Region,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Affiliation => "affiliation",
            Self::Stage => "stage",
            Self::StageReason => "stage_reason",
            Self::StageSince => "stage_since",
            Self::OwnerId => "owner_id",
            Self::OwnerRole => "owner_role",
            Self::OwnerSince => "owner_since",
            Self::Team => "team",
            Self::Country => "country_code",
            Self::Locale => "locale",
            Self::TimeZone => "time_zone",
            Self::RegisteredAt => "registered_at",
            Self::BirthDate => "birth_date",
            Self::Gender => "gender",
            Self::IncomeBand => "income_band",
            Self::Sector => "sector",
            Self::CompanySize => "company_size",
            Self::Region => "region_code",
        }
    }
}

/// A value to compare with, of the column's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// The number of an enum.
    Number(i16),
    Text(String),
    Id(Uuid),
    Moment(OffsetDateTime),
    Date(Date),
}

/// How to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A condition that is true or false of every row, never unknown: a column without a value is equal to nothing and before or after nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Column, Comparison, Value),
    /// A text of this form; `*` stands for anything.
    Form(Column, String),
    /// The column has a value.
    Present(Column),
}

impl Condition {
    /// Adds the condition on the row `list` to a statement. Nothing of a request stands in the text, only parameters.
    pub(super) fn push_to(&self, sql: &mut QueryBuilder<Postgres>) {
        match self {
            Self::All(parts) => push_joined(sql, parts, " and ", "true"),
            Self::Any(parts) => push_joined(sql, parts, " or ", "false"),
            Self::Not(part) => {
                sql.push("not ");
                part.push_to(sql);
            }
            Self::Compare(column, comparison, value) => {
                push_present(sql, *column);
                sql.push(match comparison {
                    Comparison::Equal => " = ",
                    Comparison::Less => " < ",
                    Comparison::LessOrEqual => " <= ",
                    Comparison::Greater => " > ",
                    Comparison::GreaterOrEqual => " >= ",
                });
                match value {
                    Value::Number(number) => sql.push_bind(*number),
                    Value::Text(text) => sql.push_bind(text.clone()),
                    Value::Id(id) => sql.push_bind(*id),
                    Value::Moment(moment) => sql.push_bind(*moment),
                    Value::Date(date) => sql.push_bind(*date),
                };
                sql.push(")");
            }
            Self::Form(column, form) => {
                push_present(sql, *column);
                sql.push(" like ").push_bind(pattern(form)).push(")");
            }
            Self::Present(column) => {
                sql.push("list.").push(column.name()).push(" is not null");
            }
        }
    }
}

fn push_joined(
    sql: &mut QueryBuilder<Postgres>,
    parts: &[Condition],
    operator: &str,
    of_none: &str,
) {
    if parts.is_empty() {
        sql.push(of_none);
        return;
    }
    sql.push("(");
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            sql.push(operator);
        }
        part.push_to(sql);
    }
    sql.push(")");
}

/// Begins a comparison that is false where there is no value, so that its negation is true.
fn push_present(sql: &mut QueryBuilder<Postgres>, column: Column) {
    sql.push("(list.").push(column.name());
    sql.push(" is not null and list.").push(column.name());
}

/// The pattern of LIKE for a text in which `*` stands for anything and everything else for itself.
fn pattern(form: &str) -> String {
    let mut pattern = String::with_capacity(form.len());
    for letter in form.chars() {
        match letter {
            '*' => pattern.push('%'),
            '%' | '_' | '\\' => pattern.extend(['\\', letter]),
            letter => pattern.push(letter),
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(condition: &Condition) -> String {
        let mut sql = QueryBuilder::new("");
        condition.push_to(&mut sql);
        sql.sql().as_str().to_owned()
    }

    #[test]
    fn values_are_parameters() {
        let text = "x' or true --".to_owned();
        let condition = Condition::Not(Box::new(Condition::Any(vec![
            Condition::Compare(Column::Team, Comparison::Equal, Value::Text(text)),
            Condition::Compare(Column::Kind, Comparison::Equal, Value::Number(1)),
            Condition::Form(Column::OwnerRole, "rep*".to_owned()),
        ])));
        assert_eq!(
            sql(&condition),
            "not ((list.team is not null and list.team = $1) or (list.kind is not null and list.kind = $2) \
             or (list.owner_role is not null and list.owner_role like $3))"
        );
    }

    #[test]
    fn only_the_star_stands_for_anything() {
        assert_eq!(pattern("100%_*\\"), "100\\%\\_%\\\\");
    }
}
