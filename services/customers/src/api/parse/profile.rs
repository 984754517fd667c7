//! Profiles and changes of them.

use std::fmt::Display;

use contracts::{common::v1::Money, customers::v1 as pb};
use prost_types::FieldMask;
use service::status::Violations;
use time::Date;

use crate::{
    domain::{
        Label, Name,
        address::{Address, Addresses},
        person::BirthDate,
        place::{Country, Locale, Region, TimeZone},
        profile::{Affiliation, Change, Kind, Profile, ProfileChange, ProfileFields},
        trade::Capacity,
    },
    wire,
};

/// Person or business.
pub(in crate::api) fn kind(violations: &mut Violations, number: i32) -> Option<Kind> {
    let kind = wire::parse_kind(number);
    violations.check(kind.is_some(), "kind", "must be a person or a business");
    kind
}

/// External or internal. Only persons are internal.
pub(in crate::api) fn affiliation(
    violations: &mut Violations,
    number: i32,
    kind: Option<Kind>,
) -> Option<Affiliation> {
    let affiliation = wire::parse_affiliation(number);
    violations.check(
        affiliation.is_some(),
        "affiliation",
        "must be external or internal",
    );
    violations.check(
        affiliation != Some(Affiliation::Internal) || kind != Some(Kind::Business),
        "affiliation",
        "of a business cannot be internal",
    );
    affiliation
}

/// The profile of a new customer, with the name that the kind asks for.
pub(in crate::api) fn profile(
    violations: &mut Violations,
    message: Option<&pb::Profile>,
    kind: Option<Kind>,
    today: Date,
) -> Profile {
    let nothing = pb::Profile::default();
    let message = message.unwrap_or(&nothing);
    let named = |names: &[&String]| names.iter().any(|name| !name.trim().is_empty());
    match kind {
        Some(Kind::Person) => {
            let named = named(&[&message.given_name, &message.family_name]);
            violations.check(
                named,
                "profile",
                "of a person needs a given or a family name",
            );
        }
        Some(Kind::Business) => {
            violations.check(
                named(&[&message.legal_name]),
                "profile",
                "of a business needs a legal name",
            );
        }
        None => {}
    }
    let mut profile = Profile::default();
    for path in ProfileFields::PATHS {
        if let Some(change) = field(violations, path, message, today) {
            change.apply(&mut profile);
        }
    }
    profile
}

/// What becomes of the fields that the mask names. The others may hold anything.
pub(in crate::api) fn profile_change(
    violations: &mut Violations,
    message: Option<&pb::Profile>,
    mask: Option<&FieldMask>,
    today: Date,
) -> ProfileChange {
    let mut all = ProfileChange::default();
    let paths = mask.map_or(&[][..], |mask| &mask.paths);
    violations.check(
        !paths.is_empty(),
        "update_mask",
        "must name a field at least",
    );
    let Some(message) = message else {
        violations.add("profile", "must be given");
        return all;
    };
    for (number, path) in paths.iter().enumerate() {
        match field(violations, path, message, today) {
            Some(change) => all = change.or(&all),
            None => no_field(violations, "update_mask", number),
        }
    }
    all
}

/// The fields that a mask names; none need be.
pub(in crate::api) fn profile_fields(
    violations: &mut Violations,
    path: &str,
    mask: Option<&FieldMask>,
) -> ProfileFields {
    let mut fields = ProfileFields::default();
    let paths = mask.map_or(&[][..], |mask| &mask.paths);
    for (number, named) in paths.iter().enumerate() {
        if !fields.add(named) {
            no_field(violations, path, number);
        }
    }
    fields
}

fn no_field(violations: &mut Violations, mask: &str, number: usize) {
    violations.add(
        format!("{mask}.paths[{number}]"),
        "is not a field of a profile",
    );
}

