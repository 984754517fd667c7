//! Profiles and changes of them, as messages: in events, where what is personal is sealed field by field, and in what is sealed as a whole or not at all.

use std::convert::Infallible;

use aggregate::CustomerId;
use bytes::Bytes;
use contracts::{common::v1::Money, customers::v1 as pb};
use event_log::{DecodeError, Seal, SealError, StoredEvent, SubjectCipher, timestamp};
use prost::Message as _;

use super::{super::fields, original_id};
use crate::{
    domain::{
        Label, Name,
        address::{Address, Addresses},
        customer::{CustomerEvent, Registration},
        person::BirthDate,
        place::{Country, Locale, Region, TimeZone},
        profile::{Affiliation, Change, Profile, ProfileChange},
        trade::Capacity,
    },
    wire,
};

// Names of the sealed fields: a ciphertext opens only where it was sealed.
const GIVEN_NAME: &str = "given_name";
const FAMILY_NAME: &str = "family_name";
const LEGAL_NAME: &str = "legal_name";
const FORMAL_ADDRESS: &str = "formal_address";
const PREFERRED_NAME: &str = "preferred_name";
const BIRTH_DATE: &str = "birth_date";
const OCCUPATION: &str = "occupation";
const ADDRESSES: &str = "addresses";

/// How what is personal goes into a message.
trait Sealing {
    type Error;
    fn seal(&self, field: &'static str, plain: &[u8]) -> Result<Bytes, Self::Error>;
}

impl Sealing for Seal<'_> {
    type Error = SealError;

    fn seal(&self, field: &'static str, plain: &[u8]) -> Result<Bytes, SealError> {
        self.field(field, plain)
    }
}

/// How it comes out again.
trait Opening {
    type Error;
    /// None where its key was destroyed.
    fn open(&self, field: &'static str, sealed: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;
    fn invalid(&self, field: &'static str) -> Self::Error;
}

/// The fields of an event.
struct Opener<'a> {
    event: &'a StoredEvent,
    cipher: &'a SubjectCipher,
}

impl Opening for Opener<'_> {
    type Error = DecodeError;

    fn open(&self, field: &'static str, sealed: &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
        let opened = self.cipher.open_field(self.event.event_id, field, sealed);
        Ok(opened?)
    }

    fn invalid(&self, field: &'static str) -> DecodeError {
        DecodeError::invalid(self.event, field)
    }
}

/// In clear: whatever holds the message is sealed as a whole, or wiped at an erasure.
struct Clear;

