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
    claim::{IDENTIFIER_CLAIMED, IDENTIFIER_RELEASED},
    customer::{
        CONSENT_RECORDED, CONSENT_WITHDRAWN, CUSTOMER_ABSORBED, CUSTOMER_ERASED, CUSTOMER_MERGED,
        CUSTOMER_REGISTERED, CUSTOMER_SEPARATED, CUSTOMER_UNMERGED, DESCENDANT_ADDED,
        IDENTIFIER_ADDED, IDENTIFIER_REMOVED, LIFECYCLE_STAGE_CHANGED, OWNER_ASSIGNED,
        OWNER_RELEASED, PROCESSING_RESTRICTED, PROFILE_UPDATED, RELATION_ADDED, RELATION_ENDED,
        RESTRICTION_LIFTED, TEAM_ASSIGNED, decode_details, encode_details,
    },
};
use crate::domain::{
    Customer, IdentifierClaim, Label, Name, Reference,
    address::{Address, AddressType, Addresses},
    claim::ClaimEvent,
    consent::{Channel, ConsentScope, Grant, LegalBasis, Purpose},
    customer::{CustomerEvent, OwnedIdentifier},
    erasure::{Erasure, ErasureReason},
    identifier::{ClaimId, Email, Identifier, IdentifierType},
    lifecycle::{Lifecycle, Stage},
    merger::Absorbed,
    office::Owner,
    person::{BirthDate, Gender},
    place::{Country, Locale, Region, TimeZone},
    profile::{Affiliation, Change, Kind, Profile, ProfileChange},
    relation::{Period, Relation, RelationId, RelationType},
    restriction::RestrictionReason,
    trade::{Capacity, CompanySize},
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
        affiliation: Affiliation::External,
        profile: Profile {
            given_name: name("Ayşe"),
            family_name: name("Yılmaz"),
            legal_name: None,
            locale: Some(Locale::parse("tr-TR").unwrap()),
            time_zone: Some(TimeZone::parse("Europe/Istanbul").unwrap()),
            country: Some(Country::parse("TR").unwrap()),
            ..Profile::default()
        },
        registered_at: AT,
    }
}

/// Of every field that a profile has beyond those of the first version.
fn details() -> Profile {
    let address = Address {
        type_: AddressType::Home,
        lines: ["Moda Cad. 7", "Daire 3"]
            .map(|line| name(line).unwrap())
            .to_vec(),
        locality: name("Kadıköy"),
        administrative_area: name("İstanbul"),
        postal_code: name("34710"),
        country: Country::parse("TR").unwrap(),
    };
    Profile {
        formal_address: name("Sayın Yılmaz"),
        preferred_name: name("Ayşe Abla"),
        birth_date: BirthDate::from_stored("1990-05-17"),
        gender: Some(Gender::Female),
        income_band: Some(label("upper")),
        occupation: name("mimar"),
        sector: Some(label("F41")),
        company_size: Some(CompanySize::Small),
        yearly_capacity: Some(Capacity::new("TRY", 1_250_000).unwrap()),
        region: Some(Region::parse("TR-34").unwrap()),
        addresses: Addresses::of(vec![address]),
        ..Profile::default()
    }
}

/// What of [`details`] must not be readable.
const HIDDEN: [&str; 5] = ["Sayın", "Abla", "1990", "mimar", "Moda"];

fn registered_in_detail() -> CustomerEvent {
    CustomerEvent::Registered {
        customer: CUSTOMER,
        kind: Kind::Person,
        affiliation: Affiliation::Internal,
        profile: Profile {
            given_name: name("Ayşe"),
            ..details()
        },
        registered_at: AT,
    }
}

fn updated_in_detail() -> CustomerEvent {
    CustomerEvent::ProfileUpdated {
        customer: CUSTOMER,
        change: ProfileChange::between(&Profile::default(), &details()),
    }
}

