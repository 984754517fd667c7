//! What is known of a customer, and changes of it.

use super::{
    Label, Name,
    address::Addresses,
    person::{BirthDate, Gender},
    place::{Country, Locale, Region, TimeZone},
    trade::{Capacity, CompanySize},
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

/// The fields of a profile: one list for what is known, for changes of it, and for masks. Each has its name in the API.
macro_rules! profile {
    ($($(#[doc = $doc:literal])* $field:ident: $type:ty = $path:literal,)*) => {
        /// What is known of a customer. What is not known, was cleared or was erased is absent.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Profile {
            $($(#[doc = $doc])* pub(crate) $field: Option<$type>,)*
        }

        /// Changes of a profile, field by field.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct ProfileChange {
            $($(#[doc = $doc])* pub(crate) $field: Change<$type>,)*
        }

        /// Fields of a profile.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct ProfileFields {
            $($(#[doc = $doc])* pub(crate) $field: bool,)*
        }

        impl ProfileChange {
            /// Changes `profile`.
            pub(crate) fn apply(&self, profile: &mut Profile) {
                $(self.$field.apply(&mut profile.$field);)*
            }

            /// Field by field this change, or where it keeps a field, the other one.
            #[must_use]
            pub(crate) fn or(&self, other: &Self) -> Self {
                Self { $($field: self.$field.or(&other.$field),)* }
            }

            /// This change but for the fields that another one sets.
            #[must_use]
            pub(crate) fn without(&self, other: &Self) -> Self {
                Self { $($field: self.$field.without(&other.$field),)* }
            }

            /// This change but for what another one says just so.
            #[must_use]
            pub(crate) fn besides(&self, other: &Self) -> Self {
                Self { $($field: self.$field.besides(&other.$field),)* }
            }

            /// The change that makes one profile another.
            #[must_use]
            pub(crate) fn between(from: &Profile, to: &Profile) -> Self {
                Self { $($field: Change::to(&from.$field, &to.$field),)* }
            }

            /// What of it would change `profile`.
            #[must_use]
            pub(crate) fn against(&self, profile: &Profile) -> Self {
                Self { $($field: self.$field.against(&profile.$field),)* }
            }

            /// Which fields get a value, in the order of the list.
            pub(crate) fn given(&self) -> impl Iterator<Item = &'static str> {
                [$((matches!(self.$field, Change::Set(Some(_))), $path),)*]
                    .into_iter()
                    .filter_map(|(given, path)| given.then_some(path))
            }
        }

        impl ProfileFields {
            /// Every field by its name.
            pub(crate) const PATHS: &[&str] = &[$($path,)*];

            /// Adds the field of this name; false when there is none.
            #[must_use]
            pub(crate) fn add(&mut self, path: &str) -> bool {
                match path {
                    $($path => self.$field = true,)*
                    _ => return false,
                }
                true
            }

            /// What one profile gets of another: these fields, and what it lacks.
            #[must_use]
            pub(crate) fn taken(self, into: &Profile, from: &Profile) -> ProfileChange {
                ProfileChange { $($field: Change::taken(self.$field, &into.$field, &from.$field),)* }
            }
        }
    };
}

profile! {
    /// Given name of a person.
    given_name: Name = "given_name",
    /// Family name of a person.
    family_name: Name = "family_name",
    /// Registered name of a business.
    legal_name: Name = "legal_name",
    /// Language.
    locale: Locale = "locale",
    /// Time zone.
    time_zone: TimeZone = "time_zone",
    /// Country.
    country: Country = "country_code",
    /// How the customer is addressed formally.
    formal_address: Name = "formal_address",
    /// How the customer wants to be called.
    preferred_name: Name = "preferred_name",
    /// Date of birth of a person.
    birth_date: BirthDate = "birth_date",
    /// Gender of a person.
    gender: Gender = "gender",
    /// Income band of a person.
    income_band: Label = "income_band",
    /// What a person does for a living.
    occupation: Name = "occupation",
    /// Sector in which the customer works.
    sector: Label = "sector",
    /// How large a business is.
    company_size: CompanySize = "company_size",
    /// What the customer can spend in a year.
    yearly_capacity: Capacity = "yearly_capacity",
    /// Region within the country.
    region: Region = "region_code",
    /// Where letters and goods reach the customer.
    addresses: Addresses = "addresses",
}

/// Fields that only a person has.
const OF_PERSONS: [&str; 4] = ["birth_date", "gender", "income_band", "occupation"];
/// Fields that only a business has.
const OF_BUSINESSES: [&str; 1] = ["company_size"];

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

impl ProfileChange {
    /// Whether every field stays as it is.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a name by which the customer is found changes.
    #[must_use]
    pub(crate) fn renames(&self) -> bool {
        [&self.given_name, &self.family_name, &self.legal_name]
            .into_iter()
            .any(|name| *name != Change::default())
    }

    /// This change but for what it says of the names that a kind asks for.
    #[must_use]
    pub(crate) fn without_names(self) -> Self {
        Self {
            given_name: Change::Keep,
            family_name: Change::Keep,
            legal_name: Change::Keep,
            ..self
        }
    }

    /// A field that gets a value though only the other kind of customer has it.
    #[must_use]
    pub(crate) fn of_other_kind(&self, kind: Kind) -> Option<&'static str> {
        let others: &[&str] = match kind {
            Kind::Person => &OF_BUSINESSES,
            Kind::Business => &OF_PERSONS,
        };
        self.given().find(|path| others.contains(path))
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

    /// What a field gets of another: its value, where it has another one, and the field is named or lacks one.
    fn taken(named: bool, into: &Option<T>, from: &Option<T>) -> Self {
        if from.is_some() && from != into && (named || into.is_none()) {
            Self::Set(from.clone())
        } else {
            Self::Keep
        }
    }
}
