//! Numbers as people read them.

use prost_types::Timestamp;
use time::OffsetDateTime;

/// With a comma between thousands.
pub(crate) fn count(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

/// Whole dollars and cents.
pub(crate) fn dollars(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let minor = minor.unsigned_abs();
    format!("{sign}${}.{:02}", count(minor / 100), minor % 100)
}

/// A share of one, without decimals.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0}\u{a0}%", share * 100.0)
}

/// A difference of shares in percentage points, always with its sign.
pub(crate) fn points(difference: f64) -> String {
    let points = difference * 100.0;
    let sign = if points < 0.0 { '\u{2212}' } else { '+' };
    format!("{sign}{:.1}", points.abs())
}

/// How far a prediction was from what happened: `12.1 % too few`.
pub(crate) fn deviation(predicted: f64, actual: f64) -> String {
    if actual == 0.0 {
        return "nothing followed".to_owned();
    }
    let deviation = (predicted - actual) / actual * 100.0;
    let direction = if deviation < 0.0 { "few" } else { "many" };
    format!("{:.1}\u{a0}% too {direction}", deviation.abs())
}

/// The day in UTC; a dash where there is none.
pub(crate) fn day(moment: Option<&Timestamp>) -> String {
    moment
        .and_then(|moment| OffsetDateTime::from_unix_timestamp(moment.seconds).ok())
        .map_or_else(|| "\u{2013}".to_owned(), |moment| moment.date().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (-24_409_194, "-24,409,194"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn cents_keep_both_digits() {
        assert_eq!(dollars(24_409_194), "$244,091.94");
        assert_eq!(dollars(-5), "-$0.05");
    }

    #[test]
    fn says_in_which_direction_a_prediction_was_wrong() {
        assert_eq!(deviation(1_654.0, 1_882.0), "12.1\u{a0}% too few");
        assert_eq!(deviation(3.0, 2.0), "50.0\u{a0}% too many");
        assert_eq!(deviation(3.0, 0.0), "nothing followed");
    }

    #[test]
    fn differences_have_a_sign() {
        assert_eq!(points(0.034), "+3.4");
        assert_eq!(points(-0.034), "\u{2212}3.4");
    }

    #[test]
    fn a_day_is_a_date() {
        let moment = Timestamp {
            seconds: 875_620_799,
            nanos: 0,
        };
        assert_eq!(day(Some(&moment)), "1997-09-30");
        assert_eq!(day(None), "\u{2013}");
    }
}
