//! The guards that a test can leave out, to see that what checks them finds it. Without the feature `failpoints` of the crate `fail`
//! each is a constant.

/// A batch is published wherever the stream ends.
pub(crate) fn expected_sequence() -> bool {
    fail::fail_point!("broken-expected-sequence", |_| true);
    false
}

/// A relay takes any stream for a copy of its log.
pub(crate) fn copy() -> bool {
    fail::fail_point!("broken-copy", |_| true);
    false
}

/// A running relay does not look whether its stream is what it made of it.
pub(crate) fn undisturbed() -> bool {
    fail::fail_point!("broken-undisturbed", |_| true);
    false
}

/// A follower passes over what its stream lacks.
pub(crate) fn hole() -> bool {
    fail::fail_point!("broken-hole", |_| true);
    false
}
