//! The bytes of every event type and schema version that was ever stored decode for ever.

use std::{fmt::Debug, path::Path};

use aggregate::{Aggregate as _, CustomerId};
use event_log::{DecodeError, Stored, StoredEvent, SubjectCipher};
use testing::{
    golden::{EVENT_ID, assert_golden, assert_golden_sealed},
    stack::tenant,
};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{
    claim::IDENTIFIER_CLAIMED,
    customer::{
        CONSENT_RECORDED, CONSENT_WITHDRAWN, CUSTOMER_REGISTERED, IDENTIFIER_ADDED, PROFILE_UPDATED,
    },
};
use crate::domain::{
    Customer, IdentifierClaim, Label, Name, Reference,
    claim::ClaimEvent,
    consent::{Channel, ConsentScope, Grant, LegalBasis, Purpose},
    customer::{CustomerEvent, OwnedIdentifier},
    identifier::{ClaimId, Email, Identifier, IdentifierType},
    place::{Country, Locale, TimeZone},
    profile::{Change, Kind, Profile, ProfileChange},
};

const CUSTOMER: CustomerId = CustomerId(Uuid::from_u128(0xC));
const CLAIM: ClaimId = ClaimId(Uuid::from_u128(0x1D));
const AT: OffsetDateTime = datetime!(2026-11-23 09:30:00.123456 UTC);
const SCOPE: ConsentScope = ConsentScope {
    channel: Channel::Sms,
    purpose: Purpose::Research,
};

/// The cipher under which the golden names and identifiers were sealed.
fn cipher() -> SubjectCipher {
    SubjectCipher::with_key(&tenant(), CUSTOMER, [7; 32])
}

fn name(text: &str) -> Option<Name> {
    Some(Name::parse(text).unwrap())
}

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

fn registered() -> CustomerEvent {
    CustomerEvent::Registered {
        customer: CUSTOMER,
        kind: Kind::Person,
        profile: Profile {
            given_name: name("Ayşe"),
            family_name: name("Yılmaz"),
            legal_name: None,
            locale: Some(Locale::parse("tr-TR").unwrap()),
            time_zone: Some(TimeZone::parse("Europe/Istanbul").unwrap()),
            country: Some(Country::parse("TR").unwrap()),
        },
        registered_at: AT,
    }
}

fn updated() -> CustomerEvent {
    CustomerEvent::ProfileUpdated {
        customer: CUSTOMER,
        change: ProfileChange {
            given_name: Change::Set(name("Ayşegül")),
            family_name: Change::Set(None),
            time_zone: Change::Set(None),
            country: Change::Set(Some(Country::parse("DE").unwrap())),
            ..ProfileChange::default()
        },
    }
}

fn added() -> CustomerEvent {
    CustomerEvent::IdentifierAdded {
        customer: CUSTOMER,
        identifier: OwnedIdentifier {
            claim: CLAIM,
            type_: IdentifierType::Email,
            identifier: Some(Identifier::Email(Email::parse("ayse@example.com").unwrap())),
        },
        added_at: AT,
    }
}

fn stored(type_: &str, schema_version: i16, payload: &[u8]) -> StoredEvent {
    testing::golden::stored(type_, schema_version, payload, AT)
}

fn is_golden<A: Stored>(event: &A::Event, type_: &str, golden: &[u8])
where
    A::Event: Debug + PartialEq,
{
    assert_golden::<A>(event, &stored(type_, 1, golden), &cipher());
}

/// For events that give away `hidden` but for the seal.
fn is_golden_sealed<A: Stored>(event: &A::Event, type_: &str, golden: &[u8], hidden: &[&str])
where
    A::Event: Debug + PartialEq,
{
    assert_golden_sealed::<A>(event, &stored(type_, 1, golden), &cipher(), hidden);
}

#[test]
fn customer_registered_v1() {
    let golden = include_bytes!("../../tests/golden/customer_registered.v1.bin");
    is_golden_sealed::<Customer>(
        &registered(),
        CUSTOMER_REGISTERED,
        golden,
        &["Ayşe", "Yılmaz"],
    );
}

#[test]
fn profile_updated_v1() {
    let golden = include_bytes!("../../tests/golden/profile_updated.v1.bin");
    is_golden_sealed::<Customer>(&updated(), PROFILE_UPDATED, golden, &["Ayşegül"]);
}

#[test]
fn identifier_added_v1() {
    let golden = include_bytes!("../../tests/golden/identifier_added.v1.bin");
    is_golden_sealed::<Customer>(&added(), IDENTIFIER_ADDED, golden, &["ayse", "example.com"]);
}

#[test]
fn identifier_claimed_v1() {
    let event = ClaimEvent::IdentifierClaimed {
        claim: CLAIM,
        customer: CUSTOMER,
        type_: IdentifierType::Phone,
    };
    let golden = include_bytes!("../../tests/golden/identifier_claimed.v1.bin");
    is_golden::<IdentifierClaim>(&event, IDENTIFIER_CLAIMED, golden);
}

