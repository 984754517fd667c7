//! `Retry-After` (RFC 9110, 10.2.3): seconds, or a moment.

use std::time::Duration;

use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// How long it asks to wait; none when it cannot be read.
pub(super) fn wait(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    // A moment that has passed asks for no wait.
    Some((moment - now).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn reads_seconds_and_moments() {
        let now = datetime!(2026-01-31 10:00:00 UTC);
        for (text, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sat, 31 Jan 2026 10:01:30 GMT", Some(90)),
            ("Sat, 31 Jan 2026 09:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(wait(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
