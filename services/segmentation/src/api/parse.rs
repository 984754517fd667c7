//! Requests into domain types, and what is wrong with them.

use event_log::timestamp;
use prost_types::Timestamp;
use service::status::{self, Violations};
use time::OffsetDateTime;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::domain::rule::{Rule, RuleError};

/// Reason of the refusal of a rule.
const RULE_INVALID: &str = "RULE_INVALID";

/// An id that must be given.
pub(super) fn id<T>(path: &str, text: &str) -> Result<T, Status>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    text.parse()
        .map_err(|error: T::Err| status::invalid_field(path, error.to_string()))
}

/// A moment that must be given.
pub(super) fn moment(path: &str, moment: Option<&Timestamp>) -> Result<OffsetDateTime, Status> {
    optional_moment(path, moment)?.ok_or_else(|| status::invalid_field(path, "must be given"))
}

/// A moment that may be given.
pub(super) fn optional_moment(
    path: &str,
    moment: Option<&Timestamp>,
) -> Result<Option<OffsetDateTime>, Status> {
    moment
        .map(timestamp::from_proto)
        .transpose()
        .map_err(|error| status::invalid_field(path, error.to_string()))
}

/// A rule. What is wrong with it is told with line and column, for people and for programs.
pub(super) fn rule(text: &str) -> Result<Rule, Status> {
    Rule::parse(text).map_err(|error| refused_rule(&error))
}

fn refused_rule(error: &RuleError) -> Status {
    let metadata = [
        ("line", error.line.to_string()),
        ("column", error.column.to_string()),
        ("text", error.text.clone()),
        ("reason", error.reason.clone()),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value));
    let mut details = ErrorDetails::with_error_info(RULE_INVALID, status::DOMAIN, metadata);
    details.add_bad_request_violation("rule", error.to_string());
    Status::with_error_details(Code::InvalidArgument, format!("rule: {error}"), details)
}

/// A number of rows from 0 to `max`.
pub(super) fn up_to(path: &str, number: i32, max: u32) -> Result<u32, Status> {
    let mut violations = Violations::new();
    let given = u32::try_from(number).ok().filter(|number| *number <= max);
    violations.check(given.is_some(), path, &format!("must be 0 to {max}"));
    violations.into_result()?;
    Ok(given.unwrap_or_default())
}
