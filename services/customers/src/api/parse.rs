//! Requests to domain types. Everything that is wrong with a request is told at once, and never by repeating what it says.

mod consent;
mod filter;
mod identifier;
mod order;
mod profile;

use aggregate::CustomerId;
use event_log::timestamp;
use prost_types::Timestamp;
use service::status::Violations;
use time::OffsetDateTime;
use tonic::Status;

pub(super) use consent::{consent, withdrawal};
pub(super) use filter::filter;
pub(super) use identifier::identifier;
pub(super) use order::order;
pub(super) use profile::{affiliation, kind, profile, profile_change, profile_fields};

/// What was parsed, unless something is wrong.
pub(super) fn complete<T>(violations: Violations, parsed: Option<T>) -> Result<T, Status> {
    violations.into_result()?;
    Ok(parsed.expect("what could not be parsed is noted as a violation"))
}

/// What may be left empty.
pub(super) fn optional<T, E: std::fmt::Display>(
    violations: &mut Violations,
    path: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    if text.trim().is_empty() {
        None
    } else {
        violations.parsed(path, parse(text))
    }
}

/// The id of the customer that a request is about.
pub(super) fn customer_id(violations: &mut Violations, text: &str) -> Option<CustomerId> {
    party_id(violations, "customer_id", text)
}

/// The id of a customer at `path`. The nil UUID is nobody's: under it stands the tenant's own key.
pub(super) fn party_id(violations: &mut Violations, path: &str, text: &str) -> Option<CustomerId> {
    let id: CustomerId = violations.parsed(path, text.parse())?;
    if id.0.is_nil() {
        violations.add(path, "must not be the nil UUID");
        return None;
    }
    Some(id)
}

/// When something happened: now when nobody says, and never in the future.
pub(super) fn happened(
    violations: &mut Violations,
    path: &str,
    moment: Option<&Timestamp>,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    let Some(moment) = moment else {
        return Some(now);
    };
    let moment = violations.parsed(path, timestamp::from_proto(moment))?;
    if moment > now {
        violations.add(path, "must not be in the future");
        return None;
    }
    Some(moment)
}

/// The version that an etag stands for; none for an empty one.
pub(super) fn etag(violations: &mut Violations, text: &str) -> Option<i64> {
    etag_at(violations, "etag", text)
}

/// The version that an etag at `path` stands for.
pub(super) fn etag_at(violations: &mut Violations, path: &str, text: &str) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let version = text.parse().ok().filter(|version: &i64| *version > 0);
    if version.is_none() {
        violations.add(path, "is not an etag of a customer");
    }
    version
}
