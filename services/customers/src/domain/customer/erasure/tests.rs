use std::collections::BTreeSet;

use aggregate::{Aggregate as _, CustomerId, scenario::given};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::domain::{
    Name,
    consent::{Channel, ConsentScope, Grant, LegalBasis, Purpose},
    customer::{
        CustomerCommand, CustomerRejection, NewIdentifier, OwnedIdentifier, RegisterCustomer,
    },
    erasure::ErasureReason,
    identifier::{ClaimId, Email, Identifier},
    lifecycle::Stage,
    office::Owner,
    place::{Country, Locale},
    profile::{Affiliation, Change, Kind, ProfileChange},
    relation::{Period, Relation, RelationId, RelationType},
    restriction::RestrictionReason,
};

const CUSTOMER: CustomerId = CustomerId(Uuid::from_u128(1));
const OTHER: CustomerId = CustomerId(Uuid::from_u128(2));
const NEWS: ConsentScope = ConsentScope {
    channel: Channel::Email,
    purpose: Purpose::Information,
};
const RELATION: RelationId = RelationId(Uuid::from_u128(7));

fn day(number: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(number)
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
            given_name: Some(Name::parse("Ayşe").unwrap()),
            locale: Some(Locale::parse("tr").unwrap()),
            country: Some(Country::parse("TR").unwrap()),
            ..Profile::default()
        },
        registered_at: day(0),
    }
}

fn identifier() -> Identifier {
    Identifier::Email(Email::parse("ayse@example.com").unwrap())
}

fn identifier_added() -> CustomerEvent {
    let identifier = identifier();
    CustomerEvent::IdentifierAdded {
        customer: CUSTOMER,
        identifier: OwnedIdentifier {
            claim: ClaimId(Uuid::from_u128(9)),
            type_: identifier.type_(),
            identifier: Some(identifier),
        },
        added_at: day(1),
    }
}

fn grant() -> Grant {
    Grant {
        legal_basis: LegalBasis::Consent,
        wording_version: label("v1"),
        source: label("web-form"),
        evidence: None,
        expires_at: None,
    }
}

fn consented(at: i64) -> CustomerEvent {
    CustomerEvent::ConsentRecorded {
        customer: CUSTOMER,
        scope: NEWS,
        grant: grant(),
        given_at: day(at),
        event_id: None,
    }
}

fn owner() -> Owner {
    Owner {
        employee: OTHER,
        role: label("agent"),
    }
}

fn related() -> Relation {
    Relation {
        id: RELATION,
        type_: RelationType::SharesHouseholdWith,
        from: CUSTOMER,
        to: OTHER,
        period: Period::from(day(1)),
    }
}

fn life() -> Vec<CustomerEvent> {
    vec![
        registered(),
        identifier_added(),
        consented(2),
        CustomerEvent::OwnerAssigned {
            customer: CUSTOMER,
            owner: owner(),
            assigned_at: day(3),
        },
        CustomerEvent::RelationAdded {
            relation: related(),
        },
    ]
}

fn on_request(at: i64) -> Erasure {
    Erasure {
        reason: ErasureReason::SubjectRequest,
        at: day(at),
    }
}

fn erased(at: i64) -> CustomerEvent {
    CustomerEvent::Erased {
        customer: CUSTOMER,
        erasure: on_request(at),
    }
}

fn erased_life() -> Vec<CustomerEvent> {
    life().into_iter().chain([erased(9)]).collect()
}

#[test]
fn an_erased_customer_keeps_what_was_counted_and_nothing_else() {
    let customer = given::<Customer>(life())
        .when(CustomerCommand::Erase(on_request(9)))
        .then([erased(9)]);
    assert_eq!(customer.erasure(), Some(&on_request(9)));
    assert_eq!(
        customer.profile(),
        &Profile {
            country: Some(Country::parse("TR").unwrap()),
            ..Profile::default()
        }
    );
    assert_eq!(customer.identifiers(), []);
    assert_eq!(customer.office(), &Office::default());
    assert_eq!(customer.registration().unwrap().kind, Kind::Person);
    assert_eq!(customer.relations(), [related()]);
}

#[test]
fn no_consent_outlives_the_customer_and_none_is_forgotten() {
    let customer = Customer::fold(&erased_life());
    let (scope, history) = customer.consents().next().unwrap();
    assert_eq!(scope, NEWS);
    assert_eq!(history.grant_at(day(8)), Some(&grant()));
    assert_eq!(history.grant_at(day(9)), None);
}

#[test]
fn erased_once_is_erased() {
    given::<Customer>(erased_life())
        .when(CustomerCommand::Erase(on_request(10)))
        .then_nothing();
    given::<Customer>([])
        .when(CustomerCommand::Erase(on_request(10)))
        .then_rejected(CustomerRejection::NotRegistered);
}

#[test]
fn nothing_is_told_of_an_erased_customer() {
    let commands = [
        CustomerCommand::UpdateProfile(ProfileChange {
            locale: Change::Set(None),
            ..ProfileChange::default()
        }),
        CustomerCommand::AddIdentifier {
            identifier: NewIdentifier {
                claim: ClaimId(Uuid::from_u128(10)),
                identifier: identifier(),
            },
            at: day(10),
        },
        CustomerCommand::RecordConsent {
            scope: NEWS,
            grant: grant(),
            at: day(10),
        },
        CustomerCommand::WithdrawConsent {
            scope: NEWS,
            source: label("phone"),
            at: day(10),
        },
        CustomerCommand::AssignOwner {
            owner: owner(),
            at: day(10),
        },
        CustomerCommand::ReleaseOwner { at: day(10) },
        CustomerCommand::AssignTeam {
            team: Some(label("key-accounts")),
            at: day(10),
        },
        CustomerCommand::AddRelation {
            relation: related(),
            related_kind: Kind::Person,
            above: BTreeSet::new(),
        },
        CustomerCommand::TakeRelation(related()),
        CustomerCommand::Restrict {
            reason: RestrictionReason::LegalClaims,
            at: day(10),
        },
        CustomerCommand::LiftRestriction { at: day(10) },
        CustomerCommand::ChangeStage {
            stage: Stage::Active,
            reason: None,
            at: day(10),
        },
    ];
    for command in commands {
        given::<Customer>(erased_life())
            .when(command)
            .then_rejected(CustomerRejection::Erased);
    }
    let again = CustomerCommand::Register(RegisterCustomer {
        customer: CUSTOMER,
        kind: Kind::Person,
        affiliation: Affiliation::External,
        profile: Profile::default(),
        identifiers: Vec::new(),
        registered_at: day(10),
    });
    given::<Customer>(erased_life())
        .when(again)
        .then_rejected(CustomerRejection::AlreadyRegistered);
}

#[test]
fn what_concerns_others_goes_on() {
    given::<Customer>(erased_life())
        .when(CustomerCommand::EndRelation {
            relation: RELATION,
            at: day(10),
        })
        .then([CustomerEvent::RelationEnded {
            relation: RELATION,
            type_: RelationType::SharesHouseholdWith,
            from: CUSTOMER,
            to: OTHER,
            ended_at: day(10),
        }]);
    let below = Relation {
        type_: RelationType::SubsidiaryOf,
        ..related()
    };
    given::<Customer>(erased_life())
        .when(CustomerCommand::NoteDescendant(below))
        .then([CustomerEvent::DescendantAdded {
            customer: CUSTOMER,
            relation: RELATION,
            type_: RelationType::SubsidiaryOf,
            descendant: CUSTOMER,
            started_at: day(1),
        }]);
}
