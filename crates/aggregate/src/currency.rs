//! Currencies of ISO 4217.

use iso_currency::Currency;

/// A text that names no currency in which a thing can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 code of a currency, such as TRY")]
pub struct UnknownCurrency;

/// Checks that a text is the code, in capitals, of a currency that has a minor unit. Codes that were superseded are taken: history was paid in them.
///
/// Gold, bonds, the code for tests and the one for no currency (`XAU`, `XBA`, `XTS`, `XXX`) have no minor unit in which an
/// amount could be told. A stored code is never checked again, since the standard changes.
///
/// # Errors
/// When it is not.
pub fn check(code: &str) -> Result<(), UnknownCurrency> {
    let exponent = Currency::from_code(code).and_then(Currency::exponent);
    exponent.map(drop).ok_or(UnknownCurrency)
}

/// Minor units in one unit of a currency; 100 for one that is not in the standard.
#[must_use]
pub fn minor_per_unit(code: &str) -> f64 {
    let exponent = Currency::from_code(code).and_then(Currency::exponent);
    10_f64.powi(i32::from(exponent.unwrap_or(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_can_be_paid_with() {
        for code in ["TRY", "USD", "EUR", "JPY", "KWD", "HRK"] {
            assert_eq!(check(code), Ok(()), "{code}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for code in ["", "try", "ZZZ", "XXX", "XTS", "XAU", "TRY ", "949", "TL"] {
            assert_eq!(check(code), Err(UnknownCurrency), "{code:?}");
        }
    }

    #[test]
    fn knows_the_exceptions() {
        let per_unit = ["TRY", "USD", "JPY", "KWD", "???"].map(minor_per_unit);
        assert_eq!(per_unit, [100.0, 100.0, 1.0, 1000.0, 100.0]);
    }
}
