//! From the columns of a line to the request that registers a customer, and back from what is wrong with a request to its column.

use std::fmt;

use contracts::{
    common::v1::Money,
    customers::v1::{
        CompanySize, CustomerAffiliation, CustomerKind, Gender, Identifier, IdentifierType,
        PostalAddress, Profile, RegisterCustomerRequest,
    },
};
use event_log::timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::rejection::Rejection;

/// For messages about columns that nobody knows.
pub(super) const KNOWN: &str = "kind, affiliation, given_name, family_name, legal_name, locale, time_zone, country_code, formal_address, \
     preferred_name, birth_date, gender, income_band, occupation, sector, company_size, yearly_capacity, region_code, address_lines, locality, \
     administrative_area, postal_code, email, phone, tckn, vkn, external:SYSTEM, registered_time, customer_id";

const EXTERNAL: &str = "external:";

/// What a line can say of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Kind,
    Affiliation,
    GivenName,
    FamilyName,
    LegalName,
    Locale,
    TimeZone,
    CountryCode,
    FormalAddress,
    PreferredName,
    BirthDate,
    Gender,
    IncomeBand,
    Occupation,
    Sector,
    CompanySize,
    YearlyCapacity,
    RegionCode,
    AddressLines,
    Locality,
    AdministrativeArea,
    PostalCode,
    Email,
    Phone,
    Tckn,
    Vkn,
    /// An id that the system of this name gave.
    External(String),
    RegisteredTime,
    CustomerId,
}

const PLAIN: [(&str, Column); 28] = [
    ("kind", Column::Kind),
    ("affiliation", Column::Affiliation),
    ("given_name", Column::GivenName),
    ("family_name", Column::FamilyName),
    ("legal_name", Column::LegalName),
    ("locale", Column::Locale),
    ("time_zone", Column::TimeZone),
    ("country_code", Column::CountryCode),
    ("formal_address", Column::FormalAddress),
    ("preferred_name", Column::PreferredName),
    ("birth_date", Column::BirthDate),
    ("gender", Column::Gender),
    ("income_band", Column::IncomeBand),
    ("occupation", Column::Occupation),
    ("sector", Column::Sector),
    ("company_size", Column::CompanySize),
    ("yearly_capacity", Column::YearlyCapacity),
    ("region_code", Column::RegionCode),
    ("address_lines", Column::AddressLines),
    ("locality", Column::Locality),
    ("administrative_area", Column::AdministrativeArea),
    ("postal_code", Column::PostalCode),
    ("email", Column::Email),
    ("phone", Column::Phone),
    ("tckn", Column::Tckn),
    ("vkn", Column::Vkn),
    ("registered_time", Column::RegisteredTime),
    ("customer_id", Column::CustomerId),
];

