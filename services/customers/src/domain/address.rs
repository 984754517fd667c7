//! Postal addresses.

use super::{Name, place::Country};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressType {
    /// Any use.
    Any,
    /// Where a person lives.
    Home,
    /// Where a person works, or a business is.
    Work,
    /// Where bills go.
    Billing,
    /// Where goods go.
    Delivery,
}

/// Where letters and goods reach a customer. Nothing of it shows in `Debug` but type and country.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// What it is for.
    pub(crate) type_: AddressType,
    /// Street, house and the like, as on a letter; one at least.
    pub(crate) lines: Vec<Name>,
    /// Town.
    pub(crate) locality: Option<Name>,
    /// State, province or region, as on a letter.
    pub(crate) administrative_area: Option<Name>,
    /// Postal code.
    pub(crate) postal_code: Option<Name>,
    /// Country.
    pub(crate) country: Country,
}

impl Address {
    /// Lines that an address may have.
    pub(crate) const LINES_MAX: usize = 4;

    /// Everything that tells one address of a country from another, in the order of a letter.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Name> {
        self.lines
            .iter()
            .chain(&self.locality)
            .chain(&self.administrative_area)
            .chain(&self.postal_code)
    }
}

/// All addresses of a customer, one at least, in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses(Vec<Address>);

impl Addresses {
    /// Addresses that a customer may have.
    pub(crate) const MAX: usize = 8;

    /// These addresses; none where there is none.
    #[must_use]
    pub(crate) fn of(addresses: Vec<Address>) -> Option<Self> {
        (!addresses.is_empty()).then_some(Self(addresses))
    }

    /// The addresses.
    #[must_use]
    pub(crate) fn as_slice(&self) -> &[Address] {
        &self.0
    }
}
