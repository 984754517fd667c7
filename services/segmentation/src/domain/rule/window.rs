//! Which facts a rule counts or sums: of what sort, how far back, and through which filters.

use time::Duration;

use super::RULE_SPAN_DAYS_MAX;

/// The facts of a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Facts {
    Purchases,
    Returns,
    Touchpoints,
}

impl Facts {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Purchases => "purchases",
            Self::Returns => "returns",
            Self::Touchpoints => "touchpoints",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Purchases, Self::Returns, Self::Touchpoints]
            .into_iter()
            .find(|facts| facts.name() == name)
    }
}

/// A stretch of time that ends at `now` or before it. Lengths are microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    Always,
    /// `(now - length, now]`
    Within(i64),
    /// `(now - older, now - newer]`
    Between {
        older: i64,
        newer: i64,
    },
}

/// A choice of facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) facts: Facts,
    pub(super) range: Range,
    pub(super) category: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) direction: Option<String>,
}

impl Window {
    pub(super) fn of(facts: Facts) -> Self {
        Self {
            facts,
            range: Range::Always,
            category: None,
            channel: None,
            direction: None,
        }
    }
}

/// What is made of the chosen facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    SumMinor,
}

/// Reads a length of time such as `90d`, `1d12h` or `30m`, in microseconds.
///
/// A day has 24 hours and a week 7 days: no time zone or clock change is meant.
///
/// # Errors
///
/// The reason why the text is not one.
pub(super) fn parse_span(text: &str) -> Result<i64, String> {
    let wrong = || {
        format!(
            "\"{text}\" is not a length of time: write whole numbers with a unit of w, d, h, m or s, as in \"90d\" or \"1d12h\""
        )
    };
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let amount: u32 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit_seconds: u32 = match rest[digits..].chars().next() {
            Some('w') => 604_800,
            Some('d') => 86_400,
            Some('h') => 3_600,
            Some('m') => 60,
            Some('s') => 1,
            Some(_) | None => return Err(wrong()),
        };
        total += Duration::seconds(i64::from(amount) * i64::from(unit_seconds));
        rest = &rest[digits + 1..];
    }
    if total == Duration::ZERO {
        return Err(wrong());
    }
    if total > Duration::days(RULE_SPAN_DAYS_MAX) {
        return Err(format!(
            "\"{text}\" is longer than {RULE_SPAN_DAYS_MAX} days"
        ));
    }
    Ok(total.whole_seconds() * 1_000_000)
}