#[test]
fn consent_recorded_v1() {
    let event = CustomerEvent::ConsentRecorded {
        customer: CUSTOMER,
        scope: SCOPE,
        grant: Grant {
            legal_basis: LegalBasis::LegitimateInterest,
            wording_version: label("2026-01"),
            source: label("web-form"),
            evidence: Some(Reference::parse("doc/17").unwrap()),
        },
        given_at: AT,
        event_id: Some(EVENT_ID),
    };
    let golden = include_bytes!("../../tests/golden/consent_recorded.v1.bin");
    is_golden::<Customer>(&event, CONSENT_RECORDED, golden);
}

#[test]
fn consent_withdrawn_v1() {
    let event = CustomerEvent::ConsentWithdrawn {
        customer: CUSTOMER,
        scope: SCOPE,
        source: label("phone"),
        withdrawn_at: AT,
        event_id: Some(EVENT_ID),
    };
    let golden = include_bytes!("../../tests/golden/consent_withdrawn.v1.bin");
    is_golden::<Customer>(&event, CONSENT_WITHDRAWN, golden);
}

#[test]
fn a_customer_is_kept_as_ever() {
    let recorded = |event_id| CustomerEvent::ConsentRecorded {
        customer: CUSTOMER,
        scope: SCOPE,
        grant: Grant {
            legal_basis: LegalBasis::LegitimateInterest,
            wording_version: label("2026-01"),
            source: label("web-form"),
            evidence: Some(Reference::parse("doc/17").unwrap()),
        },
        given_at: AT,
        event_id: Some(event_id),
    };
    let withdrawn = CustomerEvent::ConsentWithdrawn {
        customer: CUSTOMER,
        scope: SCOPE,
        source: label("phone"),
        withdrawn_at: AT + time::Duration::DAY,
        event_id: Some(Uuid::from_u128(0xF)),
    };
    let external = OwnedIdentifier {
        claim: ClaimId(Uuid::from_u128(0x2D)),
        type_: IdentifierType::External,
        identifier: Some(Identifier::from_stored(
            IdentifierType::External,
            "K-17".to_owned(),
            "erp".to_owned(),
        )),
    };
    let business = CustomerEvent::ProfileUpdated {
        customer: CUSTOMER,
        change: ProfileChange {
            legal_name: Change::Set(name("Yılmaz A.Ş.")),
            ..ProfileChange::default()
        },
    };
    let customer = Customer::fold([
        &registered(),
        &business,
        &added(),
        &CustomerEvent::IdentifierAdded {
            customer: CUSTOMER,
            identifier: external,
            added_at: AT,
        },
        &recorded(EVENT_ID),
        &withdrawn,
    ]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    testing::snapshot::assert_golden_snapshot(&customer, &folder);
}

#[test]
fn a_destroyed_key_takes_names_and_identifiers_with_it_and_nothing_else() {
    let golden = include_bytes!("../../tests/golden/customer_registered.v1.bin");
    let nobody = SubjectCipher::none(&tenant());
    let customer = Customer::fold([
        &Customer::decode(&stored(CUSTOMER_REGISTERED, 1, golden), &nobody).unwrap(),
        &Customer::decode(
            &stored(
                IDENTIFIER_ADDED,
                1,
                include_bytes!("../../tests/golden/identifier_added.v1.bin"),
            ),
            &nobody,
        )
        .unwrap(),
    ]);
    assert_eq!(customer.profile().given_name, None);
    assert_eq!(
        customer.profile().country,
        Some(Country::parse("TR").unwrap())
    );
    let [owned] = customer.identifiers() else {
        panic!("the identifier is gone")
    };
    assert_eq!(
        (owned.claim, owned.type_, &owned.identifier),
        (CLAIM, IdentifierType::Email, &None)
    );
}

#[test]
fn every_event_of_the_contract_has_its_golden_files() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    testing::golden::assert_complete("vefa.customers.v1", &golden, AT, |event| {
        match event.type_.as_str() {
            IDENTIFIER_CLAIMED => IdentifierClaim::decode(event, &cipher()).map(drop),
            _ => Customer::decode(event, &cipher()).map(drop),
        }
    });
}

#[test]
fn what_a_newer_version_wrote_is_refused_not_guessed() {
    let golden = include_bytes!("../../tests/golden/consent_withdrawn.v1.bin");
    for event in [
        stored(CONSENT_WITHDRAWN, 2, golden),
        stored("vefa.customers.v1.Unheard", 1, golden),
    ] {
        let error = Customer::decode(&event, &cipher()).unwrap_err();
        assert!(matches!(error, DecodeError::UnknownType { .. }), "{error}");
        let error = IdentifierClaim::decode(&event, &cipher()).unwrap_err();
        assert!(matches!(error, DecodeError::UnknownType { .. }), "{error}");
    }
}