impl Column {
    /// None of a name that is not [`KNOWN`].
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some(system) = name.strip_prefix(EXTERNAL) {
            return (!system.is_empty()).then(|| Self::External(system.to_owned()));
        }
        let found = PLAIN.iter().find(|(known, _)| *known == name);
        found.map(|(_, column)| column.clone())
    }

    /// The type and the system of the identifier that it holds; none of what is no identifier.
    fn identifier(&self) -> Option<(IdentifierType, &str)> {
        match self {
            Self::Email => Some((IdentifierType::Email, "")),
            Self::Phone => Some((IdentifierType::Phone, "")),
            Self::Tckn => Some((IdentifierType::Tckn, "")),
            Self::Vkn => Some((IdentifierType::Vkn, "")),
            Self::External(system) => Some((IdentifierType::External, system)),
            Self::Kind
            | Self::Affiliation
            | Self::GivenName
            | Self::FamilyName
            | Self::LegalName
            | Self::Locale
            | Self::TimeZone
            | Self::CountryCode
            | Self::FormalAddress
            | Self::PreferredName
            | Self::BirthDate
            | Self::Gender
            | Self::IncomeBand
            | Self::Occupation
            | Self::Sector
            | Self::CompanySize
            | Self::YearlyCapacity
            | Self::RegionCode
            | Self::AddressLines
            | Self::Locality
            | Self::AdministrativeArea
            | Self::PostalCode
            | Self::RegisteredTime
            | Self::CustomerId => None,
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::External(system) = self {
            return write!(f, "{EXTERNAL}{system}");
        }
        let name = PLAIN.iter().find(|(_, column)| column == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// A customer to be registered, and the columns in which its identifiers stood.
pub(super) struct Registration {
    pub(super) request: RegisterCustomerRequest,
    identifiers: Vec<Column>,
}

impl Registration {
    /// What a line asks for. What the service judges, the service judges: here only what cannot be put into a request is wrong.
    pub(super) fn parse(fields: &[(Column, String)]) -> Result<Self, Vec<Rejection>> {
        let mut profile = Profile::default();
        let mut request = RegisterCustomerRequest::default();
        let mut identifiers = Vec::new();
        let mut wrong = Vec::new();
        let given = fields.iter().filter(|(_, value)| !value.trim().is_empty());
        for (column, value) in given {
            let mut noted = |parsed: Result<(), &str>| {
                wrong.extend(parsed.err().map(|why| Rejection::field(column, why)));
            };
            match column {
                Column::Kind => noted(kind(value).map(|kind| request.set_kind(kind))),
                Column::Affiliation => {
                    noted(affiliation(value).map(|side| request.set_affiliation(side)));
                }
                Column::RegisteredTime => noted(moment(value).map(|moment| {
                    request.registered_time = Some(timestamp::to_proto(moment));
                })),
                Column::CustomerId => request.customer_id.clone_from(value),
                Column::GivenName => profile.given_name.clone_from(value),
                Column::FamilyName => profile.family_name.clone_from(value),
                Column::LegalName => profile.legal_name.clone_from(value),
                Column::Locale => profile.locale.clone_from(value),
                Column::TimeZone => profile.time_zone.clone_from(value),
                Column::CountryCode => profile.country_code.clone_from(value),
                Column::FormalAddress => profile.formal_address.clone_from(value),
                Column::PreferredName => profile.preferred_name.clone_from(value),
                Column::BirthDate => profile.birth_date.clone_from(value),
                Column::Gender => noted(gender(value).map(|gender| profile.set_gender(gender))),
                Column::IncomeBand => profile.income_band.clone_from(value),
                Column::Occupation => profile.occupation.clone_from(value),
                Column::Sector => profile.sector.clone_from(value),
                Column::CompanySize => {
                    noted(company_size(value).map(|size| profile.set_company_size(size)));
                }
                Column::YearlyCapacity => noted(capacity(value).map(|capacity| {
                    profile.yearly_capacity = Some(capacity);
                })),
                Column::RegionCode => profile.region_code.clone_from(value),
                Column::AddressLines => {
                    let lines = value.split('|').map(|line| line.trim().to_owned());
                    address(&mut profile).address_lines = lines.collect();
                }
                Column::Locality => address(&mut profile).locality.clone_from(value),
                Column::AdministrativeArea => {
                    address(&mut profile).administrative_area.clone_from(value);
                }
                Column::PostalCode => address(&mut profile).postal_code.clone_from(value),
                Column::Email
                | Column::Phone
                | Column::Tckn
                | Column::Vkn
                | Column::External(_) => {
                    if let Some((type_, system)) = column.identifier() {
                        request.identifiers.push(Identifier {
                            r#type: type_.into(),
                            value: value.clone(),
                            system: system.to_owned(),
                        });
                        identifiers.push(column.clone());
                    }
                }
            }
        }
        for address in &mut profile.addresses {
            address.country_code.clone_from(&profile.country_code);
        }
        request.profile = Some(profile);
        if wrong.is_empty() {
            Ok(Self {
                request,
                identifiers,
            })
        } else {
            Err(wrong)
        }
    }

    /// The column that a path such as `identifiers[1].value` or `profile.locale` means; the path itself where it means no single one.
    pub(super) fn column_of(&self, path: &str) -> String {
        let number = path.strip_prefix("identifiers[").and_then(|rest| {
            let (number, _) = rest.split_once(']')?;
            number.parse::<usize>().ok()
        });
        if let Some(column) = number.and_then(|number| self.identifiers.get(number)) {
            return column.to_string();
        }
        let path = path.strip_prefix("profile.").unwrap_or(path);
        let path = path.strip_prefix("addresses[0].").unwrap_or(path);
        // Of one of several lines.
        let column = path.split_once('[').map_or(path, |(column, _)| column);
        column.to_owned()
    }
}

fn kind(text: &str) -> Result<CustomerKind, &'static str> {
    match text.trim() {
        "person" => Ok(CustomerKind::Person),
        "business" => Ok(CustomerKind::Business),
        _ => Err("must be person or business"),
    }
}

fn affiliation(text: &str) -> Result<CustomerAffiliation, &'static str> {
    match text.trim() {
        "external" => Ok(CustomerAffiliation::External),
        "internal" => Ok(CustomerAffiliation::Internal),
        _ => Err("must be external or internal"),
    }
}

fn gender(text: &str) -> Result<Gender, &'static str> {
    match text.trim() {
        "female" => Ok(Gender::Female),
        "male" => Ok(Gender::Male),
        "other" => Ok(Gender::Other),
        _ => Err("must be female, male or other"),
    }
}

