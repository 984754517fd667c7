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

    /// This change, or where it keeps a field, the other one.
    fn or(&self, other: &Self) -> Self {
        match self {
            Self::Set(_) => self.clone(),
            Self::Keep => other.clone(),
        }
    }

    /// The change, unless another one sets the field.
    fn without(&self, other: &Self) -> Self {
        match other {
            Self::Set(_) => Self::Keep,
            Self::Keep => self.clone(),
        }
    }

    /// The change, unless another one is the same.
    fn besides(&self, other: &Self) -> Self {
        if self == other {
            Self::Keep
        } else {
            self.clone()
        }
    }

    /// The change that makes a field what another is.
    fn to(from: &Option<T>, to: &Option<T>) -> Self {
        if from == to {
            Self::Keep
        } else {
            Self::Set(to.clone())
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

    /// Field by field this change, or where it keeps a field, the other one.
    #[must_use]
    pub(crate) fn or(&self, other: &Self) -> Self {
        Self {
            given_name: self.given_name.or(&other.given_name),
            family_name: self.family_name.or(&other.family_name),
            legal_name: self.legal_name.or(&other.legal_name),
            locale: self.locale.or(&other.locale),
            time_zone: self.time_zone.or(&other.time_zone),
            country: self.country.or(&other.country),
        }
    }

    /// This change but for the fields that another one sets.
    #[must_use]
    pub(crate) fn without(&self, other: &Self) -> Self {
        Self {
            given_name: self.given_name.without(&other.given_name),
            family_name: self.family_name.without(&other.family_name),
            legal_name: self.legal_name.without(&other.legal_name),
            locale: self.locale.without(&other.locale),
            time_zone: self.time_zone.without(&other.time_zone),
            country: self.country.without(&other.country),
        }
    }

    /// This change but for what another one says just so.
    #[must_use]
    pub(crate) fn besides(&self, other: &Self) -> Self {
        Self {
            given_name: self.given_name.besides(&other.given_name),
            family_name: self.family_name.besides(&other.family_name),
            legal_name: self.legal_name.besides(&other.legal_name),
            locale: self.locale.besides(&other.locale),
            time_zone: self.time_zone.besides(&other.time_zone),
            country: self.country.besides(&other.country),
        }
    }

    /// This change but for what it says of names.
    #[must_use]
    pub(crate) fn without_names(self) -> Self {
        Self {
            given_name: Change::Keep,
            family_name: Change::Keep,
            legal_name: Change::Keep,
            ..self
        }
    }

    /// The change that makes one profile another.
    #[must_use]
    pub(crate) fn between(from: &Profile, to: &Profile) -> Self {
        Self {
            given_name: Change::to(&from.given_name, &to.given_name),
            family_name: Change::to(&from.family_name, &to.family_name),
            legal_name: Change::to(&from.legal_name, &to.legal_name),
            locale: Change::to(&from.locale, &to.locale),
            time_zone: Change::to(&from.time_zone, &to.time_zone),
            country: Change::to(&from.country, &to.country),
        }
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

/// Fields of a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProfileFields {
    /// Given name.
    pub(crate) given_name: bool,
    /// Family name.
    pub(crate) family_name: bool,
    /// Legal name.
    pub(crate) legal_name: bool,
    /// Language.
    pub(crate) locale: bool,
    /// Time zone.
    pub(crate) time_zone: bool,
    /// Country.
    pub(crate) country: bool,
}

impl ProfileFields {
    /// What one profile gets of another: these fields, and what it lacks.
    #[must_use]
    pub(crate) fn taken(self, into: &Profile, from: &Profile) -> ProfileChange {
        fn taken<T: Clone + PartialEq>(
            named: bool,
            into: &Option<T>,
            from: &Option<T>,
        ) -> Change<T> {
            if from.is_some() && from != into && (named || into.is_none()) {
                Change::Set(from.clone())
            } else {
                Change::Keep
            }
        }
        ProfileChange {
            given_name: taken(self.given_name, &into.given_name, &from.given_name),
            family_name: taken(self.family_name, &into.family_name, &from.family_name),
            legal_name: taken(self.legal_name, &into.legal_name, &from.legal_name),
            locale: taken(self.locale, &into.locale, &from.locale),
            time_zone: taken(self.time_zone, &into.time_zone, &from.time_zone),
            country: taken(self.country, &into.country, &from.country),
        }
    }
}