/// What is kept in clear is no profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} of a kept profile cannot be read")]
pub(crate) struct InvalidProfile(&'static str);

impl Sealing for Clear {
    type Error = Infallible;

    fn seal(&self, _: &'static str, plain: &[u8]) -> Result<Bytes, Infallible> {
        Ok(Bytes::copy_from_slice(plain))
    }
}

impl Opening for Clear {
    type Error = InvalidProfile;

    fn open(&self, _: &'static str, sealed: &[u8]) -> Result<Option<Vec<u8>>, InvalidProfile> {
        Ok(Some(sealed.to_vec()))
    }

    fn invalid(&self, field: &'static str) -> InvalidProfile {
        InvalidProfile(field)
    }
}

/// A registration. What was given of the profile stands in it as what an update would have set.
pub(super) fn registered(
    registration: &Registration,
    profile: &Profile,
    seal: &Seal<'_>,
) -> Result<pb::CustomerRegistered, SealError> {
    let given = ProfileChange::between(&Profile::default(), profile);
    let given = message(&given, seal)?;
    Ok(pb::CustomerRegistered {
        customer_id: registration.customer.to_string(),
        kind: wire::kind(registration.kind).into(),
        given_name_sealed: given.given_name_sealed.unwrap_or_default(),
        family_name_sealed: given.family_name_sealed.unwrap_or_default(),
        legal_name_sealed: given.legal_name_sealed.unwrap_or_default(),
        locale: given.locale.unwrap_or_default(),
        time_zone: given.time_zone.unwrap_or_default(),
        country_code: given.country_code.unwrap_or_default(),
        registered_time: Some(timestamp::to_proto(registration.registered_at)),
        affiliation: match registration.affiliation {
            // As before there were internal ones.
            Affiliation::External => 0,
            Affiliation::Internal => wire::affiliation(registration.affiliation).into(),
        },
        details: given.details,
    })
}

/// The event of a registration.
pub(super) fn read_registered(
    event: &StoredEvent,
    cipher: &SubjectCipher,
) -> Result<CustomerEvent, DecodeError> {
    let message: pb::CustomerRegistered = event.message()?;
    let customer = fields::customer(event, &message.customer_id)?;
    let kind = fields::known(event, "kind", wire::parse_kind(message.kind))?;
    let affiliation = wire::parse_affiliation(message.affiliation);
    let affiliation = fields::known(event, "affiliation", affiliation)?;
    let registered_at = fields::moment(event, "registered_time", message.registered_time.as_ref())?;
    let given = pb::ProfileUpdated {
        given_name_sealed: Some(message.given_name_sealed),
        family_name_sealed: Some(message.family_name_sealed),
        legal_name_sealed: Some(message.legal_name_sealed),
        locale: Some(message.locale),
        time_zone: Some(message.time_zone),
        country_code: Some(message.country_code),
        details: message.details,
        ..pb::ProfileUpdated::default()
    };
    let mut profile = Profile::default();
    change(given, &Opener { event, cipher })?.apply(&mut profile);
    Ok(CustomerEvent::Registered {
        customer,
        kind,
        affiliation,
        profile,
        registered_at,
    })
}

/// An update.
pub(super) fn updated(
    customer: CustomerId,
    change: &ProfileChange,
    original: Option<CustomerId>,
    seal: &Seal<'_>,
) -> Result<pb::ProfileUpdated, SealError> {
    Ok(pb::ProfileUpdated {
        customer_id: customer.to_string(),
        original_customer_id: original_id(original),
        ..message(change, seal)?
    })
}

/// The event of an update.
pub(super) fn read_updated(
    event: &StoredEvent,
    cipher: &SubjectCipher,
) -> Result<CustomerEvent, DecodeError> {
    let mut message: pb::ProfileUpdated = event.message()?;
    let original = std::mem::take(&mut message.original_customer_id);
    let told = CustomerEvent::ProfileUpdated {
        customer: fields::customer(event, &message.customer_id)?,
        change: change(message, &Opener { event, cipher })?,
    };
    super::told_of(event, &original, told)
}

/// A change in clear.
pub(super) fn kept(change: &ProfileChange) -> pb::ProfileUpdated {
    let Ok(message) = message(change, &Clear);
    message
}

/// A change that was kept.
///
/// # Errors
/// When it is none.
pub(super) fn read_kept(message: pb::ProfileUpdated) -> Result<ProfileChange, InvalidProfile> {
    change(message, &Clear)
}

/// What of a profile has no column of its own, in clear and encoded; nothing where there is nothing of it.
pub(crate) fn encode_details(profile: &Profile) -> Vec<u8> {
    let given = ProfileChange::between(&Profile::default(), profile);
    let details = kept(&given).details;
    details.map_or_else(Vec::new, |details| details.encode_to_vec())
}

/// Adds to a profile what was encoded.
///
/// # Errors
/// When it is no such encoding.
pub(crate) fn decode_details(encoded: &[u8], profile: &mut Profile) -> Result<(), InvalidProfile> {
    let details = pb::ProfileDetails::decode(encoded).map_err(|_| InvalidProfile("the whole"))?;
    let given = pb::ProfileUpdated {
        details: Some(details),
        ..pb::ProfileUpdated::default()
    };
    read_kept(given)?.apply(profile);
    Ok(())
}

fn message<S: Sealing>(change: &ProfileChange, to: &S) -> Result<pb::ProfileUpdated, S::Error> {
    let details = pb::ProfileDetails {
        formal_address_sealed: name(to, FORMAL_ADDRESS, &change.formal_address)?,
        preferred_name_sealed: name(to, PREFERRED_NAME, &change.preferred_name)?,
        birth_date_sealed: set(&change.birth_date, |date| {
            let text = date.map(|date| date.to_string()).unwrap_or_default();
            to.seal(BIRTH_DATE, text.as_bytes())
        })?,
        gender: number(&change.gender, |gender| wire::gender(*gender).into()),
        income_band: text(&change.income_band, Label::as_str),
        occupation_sealed: name(to, OCCUPATION, &change.occupation)?,
        sector: text(&change.sector, Label::as_str),
        company_size: number(&change.company_size, |size| {
            wire::company_size(*size).into()
        }),
        yearly_capacity: match &change.yearly_capacity {
            Change::Keep => None,
            Change::Set(capacity) => Some(capacity.as_ref().map_or_else(Money::default, money)),
        },
        region_code: text(&change.region, Region::as_str),
        addresses_sealed: set(&change.addresses, |addresses| {
            let addresses = addresses.map_or(&[][..], Addresses::as_slice);
            let addresses = pb::PostalAddresses {
                addresses: addresses.iter().map(wire::address).collect(),
            };
            to.seal(ADDRESSES, &addresses.encode_to_vec())
        })?,
    };
    Ok(pb::ProfileUpdated {
        given_name_sealed: name(to, GIVEN_NAME, &change.given_name)?,
        family_name_sealed: name(to, FAMILY_NAME, &change.family_name)?,
        legal_name_sealed: name(to, LEGAL_NAME, &change.legal_name)?,
        locale: text(&change.locale, Locale::as_str),
        time_zone: text(&change.time_zone, TimeZone::as_str),
        country_code: text(&change.country, Country::as_str),
        details: (details != pb::ProfileDetails::default()).then_some(details),
        ..pb::ProfileUpdated::default()
    })
}

fn change<O: Opening>(message: pb::ProfileUpdated, from: &O) -> Result<ProfileChange, O::Error> {
    let details = message.details.unwrap_or_default();
    Ok(ProfileChange {
        given_name: read_name(from, GIVEN_NAME, message.given_name_sealed)?,
        family_name: read_name(from, FAMILY_NAME, message.family_name_sealed)?,
        legal_name: read_name(from, LEGAL_NAME, message.legal_name_sealed)?,
        locale: read_text(message.locale, Locale::from_stored),
        time_zone: read_text(message.time_zone, TimeZone::from_stored),
        country: read_text(message.country_code, Country::from_stored),
        formal_address: read_name(from, FORMAL_ADDRESS, details.formal_address_sealed)?,
        preferred_name: read_name(from, PREFERRED_NAME, details.preferred_name_sealed)?,
        birth_date: read_sealed(from, BIRTH_DATE, details.birth_date_sealed, |plain| {
            BirthDate::from_stored(str::from_utf8(&plain).ok()?)
        })?,
        gender: read_number(from, "gender", details.gender, wire::parse_gender)?,
        income_band: read_text(details.income_band, Label::from_stored),
        occupation: read_name(from, OCCUPATION, details.occupation_sealed)?,
        sector: read_text(details.sector, Label::from_stored),
        company_size: read_number(
            from,
            "company_size",
            details.company_size,
            wire::parse_company_size,
        )?,
        yearly_capacity: match details.yearly_capacity {
            None => Change::Keep,
            Some(money) => Change::Set(fields::optional(money.currency_code, |currency| {
                Capacity::from_stored(currency, money.amount_minor)
            })),
        },
        region: read_text(details.region_code, Region::from_stored),
        addresses: read_sealed(from, ADDRESSES, details.addresses_sealed, |plain| {
            let message = pb::PostalAddresses::decode(&*plain).ok()?;
            let addresses = message.addresses.into_iter().map(address);
            Addresses::of(addresses.collect::<Option<_>>()?)
        })?,
    })
}

fn set<T, R, E>(
    change: &Change<T>,
    value: impl FnOnce(Option<&T>) -> Result<R, E>,
) -> Result<Option<R>, E> {
    match change {
        Change::Keep => Ok(None),
        Change::Set(new) => value(new.as_ref()).map(Some),
    }
}

fn name<S: Sealing>(
    to: &S,
    field: &'static str,
    change: &Change<Name>,
) -> Result<Option<Bytes>, S::Error> {
    set(change, |name| {
        to.seal(field, name.map_or("", Name::as_str).as_bytes())
    })
}

fn text<T>(change: &Change<T>, as_str: impl FnOnce(&T) -> &str) -> Option<String> {
    match change {
        Change::Keep => None,
        Change::Set(value) => Some(value.as_ref().map_or("", as_str).to_owned()),
    }
}

/// The number of an enum; 0 where it was cleared.
fn number<T>(change: &Change<T>, number: impl FnOnce(&T) -> i32) -> Option<i32> {
    match change {
        Change::Keep => None,
        Change::Set(value) => Some(value.as_ref().map_or(0, number)),
    }
}

fn money(capacity: &Capacity) -> Money {
    Money {
        currency_code: capacity.currency_code().to_owned(),
        amount_minor: capacity.amount_minor(),
    }
}

/// A field that was sealed. One whose key was destroyed is missing, as is one that was never given.
fn read_sealed<T, O: Opening>(
    from: &O,
    field: &'static str,
    sealed: Option<Bytes>,
    read: impl FnOnce(Vec<u8>) -> Option<T>,
) -> Result<Change<T>, O::Error> {
    let Some(sealed) = sealed else {
        return Ok(Change::Keep);
    };
    match from.open(field, &sealed)? {
        Some(plain) if !plain.is_empty() => {
            let value = read(plain).ok_or_else(|| from.invalid(field))?;
            Ok(Change::Set(Some(value)))
        }
        Some(_) | None => Ok(Change::Set(None)),
    }
}

fn read_name<O: Opening>(
    from: &O,
    field: &'static str,
    sealed: Option<Bytes>,
) -> Result<Change<Name>, O::Error> {
    read_sealed(from, field, sealed, |plain| {
        String::from_utf8(plain).ok().map(Name::from_stored)
    })
}

fn read_text<T>(text: Option<String>, from_stored: impl FnOnce(String) -> T) -> Change<T> {
    match text {
        None => Change::Keep,
        Some(text) => Change::Set(fields::optional(text, from_stored)),
    }
}

fn read_number<T, O: Opening>(
    from: &O,
    field: &'static str,
    number: Option<i32>,
    parse: impl FnOnce(i32) -> Option<T>,
) -> Result<Change<T>, O::Error> {
    match number {
        None => Ok(Change::Keep),
        Some(0) => Ok(Change::Set(None)),
        Some(number) => match parse(number) {
            None => Err(from.invalid(field)),
            value => Ok(Change::Set(value)),
        },
    }
}

fn address(message: pb::PostalAddress) -> Option<Address> {
    let lines = message.address_lines.into_iter();
    Some(Address {
        type_: wire::parse_address_type(message.r#type)?,
        lines: lines.map(Name::from_stored).collect(),
        locality: fields::optional(message.locality, Name::from_stored),
        administrative_area: fields::optional(message.administrative_area, Name::from_stored),
        postal_code: fields::optional(message.postal_code, Name::from_stored),
        country: Country::from_stored(message.country_code),
    })
}
