//! Moments between protobuf and the log. Both ends are exact to the microsecond, as PostgreSQL is.

use time::{Duration, OffsetDateTime};

/// A protobuf timestamp that is no moment of the years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a timestamp between the years 1 and 9999")]
pub struct InvalidTimestamp;

/// As protobuf.
#[must_use]
pub fn to_proto(moment: OffsetDateTime) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: moment.unix_timestamp(),
        nanos: i32::try_from(moment.nanosecond()).expect("nanoseconds of a second fit in 30 bits"),
    }
}

/// From protobuf, cut to the microsecond.
///
/// # Errors
/// When it is outside of what a timestamp may be.
pub fn from_proto(moment: &prost_types::Timestamp) -> Result<OffsetDateTime, InvalidTimestamp> {
    if !(0..1_000_000_000).contains(&moment.nanos) {
        return Err(InvalidTimestamp);
    }
    let seconds =
        OffsetDateTime::from_unix_timestamp(moment.seconds).map_err(|_| InvalidTimestamp)?;
    if seconds.year() < 1 || seconds.year() > 9999 {
        return Err(InvalidTimestamp);
    }
    Ok(seconds + Duration::microseconds(i64::from(moment.nanos) / 1000))
}
