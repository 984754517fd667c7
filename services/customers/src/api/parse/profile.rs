//! Profiles and changes of them.

use contracts::customers::v1 as pb;
use service::status::Violations;

use crate::{
    domain::{
        Name,
        place::{Country, InvalidPlace, Locale, TimeZone},
        profile::{Affiliation, Change, Kind, Profile, ProfileChange, ProfileFields},
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
    Profile {
        given_name: name(violations, "given_name", &message.given_name),
        family_name: name(violations, "family_name", &message.family_name),
        legal_name: name(violations, "legal_name", &message.legal_name),
        locale: place(violations, "locale", &message.locale, Locale::parse),
        time_zone: place(violations, "time_zone", &message.time_zone, TimeZone::parse),
        country: place(
            violations,
            "country_code",
            &message.country_code,
            Country::parse,
        ),
    }
}

/// What becomes of the fields that the mask names. The others may hold anything.
pub(in crate::api) fn profile_change(
    violations: &mut Violations,
    message: Option<&pb::Profile>,
    mask: Option<&prost_types::FieldMask>,
) -> ProfileChange {
    let mut change = ProfileChange::default();
    let paths = mask.map_or(&[][..], |mask| &mask.paths);
    violations.check(
        !paths.is_empty(),
        "update_mask",
        "must name a field at least",
    );
    let Some(message) = message else {
        violations.add("profile", "must be given");
        return change;
    };
    for (number, path) in paths.iter().enumerate() {
        match path.as_str() {
            "given_name" => {
                change.given_name = Change::Set(name(violations, path, &message.given_name))
            }
            "family_name" => {
                change.family_name = Change::Set(name(violations, path, &message.family_name))
            }
            "legal_name" => {
                change.legal_name = Change::Set(name(violations, path, &message.legal_name))
            }
            "locale" => {
                change.locale = Change::Set(place(violations, path, &message.locale, Locale::parse))
            }
            "time_zone" => {
                change.time_zone =
                    Change::Set(place(violations, path, &message.time_zone, TimeZone::parse));
            }
            "country_code" => {
                change.country = Change::Set(place(
                    violations,
                    path,
                    &message.country_code,
                    Country::parse,
                ));
            }
            _ => {
                violations.add(
                    format!("update_mask.paths[{number}]"),
                    "is not a field of a profile",
                );
            }
        }
    }
    change
}

/// The fields that a mask names; none need be.
pub(in crate::api) fn profile_fields(
    violations: &mut Violations,
    path: &str,
    mask: Option<&prost_types::FieldMask>,
) -> ProfileFields {
    let mut fields = ProfileFields::default();
    let paths = mask.map_or(&[][..], |mask| &mask.paths);
    for (number, named) in paths.iter().enumerate() {
        match named.as_str() {
            "given_name" => fields.given_name = true,
            "family_name" => fields.family_name = true,
            "legal_name" => fields.legal_name = true,
            "locale" => fields.locale = true,
            "time_zone" => fields.time_zone = true,
            "country_code" => fields.country = true,
            _ => {
                violations.add(
                    format!("{path}.paths[{number}]"),
                    "is not a field of a profile",
                );
            }
        }
    }
    fields
}

fn name(violations: &mut Violations, field: &str, text: &str) -> Option<Name> {
    super::optional(violations, &format!("profile.{field}"), text, Name::parse)
}

fn place<T>(
    violations: &mut Violations,
    field: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, InvalidPlace>,
) -> Option<T> {
    super::optional(violations, &format!("profile.{field}"), text, parse)
}