/// One field as the message has it; none when there is no field of this name.
fn field(
    violations: &mut Violations,
    path: &str,
    message: &pb::Profile,
    today: Date,
) -> Option<ProfileChange> {
    let mut change = ProfileChange::default();
    let at = format!("profile.{path}");
    let mut set = Fields {
        violations,
        at: &at,
    };
    match path {
        "given_name" => change.given_name = set.text(&message.given_name, Name::parse),
        "family_name" => change.family_name = set.text(&message.family_name, Name::parse),
        "legal_name" => change.legal_name = set.text(&message.legal_name, Name::parse),
        "locale" => change.locale = set.text(&message.locale, Locale::parse),
        "time_zone" => change.time_zone = set.text(&message.time_zone, TimeZone::parse),
        "country_code" => change.country = set.text(&message.country_code, Country::parse),
        "formal_address" => change.formal_address = set.text(&message.formal_address, Name::parse),
        "preferred_name" => change.preferred_name = set.text(&message.preferred_name, Name::parse),
        "birth_date" => {
            let parse = |text: &str| BirthDate::parse(text, today);
            change.birth_date = set.text(&message.birth_date, parse);
        }
        "gender" => change.gender = set.value(message.gender, wire::parse_gender),
        "income_band" => change.income_band = set.text(&message.income_band, Label::parse),
        "occupation" => change.occupation = set.text(&message.occupation, Name::parse),
        "sector" => change.sector = set.text(&message.sector, Label::parse),
        "company_size" => {
            change.company_size = set.value(message.company_size, wire::parse_company_size);
        }
        "yearly_capacity" => {
            change.yearly_capacity = set.capacity(message.yearly_capacity.as_ref());
        }
        "region_code" => change.region = set.text(&message.region_code, Region::parse),
        "addresses" => change.addresses = set.addresses(&message.addresses),
        _ => return None,
    }
    Some(change)
}

/// Where a field is, and what is wrong with it.
struct Fields<'a> {
    violations: &'a mut Violations,
    at: &'a str,
}

impl Fields<'_> {
    fn text<T, E: Display>(
        &mut self,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Change<T> {
        Change::Set(super::optional(self.violations, self.at, text, parse))
    }

    /// A value of an enum; 0 for none.
    fn value<T>(&mut self, number: i32, parse: impl FnOnce(i32) -> Option<T>) -> Change<T> {
        let value = parse(number);
        let known = number == 0 || value.is_some();
        self.violations
            .check(known, self.at, "is not a value that there is");
        Change::Set(value)
    }

    fn capacity(&mut self, money: Option<&Money>) -> Change<Capacity> {
        let capacity = money.map(|money| Capacity::new(&money.currency_code, money.amount_minor));
        Change::Set(capacity.and_then(|capacity| self.violations.parsed(self.at, capacity)))
    }

    fn addresses(&mut self, messages: &[pb::PostalAddress]) -> Change<Addresses> {
        let few = messages.len() <= Addresses::MAX;
        self.violations.check(few, self.at, "must be 8 at most");
        let mut addresses = Vec::new();
        for (number, message) in messages.iter().take(Addresses::MAX).enumerate() {
            let at = format!("{}[{number}]", self.at);
            addresses.extend(address(self.violations, &at, message));
        }
        Change::Set(Addresses::of(addresses))
    }
}

fn address(violations: &mut Violations, at: &str, message: &pb::PostalAddress) -> Option<Address> {
    let type_ = wire::parse_address_type(message.r#type);
    let known = type_.is_some();
    violations.check(known, &format!("{at}.type"), "is not a type of address");
    let path = format!("{at}.address_lines");
    let few = (1..=Address::LINES_MAX).contains(&message.address_lines.len());
    violations.check(few, &path, "must be 1 to 4");
    let mut lines = Vec::new();
    for (number, line) in message
        .address_lines
        .iter()
        .take(Address::LINES_MAX)
        .enumerate()
    {
        lines.extend(violations.parsed(&format!("{path}[{number}]"), Name::parse(line)));
    }
    let mut text = |field: &str, text: &str| {
        super::optional(violations, &format!("{at}.{field}"), text, Name::parse)
    };
    let locality = text("locality", &message.locality);
    let administrative_area = text("administrative_area", &message.administrative_area);
    let postal_code = text("postal_code", &message.postal_code);
    let country = Country::parse(&message.country_code);
    let country = violations.parsed(&format!("{at}.country_code"), country);
    Some(Address {
        type_: type_?,
        lines,
        locality,
        administrative_area,
        postal_code,
        country: country?,
    })
}
