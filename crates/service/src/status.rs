//! gRPC errors that say precisely what is wrong, with the details of the `google.rpc` error
//! model (AIP-193): every one has an `ErrorInfo` with the domain `vefa` and a reason that a
//! program can act on. Only `api.rs` of a service and this crate make a `Status`.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use uuid::Uuid;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "vefa";

/// Metadata of an answer whose error was logged: the id under which the log has it.
pub const ERROR_ID_HEADER: &str = "vefa-error-id";

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field, such as `lines[2].quantity`.
    pub path: String,
    /// What is wrong with it, such as `must be above 0`.
    pub reason: String,
}

/// Collects everything that is wrong with a request, so that one answer tells it all.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// No violation yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that the field at `path` is wrong unless `holds`.
    pub fn check(&mut self, holds: bool, path: &str, reason: &str) -> &mut Self {
        if !holds {
            self.add(path, reason);
        }
        self
    }

    /// Notes that the field at `path` is wrong.
    pub fn add(&mut self, path: impl Into<String>, reason: impl Into<String>) -> &mut Self {
        self.0.push(FieldViolation {
            path: path.into(),
            reason: reason.into(),
        });
        self
    }

    /// The parsed value, or none and the error noted as the reason why `path` is wrong.
    pub fn parsed<T, E: std::fmt::Display>(
        &mut self,
        path: &str,
        parsed: Result<T, E>,
    ) -> Option<T> {
        parsed
            .map_err(|error| self.add(path, error.to_string()))
            .ok()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Passes if nothing is wrong.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with every violation noted.
    pub fn into_result(self) -> Result<(), Status> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(invalid_argument(self.0))
        }
    }
}

/// The request itself is wrong, whatever the state. Reason `FIELD_VIOLATIONS`.
pub fn invalid_argument(violations: Vec<FieldViolation>) -> Status {
    let message = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.path, violation.reason))
        .collect::<Vec<_>>()
        .join("; ");
    let mut details = info("FIELD_VIOLATIONS", []);
    for violation in violations {
        details.add_bad_request_violation(violation.path, violation.reason);
    }
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// One field of the request is wrong. Reason `FIELD_VIOLATIONS`.
pub fn invalid_field(path: impl Into<String>, reason: impl Into<String>) -> Status {
    invalid_argument(vec![FieldViolation {
        path: path.into(),
        reason: reason.into(),
    }])
}

/// There is no such thing, or it is another tenant's. Reason `NOT_FOUND`.
pub fn not_found(resource_type: &str, name: &str) -> Status {
    let mut details = info("NOT_FOUND", []);
    details.set_resource_info(resource_type, name, "", "it does not exist");
    Status::with_error_details(
        Code::NotFound,
        format!("no {resource_type} {name}"),
        details,
    )
}

/// The caller expected another version than the present one. Reason `VERSION_MISMATCH`.
pub fn aborted_version(resource_type: &str, name: &str, expected: u64, actual: u64) -> Status {
    let mut details = info(
        "VERSION_MISMATCH",
        [
            ("expected", expected.to_string()),
            ("actual", actual.to_string()),
        ],
    );
    details.set_resource_info(resource_type, name, "", "it changed in the meantime");
    let message = format!("{resource_type} {name} is at version {actual}, not {expected}");
    Status::with_error_details(Code::Aborted, message, details)
}

/// The name, or the request id with other content, is taken. `reason` is a constant such as
/// `IDENTIFIER_TAKEN`.
pub fn already_exists(resource_type: &str, name: &str, reason: &str) -> Status {
    let mut details = info(reason, []);
    details.set_resource_info(resource_type, name, "", "it is taken");
    let message = format!("{resource_type} {name} already exists ({reason})");
    Status::with_error_details(Code::AlreadyExists, message, details)
}

/// The state forbids it. `reason` is a constant such as `CAMPAIGN_NOT_DRAFT`; `subject` names
/// what is in that state.
pub fn failed_precondition(reason: &str, subject: &str, description: &str) -> Status {
    let mut details = info(reason, []);
    details.add_precondition_failure_violation(reason, subject, description);
    Status::with_error_details(Code::FailedPrecondition, description, details)
}

