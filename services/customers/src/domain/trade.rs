//! How much a customer could buy.

use aggregate::currency::{self, UnknownCurrency};

/// How large a business is, by the number of people who work there (recommendation 2003/361/EC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompanySize {
    /// Fewer than 10.
    Micro,
    /// Fewer than 50.
    Small,
    /// Fewer than 250.
    Medium,
    /// 250 and more.
    Large,
}

/// An amount that is no capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidCapacity {
    /// In no currency that there is.
    #[error("currency_code {0}")]
    Currency(#[from] UnknownCurrency),
    /// Nothing, or less.
    #[error("amount_minor must be more than zero")]
    NotPositive,
}

/// What a customer can spend in a year on what the business offers, wherever it buys. What it buys here of this is the share of the customer (Peppers and
/// Rogers, "The One to One Future", 1993).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    currency_code: String,
    amount_minor: i64,
}

impl Capacity {
    /// An amount of more than zero minor units.
    ///
    /// # Errors
    /// When it is not, or the currency is none.
    pub(crate) fn new(currency_code: &str, amount_minor: i64) -> Result<Self, InvalidCapacity> {
        currency::check(currency_code)?;
        if amount_minor <= 0 {
            return Err(InvalidCapacity::NotPositive);
        }
        Ok(Self::from_stored(currency_code.to_owned(), amount_minor))
    }

    /// Takes back what was checked once and stored.
    #[must_use]
    pub(crate) fn from_stored(currency_code: String, amount_minor: i64) -> Self {
        Self {
            currency_code,
            amount_minor,
        }
    }

    /// ISO 4217 code.
    #[must_use]
    pub(crate) fn currency_code(&self) -> &str {
        &self.currency_code
    }

    /// In minor units.
    #[must_use]
    pub(crate) fn amount_minor(&self) -> i64 {
        self.amount_minor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_some_money_of_a_currency() {
        let capacity = Capacity::new("TRY", 1).unwrap();
        assert_eq!(
            (capacity.currency_code(), capacity.amount_minor()),
            ("TRY", 1)
        );
        for amount in [0, -1, i64::MIN] {
            assert_eq!(
                Capacity::new("TRY", amount),
                Err(InvalidCapacity::NotPositive)
            );
        }
        let unknown = Err(InvalidCapacity::Currency(UnknownCurrency));
        assert_eq!(Capacity::new("try", 1), unknown);
    }
}
