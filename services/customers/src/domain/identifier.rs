//! By what a customer is known: an e-mail address, a telephone number, a national number, the id in another system. Normalised, so that two ways
//! to write the same identifier are equal.

mod email;
mod external;
mod phone;
mod turkish;

use std::fmt;

pub(crate) use email::Email;
pub(crate) use external::{External, InvalidExternal};
pub(crate) use phone::{InvalidPhone, Phone, PhoneText};
pub(crate) use turkish::{Tckn, Vkn};

use uuid::Uuid;

use super::place::Country;

/// What an identifier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IdentifierType {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// The id in another system.
    External,
    /// The identity number of a person in Türkiye.
    Tckn,
    /// A tax number in Türkiye.
    Vkn,
}

/// A normalised identifier. Its `Debug` does not show it: identifiers stay out of logs.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Identifier {
    /// An e-mail address.
    Email(Email),
    /// A telephone number.
    Phone(Phone),
    /// The id in another system.
    External(External),
    /// The identity number of a person in Türkiye.
    Tckn(Tckn),
    /// A tax number in Türkiye.
    Vkn(Vkn),
}

impl Identifier {
    /// Takes back what was parsed once and stored.
    #[must_use]
    pub(crate) fn from_stored(type_: IdentifierType, value: String, system: String) -> Self {
        match type_ {
            IdentifierType::Email => Self::Email(Email::from_stored(value)),
            IdentifierType::Phone => Self::Phone(Phone::from_stored(value)),
            IdentifierType::External => Self::External(External::from_stored(system, value)),
            IdentifierType::Tckn => Self::Tckn(Tckn::from_stored(value)),
            IdentifierType::Vkn => Self::Vkn(Vkn::from_stored(value)),
        }
    }

    /// What it is.
    #[must_use]
    pub(crate) fn type_(&self) -> IdentifierType {
        match self {
            Self::Email(_) => IdentifierType::Email,
            Self::Phone(_) => IdentifierType::Phone,
            Self::External(_) => IdentifierType::External,
            Self::Tckn(_) => IdentifierType::Tckn,
            Self::Vkn(_) => IdentifierType::Vkn,
        }
    }

    /// The normalised value.
    #[must_use]
    pub(crate) fn value(&self) -> &str {
        match self {
            Self::Email(email) => email.as_str(),
            Self::Phone(phone) => phone.as_str(),
            Self::External(external) => external.value(),
            Self::Tckn(tckn) => tckn.as_str(),
            Self::Vkn(vkn) => vkn.as_str(),
        }
    }

    /// The system that gave an external id; empty for the others.
    #[must_use]
    pub(crate) fn system(&self) -> &str {
        match self {
            Self::Email(_) | Self::Phone(_) | Self::Tckn(_) | Self::Vkn(_) => "",
            Self::External(external) => external.system(),
        }
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identifier({:?}, ..)", self.type_())
    }
}

/// An identifier as somebody gave it: well formed, but for a telephone number in national form, which means nothing without
/// a country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum GivenIdentifier {
    /// Complete in itself.
    Complete(Identifier),
    /// A telephone number in national form.
    NationalPhone(PhoneText),
}

impl GivenIdentifier {
    /// The identifier, as it is meant by a customer of `country`.
    ///
    /// # Errors
    /// When it is a national number and the country is not known, or has no such number.
    pub(crate) fn in_country(&self, country: Option<&Country>) -> Result<Identifier, InvalidPhone> {
        match self {
            Self::Complete(identifier) => Ok(identifier.clone()),
            Self::NationalPhone(text) => text.in_country(country).map(Identifier::Phone),
        }
    }
}

/// The stream of a claim: a keyed digest of the normalised identifier, which tells nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ClaimId(pub(crate) Uuid);

#[cfg(test)]
mod tests;
