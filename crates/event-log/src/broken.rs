//! The guards that a test can leave out, to see that what checks them finds it. Without the feature `failpoints` of the crate `fail`
//! each is a constant.

/// A command's record is not written with its events.
pub(crate) fn record() -> bool {
    fail::fail_point!("broken-record", |_| true);
    false
}

/// What is stored as a command's response is not what was answered.
pub(crate) fn response() -> bool {
    fail::fail_point!("broken-response", |_| true);
    false
}

/// Of what a command appends only the first stream's part is written.
pub(crate) fn whole() -> bool {
    fail::fail_point!("broken-whole", |_| true);
    false
}

/// Each append leaves out a position of every partition that it touches.
pub(crate) fn positions() -> bool {
    fail::fail_point!("broken-positions", |_| true);
    false
}

/// A projection's checkpoint moves before its rows are written, in a transaction of its own.
pub(crate) fn checkpoint() -> bool {
    fail::fail_point!("broken-checkpoint", |_| true);
    false
}
