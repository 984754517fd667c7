//! Currencies of ISO 4217.

use iso_currency::Currency;

/// A text that names no currency in which a thing can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 code of a currency, such as TRY")]
pub(crate) struct UnknownCurrency;

/// The code of a currency that has a minor unit, in capitals. Codes that were superseded are taken: history was paid in them.
///
/// Gold, bonds, the code for tests and the one for no currency (`XAU`, `XBA`, `XTS`, `XXX`) have no minor unit in which an
/// amount could be told. A stored code is never checked again, since the standard changes.
pub(crate) fn parse(code: String) -> Result<String, UnknownCurrency> {
    let known = Currency::from_code(&code).is_some_and(|currency| currency.exponent().is_some());
    if known {
        Ok(code)
    } else {
        Err(UnknownCurrency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_can_be_paid_with() {
        for code in ["TRY", "USD", "EUR", "JPY", "KWD", "HRK"] {
            assert_eq!(parse(code.to_owned()).as_deref(), Ok(code));
        }
    }

    #[test]
    fn refuses_everything_else() {
        for code in ["", "try", "ZZZ", "XXX", "XTS", "XAU", "TRY ", "949", "TL"] {
            assert_eq!(parse(code.to_owned()), Err(UnknownCurrency), "{code:?}");
        }
    }
}
