//! How many minor units a currency has.

use iso_currency::Currency;

/// Minor units in one unit of a currency, by ISO 4217; 100 for one that is not in it. The value models are fitted in whole
/// units, because published parameters are.
#[must_use]
pub fn minor_per_unit(currency_code: &str) -> f64 {
    let exponent = Currency::from_code(currency_code).and_then(Currency::exponent);
    10_f64.powi(i32::from(exponent.unwrap_or(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_exceptions() {
        let per_unit = ["TRY", "USD", "JPY", "KWD", "???"].map(minor_per_unit);
        assert_eq!(per_unit, [100.0, 100.0, 1.0, 1000.0, 100.0]);
    }
}