fn company_size(text: &str) -> Result<CompanySize, &'static str> {
    match text.trim() {
        "micro" => Ok(CompanySize::Micro),
        "small" => Ok(CompanySize::Small),
        "medium" => Ok(CompanySize::Medium),
        "large" => Ok(CompanySize::Large),
        _ => Err("must be micro, small, medium or large"),
    }
}

fn capacity(text: &str) -> Result<Money, &'static str> {
    let read = || {
        let (amount, currency) = text.trim().split_once(' ')?;
        Some(Money {
            currency_code: currency.trim().to_owned(),
            amount_minor: amount.parse().ok()?,
        })
    };
    read().ok_or("must be minor units and a currency, such as 1250000 TRY")
}

/// The one address of a line. It is in the customer's country.
fn address(profile: &mut Profile) -> &mut PostalAddress {
    if profile.addresses.is_empty() {
        profile.addresses.push(PostalAddress::default());
    }
    &mut profile.addresses[0]
}

fn moment(text: &str) -> Result<OffsetDateTime, &'static str> {
    OffsetDateTime::parse(text.trim(), &Rfc3339)
        .map_err(|_| "must be a moment such as 2024-05-31T12:00:00Z (RFC 3339)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(of: &[(&str, &str)]) -> Vec<(Column, String)> {
        let column = |name| Column::parse(name).expect("a known column");
        let fields = of.iter();
        fields
            .map(|(name, value)| (column(name), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn every_column_comes_back_from_its_name() {
        for name in KNOWN.split(", ") {
            assert_eq!(Column::parse(name).unwrap().to_string(), name);
        }
        for unknown in ["external:", "Email", "e-mail", ""] {
            assert_eq!(Column::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_path_leads_back_to_the_column_also_where_others_are_empty() {
        let line = fields(&[
            ("kind", "person"),
            ("email", ""),
            ("phone", "+905321234567"),
            ("external:erp", "7"),
        ]);
        let Ok(registration) = Registration::parse(&line) else {
            panic!("it is a registration");
        };
        for (path, column) in [
            ("identifiers[0].value", "phone"),
            ("identifiers[1]", "external:erp"),
            ("profile.time_zone", "time_zone"),
            ("profile.addresses[0].address_lines[2]", "address_lines"),
            ("profile.addresses[0].country_code", "country_code"),
            ("profile", "profile"),
        ] {
            assert_eq!(registration.column_of(path), column);
        }
    }

    #[test]
    fn an_address_is_put_together_from_its_columns() {
        let line = fields(&[
            ("postal_code", "34710"),
            ("address_lines", "Moda Cad. 7 | Daire 3"),
            ("country_code", "TR"),
            ("yearly_capacity", "1250000 TRY"),
            ("gender", "female"),
        ]);
        let registration = Registration::parse(&line).ok().unwrap();
        let profile = registration.request.profile.unwrap();
        let expected = PostalAddress {
            address_lines: vec!["Moda Cad. 7".to_owned(), "Daire 3".to_owned()],
            postal_code: "34710".to_owned(),
            country_code: "TR".to_owned(),
            ..PostalAddress::default()
        };
        assert_eq!(profile.addresses, [expected]);
        assert_eq!(profile.gender(), Gender::Female);
        let capacity = profile.yearly_capacity.unwrap();
        assert_eq!(
            (capacity.amount_minor, &*capacity.currency_code),
            (1_250_000, "TRY")
        );
    }

    #[test]
    fn everything_that_is_wrong_with_a_line_is_told_at_once() {
        let line = fields(&[
            ("kind", "cat"),
            ("affiliation", "inside"),
            ("registered_time", "yesterday"),
            ("gender", "F"),
            ("company_size", "huge"),
            ("yearly_capacity", "much"),
        ]);
        let wrong = Registration::parse(&line).err().unwrap();
        let columns = wrong.iter().map(|one| one.column.as_str());
        assert_eq!(
            columns.collect::<Vec<_>>(),
            [
                "kind",
                "affiliation",
                "registered_time",
                "gender",
                "company_size",
                "yearly_capacity"
            ]
        );
    }
}
