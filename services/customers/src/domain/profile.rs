//! What is known of a customer, and changes of it.

use super::{
    Name,
    place::{Country, Locale, TimeZone},
};

/// What a customer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A natural person.
    Person,
    /// A company or other organisation.
    Business,
}

/// On which side of the counter a customer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Affiliation {
    /// Outside the business.
    #[default]
    External,
    /// An employee.
    Internal,
}

/// What is known of a customer. What is not known, was cleared or was erased is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// Given name of a person.
    pub(crate) given_name: Option<Name>,
    /// Family name of a person.
    pub(crate) family_name: Option<Name>,
    /// Registered name of a business.
    pub(crate) legal_name: Option<Name>,
    /// Language.
    pub(crate) locale: Option<Locale>,
    /// Time zone.
    pub(crate) time_zone: Option<TimeZone>,
    /// Country.
    pub(crate) country: Option<Country>,
}

impl Profile {
    /// Whether it has the name that the kind asks for: a given or a family name, or a legal name.
    #[must_use]
    pub(crate) fn names(&self, kind: Kind) -> bool {
        match kind {
            Kind::Person => self.given_name.is_some() || self.family_name.is_some(),
            Kind::Business => self.legal_name.is_some(),
        }
    }
}

/// What becomes of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Change<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It gets this value, or none.
    Set(Option<T>),
}

impl<T: Clone + PartialEq> Change<T> {
    fn apply(&self, field: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Set(value) => field.clone_from(value),
        }
    }

    /// The change without what is already so.
    fn against(&self, field: &Option<T>) -> Self {
        match self {
            Self::Set(value) if value != field => self.clone(),
            Self::Set(_) | Self::Keep => Self::Keep,
        }
    }
}

/// Changes of a profile, field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProfileChange {
    /// Given name.
    pub(crate) given_name: Change<Name>,
    /// Family name.
    pub(crate) family_name: Change<Name>,
    /// Legal name.
    pub(crate) legal_name: Change<Name>,
    /// Language.
    pub(crate) locale: Change<Locale>,
    /// Time zone.
    pub(crate) time_zone: Change<TimeZone>,
    /// Country.
    pub(crate) country: Change<Country>,
}

impl ProfileChange {
    /// Whether every field stays as it is.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a name changes.
    #[must_use]
    pub(crate) fn renames(&self) -> bool {
        [&self.given_name, &self.family_name, &self.legal_name]
            .into_iter()
            .any(|name| *name != Change::default())
    }

    /// Changes `profile`.
    pub(crate) fn apply(&self, profile: &mut Profile) {
        self.given_name.apply(&mut profile.given_name);
        self.family_name.apply(&mut profile.family_name);
        self.legal_name.apply(&mut profile.legal_name);
        self.locale.apply(&mut profile.locale);
        self.time_zone.apply(&mut profile.time_zone);
        self.country.apply(&mut profile.country);
    }

    /// What of it would change `profile`.
    #[must_use]
    pub(crate) fn against(&self, profile: &Profile) -> Self {
        Self {
            given_name: self.given_name.against(&profile.given_name),
            family_name: self.family_name.against(&profile.family_name),
            legal_name: self.legal_name.against(&profile.legal_name),
            locale: self.locale.against(&profile.locale),
            time_zone: self.time_zone.against(&profile.time_zone),
            country: self.country.against(&profile.country),
        }
    }
}
