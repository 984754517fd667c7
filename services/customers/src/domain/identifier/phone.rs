//! Telephone numbers.

use std::fmt;

use phonenumber::{Mode, country};

use crate::domain::place::Country;

/// What comes in may be of any length; no number with all its punctuation is longer.
const TEXT_CHARS_MAX: usize = 40;

/// A text that is not a telephone number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPhone {
    /// A national number of nobody knows where.
    #[error("must be in international form (+90...), or the customer's country must be known")]
    CountryNeeded,
    /// No number that can be dialled.
    #[error("must be a valid telephone number")]
    NotANumber,
    /// It has an extension, which E.164 cannot hold.
    #[error("must not have an extension")]
    Extension,
}

/// A telephone number as E.164: `+905321234567`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Phone(String);

impl Phone {
    /// Takes back what was parsed once and stored: numbering plans change.
    #[must_use]
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The number as E.164.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A telephone number as it was written down.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PhoneText(String);

impl PhoneText {
    /// Takes a text of reasonable length; white space around it is cut off.
    ///
    /// # Errors
    /// When it is empty, too long, or has no digit.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidPhone> {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 || length > TEXT_CHARS_MAX || !text.chars().any(char::is_numeric) {
            return Err(InvalidPhone::NotANumber);
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether it begins with a country's calling code.
    #[must_use]
    pub(crate) fn is_international(&self) -> bool {
        self.0.starts_with(['+', '\u{ff0b}'])
    }

    /// The number that somebody in `country` means by it.
    ///
    /// # Errors
    /// When it is a national number and the country is not known, or the number is not valid there.
    pub(crate) fn in_country(&self, country: Option<&Country>) -> Result<Phone, InvalidPhone> {
        let country = if self.is_international() {
            None
        } else {
            let country = country.ok_or(InvalidPhone::CountryNeeded)?;
            // Antarctica and the like have no numbering plan of their own.
            Some(
                country
                    .as_str()
                    .parse::<country::Id>()
                    .map_err(|_| InvalidPhone::CountryNeeded)?,
            )
        };
        let number = phonenumber::parse(country, &self.0).map_err(|_| InvalidPhone::NotANumber)?;
        if number.extension().is_some() {
            return Err(InvalidPhone::Extension);
        }
        if !number.is_valid() {
            return Err(InvalidPhone::NotANumber);
        }
        Ok(Phone(number.format().mode(Mode::E164).to_string()))
    }
}

impl fmt::Debug for PhoneText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneText(..)")
    }
}
