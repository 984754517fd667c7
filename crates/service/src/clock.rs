//! The one place that reads the system clock. Domains get the time as an input.

use time::OffsetDateTime;

/// The present moment in UTC, whole microseconds: what PostgreSQL keeps, so that a time read
/// back equals the time written.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(now.microsecond() * 1_000)
        .expect("a microsecond is below 1,000,000, so its nanoseconds are in range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_utc_in_whole_microseconds() {
        let now = now();
        assert!(now.offset().is_utc());
        assert_eq!(now.nanosecond() % 1_000, 0);
        assert!(now.year() >= 2026);
    }
}
