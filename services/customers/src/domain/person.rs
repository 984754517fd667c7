//! What a natural person is like.

use std::fmt;

use time::{Date, macros::format_description};

/// A text that is no date of birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidBirthDate {
    /// It is no date.
    #[error("must be a date such as 1990-05-17")]
    NoDate,
    /// Nobody lives who was born so early, or it lies in the future.
    #[error("must lie between 1875-01-01 and today")]
    OutOfRange,
}

/// The oldest person whose age was verified was born in February of that year.
const YEAR_MIN: i32 = 1875;
/// Of a date such as 1990-05-17.
const DATE_BYTES: usize = 10;

/// A date of birth. Its `Debug` does not show it: it stays out of logs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BirthDate(Date);

impl BirthDate {
    /// Parses a date of ISO 8601, with month and day.
    ///
    /// # Errors
    /// When it is none, lies after `today` or before 1875.
    pub(crate) fn parse(text: &str, today: Date) -> Result<Self, InvalidBirthDate> {
        let date = date(text.trim()).ok_or(InvalidBirthDate::NoDate)?;
        if (YEAR_MIN..=today.year()).contains(&date.year()) && date <= today {
            Ok(Self(date))
        } else {
            Err(InvalidBirthDate::OutOfRange)
        }
    }

    /// Takes back what was parsed once and stored; none where it is no date.
    #[must_use]
    pub(crate) fn from_stored(text: &str) -> Option<Self> {
        date(text).map(Self)
    }

    /// The date.
    #[must_use]
    pub(crate) fn date(self) -> Date {
        self.0
    }

    /// Whether another date is this one mistyped: day and month exchanged, or one of year, month and day another.
    #[must_use]
    pub(crate) fn is_nearly(self, other: Self) -> bool {
        let parts = |Self(date): Self| (date.year(), u8::from(date.month()), date.day());
        let ((year, month, day), (years, months, days)) = (parts(self), parts(other));
        let differing =
            usize::from(year != years) + usize::from(month != months) + usize::from(day != days);
        differing == 1 || (year == years && month == days && day == months)
    }
}

/// As in ISO 8601.
impl fmt::Display for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(date) = self;
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BirthDate(..)")
    }
}

/// Four digits, two and two: no sign, though ISO 8601 has one.
fn date(text: &str) -> Option<Date> {
    let date = Date::parse(text, format_description!("[year]-[month]-[day]"));
    date.ok().filter(|_| text.len() == DATE_BYTES)
}

/// Gender, as the person gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gender {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Neither of the two.
    Other,
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    const TODAY: Date = date!(2026 - 03 - 01);

    #[test]
    fn takes_days_of_the_calendar_up_to_today() {
        for text in ["1990-05-17", "2024-02-29", "2026-03-01", "1875-01-01"] {
            assert_eq!(BirthDate::parse(text, TODAY).unwrap().to_string(), text);
        }
        for text in [
            "",
            "1990",
            "17.05.1990",
            "1990-5-17",
            "2023-02-29",
            "+1990-05-17",
        ] {
            assert_eq!(
                BirthDate::parse(text, TODAY),
                Err(InvalidBirthDate::NoDate),
                "{text:?}"
            );
        }
        for text in ["2026-03-02", "1874-12-31", "0001-01-01"] {
            assert_eq!(
                BirthDate::parse(text, TODAY),
                Err(InvalidBirthDate::OutOfRange),
                "{text:?}"
            );
        }
    }

    #[test]
    fn knows_a_mistyped_date() {
        let of = |text| BirthDate::parse(text, TODAY).unwrap();
        let date = of("1990-05-12");
        for text in ["1990-12-05", "1991-05-12", "1990-06-12", "1990-05-13"] {
            assert!(date.is_nearly(of(text)), "{text}");
        }
        for text in ["1990-05-12", "1991-06-12", "1991-12-05", "1990-06-13"] {
            assert!(!date.is_nearly(of(text)), "{text}");
        }
    }

    #[test]
    fn does_not_show_in_debug_output() {
        let date = BirthDate::parse("1990-05-17", TODAY).unwrap();
        assert_eq!(format!("{date:?}"), "BirthDate(..)");
    }
}