/// Every one of these fields is cleared.
fn cleared() -> CustomerEvent {
    CustomerEvent::ProfileUpdated {
        customer: CUSTOMER,
        change: ProfileChange::between(&details(), &Profile::default()),
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
fn further_fields_of_a_profile_v1() {
    let golden = include_bytes!("../../tests/golden_details/customer_registered.v1.bin");
    is_golden_sealed::<Customer>(
        &registered_in_detail(),
        CUSTOMER_REGISTERED,
        golden,
        &HIDDEN,
    );
    let golden = include_bytes!("../../tests/golden_details/profile_updated.v1.bin");
    is_golden_sealed::<Customer>(&updated_in_detail(), PROFILE_UPDATED, golden, &HIDDEN);
    let golden = include_bytes!("../../tests/golden_details/profile_cleared.v1.bin");
    is_golden::<Customer>(&cleared(), PROFILE_UPDATED, golden);
}

#[test]
fn a_destroyed_key_takes_what_is_personal_of_the_further_fields() {
    let golden = include_bytes!("../../tests/golden_details/customer_registered.v1.bin");
    let nobody = SubjectCipher::none(&tenant());
    let told = Customer::decode(&stored(CUSTOMER_REGISTERED, 1, golden), &nobody).unwrap();
    let expected = Profile {
        formal_address: None,
        preferred_name: None,
        birth_date: None,
        occupation: None,
        addresses: None,
        ..details()
    };
    assert_eq!(*Customer::fold([&told]).profile(), expected);
}

#[test]
fn what_a_list_keeps_in_clear_comes_back() {
    let mut profile = Profile {
        given_name: name("Ayşe"),
        ..Profile::default()
    };
    let whole = Profile {
        given_name: name("Ayşe"),
        ..details()
    };
    decode_details(&encode_details(&whole), &mut profile).unwrap();
    assert_eq!(profile, whole);
    assert!(encode_details(&Profile::default()).is_empty());
    let unknown_gender = [0x20, 9];
    let error = decode_details(&unknown_gender, &mut profile).unwrap_err();
    assert_eq!(error.to_string(), "gender of a kept profile cannot be read");
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
fn identifier_released_v1() {
    let event = ClaimEvent::IdentifierReleased {
        claim: CLAIM,
        customer: CUSTOMER,
        type_: IdentifierType::Email,
    };
    let golden = include_bytes!("../../tests/golden/identifier_released.v1.bin");
    is_golden::<IdentifierClaim>(&event, IDENTIFIER_RELEASED, golden);
}

fn restricted() -> CustomerEvent {
    CustomerEvent::ProcessingRestricted {
        customer: CUSTOMER,
        reason: RestrictionReason::LegalClaims,
        restricted_at: AT,
    }
}

#[test]
fn processing_restricted_v1() {
    let golden = include_bytes!("../../tests/golden/processing_restricted.v1.bin");
    is_golden::<Customer>(&restricted(), PROCESSING_RESTRICTED, golden);
}

#[test]
fn restriction_lifted_v1() {
    let event = CustomerEvent::RestrictionLifted {
        customer: CUSTOMER,
        lifted_at: AT,
    };
    let golden = include_bytes!("../../tests/golden/restriction_lifted.v1.bin");
    is_golden::<Customer>(&event, RESTRICTION_LIFTED, golden);
}

#[test]
fn customer_erased_v1() {
    let event = CustomerEvent::Erased {
        customer: CUSTOMER,
        erasure: Erasure {
            reason: ErasureReason::SubjectRequest,
            at: AT,
        },
    };
    let golden = include_bytes!("../../tests/golden/customer_erased.v1.bin");
    is_golden::<Customer>(&event, CUSTOMER_ERASED, golden);
}

fn consented() -> CustomerEvent {
    CustomerEvent::ConsentRecorded {
        customer: CUSTOMER,
        scope: SCOPE,
        grant: Grant {
            legal_basis: LegalBasis::LegitimateInterest,
            wording_version: label("2026-01"),
            source: label("web-form"),
            evidence: Some(Reference::parse("doc/17").unwrap()),
            expires_at: None,
        },
        given_at: AT,
        event_id: Some(EVENT_ID),
    }
}

/// Consent that ends by itself.
fn expiring() -> CustomerEvent {
    CustomerEvent::ConsentRecorded {
        customer: CUSTOMER,
        scope: SCOPE,
        grant: Grant {
            legal_basis: LegalBasis::Consent,
            wording_version: label("2026-02"),
            source: label("shop"),
            evidence: None,
            expires_at: Some(AT + time::Duration::days(365)),
        },
        given_at: AT + time::Duration::DAY,
        event_id: Some(EVENT_ID),
    }
}

#[test]
fn consent_recorded_v1() {
    let golden = include_bytes!("../../tests/golden/consent_recorded.v1.bin");
    is_golden::<Customer>(&consented(), CONSENT_RECORDED, golden);
    let golden = include_bytes!("../../tests/golden_details/consent_recorded.v1.bin");
    is_golden::<Customer>(&expiring(), CONSENT_RECORDED, golden);
}

fn withdrawn() -> CustomerEvent {
    CustomerEvent::ConsentWithdrawn {
        customer: CUSTOMER,
        scope: SCOPE,
        source: label("phone"),
        withdrawn_at: AT,
        event_id: Some(EVENT_ID),
    }
}

#[test]
fn consent_withdrawn_v1() {
    let golden = include_bytes!("../../tests/golden/consent_withdrawn.v1.bin");
    is_golden::<Customer>(&withdrawn(), CONSENT_WITHDRAWN, golden);
}

#[test]
fn an_employee_is_registered_by_the_same_event() {
    let CustomerEvent::Registered {
        customer,
        kind,
        profile,
        registered_at,
        ..
    } = registered()
    else {
        panic!("a registration")
    };
    let employee = CustomerEvent::Registered {
        customer,
        kind,
        affiliation: Affiliation::Internal,
        profile,
        registered_at,
    };
    let golden = include_bytes!("../../tests/golden/customer_registered.v1.bin");
    // Field 10, a number: 2.
    let golden = [golden.as_slice(), &[0x50, 0x02]].concat();
    is_golden_sealed::<Customer>(&employee, CUSTOMER_REGISTERED, &golden, &["Ayşe", "Yılmaz"]);
}

#[test]
fn owner_assigned_v1() {
    let event = CustomerEvent::OwnerAssigned {
        customer: CUSTOMER,
        owner: Owner {
            employee: CustomerId(Uuid::from_u128(0xE3)),
            role: label("representative"),
        },
        assigned_at: AT,
    };
    let golden = include_bytes!("../../tests/golden/owner_assigned.v1.bin");
    is_golden::<Customer>(&event, OWNER_ASSIGNED, golden);
}

#[test]
fn owner_released_v1() {
    let event = CustomerEvent::OwnerReleased {
        customer: CUSTOMER,
        released_at: AT,
    };
    let golden = include_bytes!("../../tests/golden/owner_released.v1.bin");
    is_golden::<Customer>(&event, OWNER_RELEASED, golden);
}

#[test]
fn team_assigned_v1() {
    let event = CustomerEvent::TeamAssigned {
        customer: CUSTOMER,
        team: Some(label("key-accounts")),
        assigned_at: AT,
    };
    let golden = include_bytes!("../../tests/golden/team_assigned.v1.bin");
    is_golden::<Customer>(&event, TEAM_ASSIGNED, golden);
}

#[test]
fn lifecycle_stage_changed_v1() {
    let event = CustomerEvent::LifecycleStageChanged {
        customer: CUSTOMER,
        previous: Stage::Active,
        lifecycle: Lifecycle {
            stage: Stage::Lost,
            reason: Some(label("price")),
            since: AT,
        },
    };
    let golden = include_bytes!("../../tests/golden/lifecycle_stage_changed.v1.bin");
    is_golden::<Customer>(&event, LIFECYCLE_STAGE_CHANGED, golden);
}

const RELATION: RelationId = RelationId(Uuid::from_u128(0x4E));
const OTHER: CustomerId = CustomerId(Uuid::from_u128(0xC2));

fn parent() -> Relation {
    Relation {
        id: RELATION,
        type_: RelationType::SubsidiaryOf,
        from: CUSTOMER,
        to: OTHER,
        period: Period::from(AT),
    }
}

#[test]
fn relation_added_v1() {
    let event = CustomerEvent::RelationAdded { relation: parent() };
    let golden = include_bytes!("../../tests/golden/relation_added.v1.bin");
    is_golden::<Customer>(&event, RELATION_ADDED, golden);
}

#[test]
fn relation_ended_v1() {
    let event = CustomerEvent::RelationEnded {
        relation: RELATION,
        type_: RelationType::SubsidiaryOf,
        from: CUSTOMER,
        to: OTHER,
        ended_at: AT,
    };
    let golden = include_bytes!("../../tests/golden/relation_ended.v1.bin");
    is_golden::<Customer>(&event, RELATION_ENDED, golden);
}

#[test]
fn descendant_added_v1() {
    let event = CustomerEvent::DescendantAdded {
        customer: CUSTOMER,
        relation: RELATION,
        type_: RelationType::ReferredBy,
        descendant: OTHER,
        started_at: AT,
    };
    let golden = include_bytes!("../../tests/golden/descendant_added.v1.bin");
    is_golden::<Customer>(&event, DESCENDANT_ADDED, golden);
}

fn other_with_another() -> Absorbed {
    Absorbed {
        customer: OTHER,
        also: vec![CustomerId(Uuid::from_u128(0xC3))],
    }
}

fn removed() -> CustomerEvent {
    CustomerEvent::IdentifierRemoved {
        customer: CUSTOMER,
        claim: CLAIM,
        type_: IdentifierType::Email,
        removed_at: AT,
    }
}

#[test]
fn identifier_removed_v1() {
    let golden = include_bytes!("../../tests/golden/identifier_removed.v1.bin");
    is_golden::<Customer>(&removed(), IDENTIFIER_REMOVED, golden);
}

#[test]
fn customer_merged_v1() {
    let event = CustomerEvent::Merged {
        customer: CUSTOMER,
        survivor: OTHER,
        at: AT,
    };
    let golden = include_bytes!("../../tests/golden/customer_merged.v1.bin");
    is_golden::<Customer>(&event, CUSTOMER_MERGED, golden);
}

#[test]
fn customer_unmerged_v1() {
    let event = CustomerEvent::Unmerged {
        customer: CUSTOMER,
        survivor: OTHER,
        at: AT,
    };
    let golden = include_bytes!("../../tests/golden/customer_unmerged.v1.bin");
    is_golden::<Customer>(&event, CUSTOMER_UNMERGED, golden);
}

#[test]
fn customer_absorbed_v1() {
    let event = CustomerEvent::Absorbed {
        customer: CUSTOMER,
        absorbed: other_with_another(),
        at: AT,
    };
    let golden = include_bytes!("../../tests/golden/customer_absorbed.v1.bin");
    is_golden::<Customer>(&event, CUSTOMER_ABSORBED, golden);
}

#[test]
fn customer_separated_v1() {
    let event = CustomerEvent::Separated {
        customer: CUSTOMER,
        separated: other_with_another(),
        at: AT,
    };
    let golden = include_bytes!("../../tests/golden/customer_separated.v1.bin");
    is_golden::<Customer>(&event, CUSTOMER_SEPARATED, golden);
}

fn told(event: CustomerEvent) -> CustomerEvent {
    CustomerEvent::ToldOf {
        original: OTHER,
        event: Box::new(event),
    }
}

#[test]
fn what_is_told_of_one_who_was_merged_is_the_same_event_with_its_id() {
    // The number of the field, and that it has 36 characters.
    let with_id = |golden: &[u8], field: u8| {
        let id = OTHER.to_string();
        [golden, &[(field << 3) | 2, 36], id.as_bytes()].concat()
    };
    let golden = with_id(
        include_bytes!("../../tests/golden/profile_updated.v1.bin"),
        8,
    );
    is_golden_sealed::<Customer>(&told(updated()), PROFILE_UPDATED, &golden, &["Ayşegül"]);
    let golden = with_id(
        include_bytes!("../../tests/golden/identifier_added.v1.bin"),
        6,
    );
    is_golden_sealed::<Customer>(&told(added()), IDENTIFIER_ADDED, &golden, &["ayse"]);
    let golden = include_bytes!("../../tests/golden/identifier_removed.v1.bin");
    is_golden::<Customer>(&told(removed()), IDENTIFIER_REMOVED, &with_id(golden, 4));
    let golden = include_bytes!("../../tests/golden/consent_recorded.v1.bin");
    is_golden::<Customer>(&told(consented()), CONSENT_RECORDED, &with_id(golden, 9));
    let golden = include_bytes!("../../tests/golden/consent_withdrawn.v1.bin");
    is_golden::<Customer>(&told(withdrawn()), CONSENT_WITHDRAWN, &with_id(golden, 6));
    let related = CustomerEvent::RelationAdded { relation: parent() };
    let golden = include_bytes!("../../tests/golden/relation_added.v1.bin");
    is_golden::<Customer>(&told(related), RELATION_ADDED, &with_id(golden, 6));
}

#[test]
fn a_customer_is_kept_as_ever() {
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
    let phone = OwnedIdentifier {
        claim: ClaimId(Uuid::from_u128(0x3D)),
        type_: IdentifierType::Phone,
        identifier: Some(Identifier::from_stored(
            IdentifierType::Phone,
            "+905321234567".to_owned(),
            String::new(),
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
        &updated_in_detail(),
        &added(),
        &CustomerEvent::IdentifierAdded {
            customer: CUSTOMER,
            identifier: external,
            added_at: AT,
        },
        &consented(),
        &withdrawn,
        &expiring(),
        &CustomerEvent::OwnerAssigned {
            customer: CUSTOMER,
            owner: Owner {
                employee: OTHER,
                role: label("agent"),
            },
            assigned_at: AT,
        },
        &CustomerEvent::TeamAssigned {
            customer: CUSTOMER,
            team: Some(label("key-accounts")),
            assigned_at: AT,
        },
        &CustomerEvent::LifecycleStageChanged {
            customer: CUSTOMER,
            previous: Stage::Prospect,
            lifecycle: Lifecycle {
                stage: Stage::Lost,
                reason: Some(label("price")),
                since: AT,
            },
        },
        &CustomerEvent::RelationAdded { relation: parent() },
        &CustomerEvent::RelationEnded {
            relation: RELATION,
            type_: RelationType::SubsidiaryOf,
            from: CUSTOMER,
            to: OTHER,
            ended_at: AT + time::Duration::DAY,
        },
        &restricted(),
        &CustomerEvent::Absorbed {
            customer: CUSTOMER,
            absorbed: other_with_another(),
            at: AT,
        },
        &told(updated()),
        &told(CustomerEvent::IdentifierAdded {
            customer: CUSTOMER,
            identifier: phone,
            added_at: AT,
        }),
        &told(consented()),
        &told(CustomerEvent::RelationAdded {
            relation: Relation {
                id: RelationId(Uuid::from_u128(0x5E)),
                ..parent()
            },
        }),
        &CustomerEvent::Merged {
            customer: CUSTOMER,
            survivor: CustomerId(Uuid::from_u128(0xC4)),
            at: AT,
        },
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
            IDENTIFIER_CLAIMED | IDENTIFIER_RELEASED => {
                IdentifierClaim::decode(event, &cipher()).map(drop)
            }
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
