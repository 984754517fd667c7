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

/// An append is written at whatever version its stream is.
pub(crate) fn version() -> bool {
    fail::fail_point!("broken-version", |_| true);
    false
}

/// Whoever lost the lease writes all the same.
pub(crate) fn fence() -> bool {
    fail::fail_point!("broken-fence", |_| true);
    false
}

/// Events of a parked stream do not wait for those before them.
pub(crate) fn parked() -> bool {
    fail::fail_point!("broken-parked", |_| true);
    false
}

/// An event that is not known is passed over.
pub(crate) fn unknown() -> bool {
    fail::fail_point!("broken-unknown", |_| true);
    false
}

/// Rebuilt tables take their place while the live projection goes on.
pub(crate) fn takeover() -> bool {
    fail::fail_point!("broken-takeover", |_| true);
    false
}

/// A timer that fires stays.
pub(crate) fn timer_taken() -> bool {
    fail::fail_point!("broken-timer-taken", |_| true);
    false
}

/// A timer is taken away before its effect, in a transaction of its own.
pub(crate) fn timer_whole() -> bool {
    fail::fail_point!("broken-timer-whole", |_| true);
    false
}

/// The receipt of an erasure is written, and the key stays.
pub(crate) fn erasure() -> bool {
    fail::fail_point!("broken-erasure", |_| true);
    false
}
