//! When an interaction may have happened.

use time::{Duration, OffsetDateTime};

/// How far another system's clock may be ahead of ours.
pub(crate) const CLOCK_SKEW_MAX: Duration = Duration::minutes(5);
/// Anything earlier is a mistake: no customer of today bought in the century before the last.
const YEAR_MIN: i32 = 1900;

/// A moment at which nothing can have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidMoment {
    /// It has not come yet.
    #[error("must not be in the future")]
    Future,
    /// Too long ago.
    #[error("must not be before the year {YEAR_MIN}")]
    TooEarly,
}

/// A moment that has come, allowing for [`CLOCK_SKEW_MAX`], in the year 1900 or later.
pub(crate) fn occurred(
    at: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<OffsetDateTime, InvalidMoment> {
    if at > now + CLOCK_SKEW_MAX {
        return Err(InvalidMoment::Future);
    }
    if at.year() < YEAR_MIN {
        return Err(InvalidMoment::TooEarly);
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

    #[test]
    fn the_future_begins_after_the_skew() {
        let last = NOW + CLOCK_SKEW_MAX;
        assert_eq!(occurred(last, NOW), Ok(last));
        assert_eq!(
            occurred(last + Duration::microseconds(1), NOW),
            Err(InvalidMoment::Future)
        );
    }

    #[test]
    fn the_past_begins_in_1900() {
        let first = datetime!(1900-01-01 00:00 UTC);
        assert_eq!(occurred(first, NOW), Ok(first));
        assert_eq!(
            occurred(first - Duration::microseconds(1), NOW),
            Err(InvalidMoment::TooEarly)
        );
    }
}