/// The caller is known and may not do this. `reason` is a constant such as `SCOPE_MISSING`.
pub fn permission_denied<const N: usize>(
    reason: &str,
    message: &str,
    metadata: [(&str, String); N],
) -> Status {
    Status::with_error_details(Code::PermissionDenied, message, info(reason, metadata))
}

/// It is not known who calls. `reason` is a constant such as `TOKEN_EXPIRED`.
pub fn unauthenticated(reason: &str, message: &str) -> Status {
    Status::with_error_details(Code::Unauthenticated, message, info(reason, []))
}

/// Not now; worth another try after `retry_delay`.
pub fn unavailable(reason: &str, message: &str, retry_delay: Duration) -> Status {
    let mut details = info(reason, []);
    details.set_retry_info(Some(retry_delay));
    Status::with_error_details(Code::Unavailable, message, details)
}

/// Too much is asked for at once. `reason` names the limit, such as `IMPORT_ROWS_IN_FLIGHT`.
pub fn resource_exhausted(reason: &str, message: &str) -> Status {
    Status::with_error_details(Code::ResourceExhausted, message, info(reason, []))
}

/// The time for it is over; whether it was done is not known. `reason` is a constant such as
/// `READ_MODEL_BEHIND`.
pub fn deadline_exceeded(reason: &str, message: &str) -> Status {
    Status::with_error_details(Code::DeadlineExceeded, message, info(reason, []))
}

/// The world broke, or we have a bug. The whole chain of causes is logged once, here, under an
/// id; the caller gets the id and nothing else.
pub fn internal(error: &(dyn Error + 'static)) -> Status {
    internal_logged(&chain(error))
}

pub(crate) fn internal_logged(causes: &str) -> Status {
    let error_id = Uuid::new_v4().to_string();
    tracing::error!(error_id, error = causes, "internal error");
    let details = info("INTERNAL", [("error_id", error_id.clone())]);
    let message = format!("internal error {error_id}");
    let mut status = Status::with_error_details(Code::Internal, message, details);
    let value = error_id.parse().expect("a UUID is ASCII");
    status.metadata_mut().insert(ERROR_ID_HEADER, value);
    status
}

/// An error with its causes in one line. Our Displays never repeat their source.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, ": {cause}").expect("writing to a String never fails");
        source = cause.source();
    }
    text
}

fn info<const N: usize>(reason: &str, metadata: [(&str, String); N]) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    ErrorDetails::with_error_info(reason, DOMAIN, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_tells_every_violation() {
        let mut violations = Violations::new();
        violations.check(false, "lines[2].quantity", "must be above 0");
        violations.check(true, "lines[2].price", "must be above 0");
        assert_eq!(violations.parsed("at", "x".parse::<i32>()), None);
        let status = violations.into_result().unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        let bad = status.get_details_bad_request().unwrap().field_violations;
        let paths: Vec<_> = bad
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        assert_eq!(paths, ["lines[2].quantity", "at"]);
        assert!(
            status
                .message()
                .contains("lines[2].quantity: must be above 0")
        );
    }

    #[test]
    fn no_violation_passes() {
        assert!(Violations::new().into_result().is_ok());
    }

    #[test]
    fn an_internal_error_tells_its_id_and_nothing_else() {
        #[derive(Debug, thiserror::Error)]
        #[error("the insert failed")]
        struct Outer(#[source] std::num::ParseIntError);

        let error = Outer("secret".parse::<i32>().unwrap_err());
        assert_eq!(
            chain(&error),
            "the insert failed: invalid digit found in string"
        );
        let status = internal(&error);
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("insert"));
        let id = &status.get_details_error_info().unwrap().metadata["error_id"];
        assert!(status.message().contains(id));
        assert_eq!(status.metadata().get(ERROR_ID_HEADER).unwrap(), id.as_str());
    }

    #[test]
    fn a_stale_version_says_which_is_current() {
        let status = aborted_version("customer", "c1", 3, 5);
        assert_eq!(status.code(), Code::Aborted);
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("VERSION_MISMATCH", DOMAIN)
        );
        assert_eq!(info.metadata["actual"], "5");
    }

    #[test]
    fn unavailable_says_when_to_try_again() {
        let status = unavailable("DATABASE", "try again", Duration::from_millis(250));
        let delay = status.get_details_retry_info().unwrap().retry_delay;
        assert_eq!(delay, Some(Duration::from_millis(250)));
    }
}
