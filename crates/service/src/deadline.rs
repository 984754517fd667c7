//! How long a call may take.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::config::Limits;

/// When a call's answer is no longer wanted. Every request that passed through
/// [`Server`](crate::Server) has one in its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline `duration` from now.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration)
    }

    /// The deadline of a request; none if it did not come through a server of ours.
    pub fn of<T>(request: &tonic::Request<T>) -> Option<Self> {
        request.extensions().get::<Self>().copied()
    }

    /// The moment.
    pub fn instant(self) -> Instant {
        self.0
    }

    /// The time that is left, zero when it is over.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The caller's wish within the limits; without a wish, the default.
    pub(crate) fn of_call(headers: &HeaderMap, streaming: bool, limits: &Limits) -> Self {
        let longest = Duration::from_millis(limits.request_timeout_ms_max);
        let wished = requested(headers).unwrap_or(if streaming {
            longest
        } else {
            Duration::from_millis(limits.request_timeout_ms)
        });
        Self::after(wished.min(longest))
    }
}

/// The `grpc-timeout` header: at most 8 digits and a unit
/// (gRPC over HTTP/2, "Requests": Timeout). A malformed one counts as none.
pub(crate) fn requested(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (unit_at, unit) = text.char_indices().last()?;
    let digits = &text[..unit_at];
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        'H' => Some(Duration::from_secs(amount * 3_600)),
        'M' => Some(Duration::from_secs(amount * 60)),
        'S' => Some(Duration::from_secs(amount)),
        'm' => Some(Duration::from_millis(amount)),
        'u' => Some(Duration::from_micros(amount)),
        'n' => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::Config;

    fn headers(timeout: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-timeout"),
            HeaderValue::from_static(timeout),
        )])
    }

    #[test]
    fn reads_every_unit() {
        for (text, nanoseconds) in [
            ("2H", 7_200_000_000_000),
            ("3M", 180_000_000_000),
            ("4S", 4_000_000_000),
            ("5m", 5_000_000),
            ("6u", 6_000),
            ("99999999n", 99_999_999),
        ] {
            assert_eq!(
                requested(&headers(text)),
                Some(Duration::from_nanos(nanoseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn a_malformed_wish_counts_as_none() {
        for text in ["", "S", "5", "5x", "123456789S", "-5S", "+5S", "1.5S"] {
            assert_eq!(requested(&headers(text)), None, "{text:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_gets_its_wish_the_default_or_the_longest() {
        let limits = Config::default().limits;
        let left = |headers: &HeaderMap, streaming| {
            Deadline::of_call(headers, streaming, &limits)
                .remaining()
                .as_millis() as u64
        };
        assert_eq!(left(&headers("4S"), false), 4_000);
        assert_eq!(left(&HeaderMap::new(), false), limits.request_timeout_ms);
        assert_eq!(left(&HeaderMap::new(), true), limits.request_timeout_ms_max);
        assert_eq!(left(&headers("99H"), false), limits.request_timeout_ms_max);
    }
}
