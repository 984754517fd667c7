//! What is asserted of every refusal.

use std::fmt::Debug;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::stack::{Stack, UnderTest};

/// Asserts that a call is refused with this code and reason, and that nothing was written.
pub async fn refused<S: UnderTest, T: Debug>(
    stack: &Stack<S>,
    code: Code,
    expected: &str,
    call: impl Future<Output = Result<T, Status>>,
) -> Status {
    let before = stack.written().await;
    let status = call.await.expect_err("the call should be refused");
    assert_eq!(status.code(), code, "{status:?}");
    assert_eq!(reason(&status), expected, "{status:?}");
    assert_eq!(
        stack.written().await,
        before,
        "a refused call wrote something"
    );
    status
}

/// Asserts that a call is refused because of these fields, in this order, and that nothing was written.
pub async fn malformed<S: UnderTest, T: Debug>(
    stack: &Stack<S>,
    expected: &[&str],
    call: impl Future<Output = Result<T, Status>>,
) -> Status {
    let status = refused(stack, Code::InvalidArgument, "FIELD_VIOLATIONS", call).await;
    assert_eq!(fields(&status), expected, "{status:?}");
    status
}

/// The machine-readable reason of a refusal.
pub fn reason(status: &Status) -> String {
    let info = status
        .get_details_error_info()
        .expect("every refusal has an ErrorInfo");
    assert_eq!(info.domain, "vefa", "{status:?}");
    info.reason
}

/// The fields that a refusal finds fault with.
pub fn fields(status: &Status) -> Vec<String> {
    let bad = status
        .get_details_bad_request()
        .expect("INVALID_ARGUMENT names its fields");
    bad.field_violations
        .into_iter()
        .map(|violation| violation.field)
        .collect()
}

/// What a refusal says is not as the call requires, as `type/name`.
pub fn preconditions(status: &Status) -> Vec<String> {
    let failure = status
        .get_details_precondition_failure()
        .expect("FAILED_PRECONDITION names its subjects");
    failure
        .violations
        .into_iter()
        .map(|violation| violation.subject)
        .collect()
}
