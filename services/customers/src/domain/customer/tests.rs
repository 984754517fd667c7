use aggregate::scenario::given;
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::domain::{
    Label, Name,
    consent::{Channel, LegalBasis, Purpose},
    erasure::ErasureReason,
    identifier::{Email, Identifier},
    lifecycle::Stage,
    office::Owner,
    place::{Country, Locale},
    profile::Change,
    relation::{Period, RelationId, RelationType},
    restriction::RestrictionReason,
};

const CUSTOMER: CustomerId = CustomerId(Uuid::from_u128(1));
const NEWS: ConsentScope = ConsentScope {
    channel: Channel::Email,
    purpose: Purpose::Information,
};
const OFFERS: ConsentScope = ConsentScope {
    channel: Channel::Email,
    purpose: Purpose::Marketing,
};

fn day(number: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(number)
}

fn name(text: &str) -> Option<Name> {
    Some(Name::parse(text).unwrap())
}

fn person() -> Profile {
    Profile {
        given_name: name("Ayşe"),
        ..Profile::default()
    }
}

fn registration(kind: Kind, profile: Profile) -> RegisterCustomer {
    RegisterCustomer {
        customer: CUSTOMER,
        kind,
        affiliation: Affiliation::External,
        profile,
        identifiers: Vec::new(),
        registered_at: day(0),
    }
}

fn registered() -> CustomerEvent {
    registered_as(Kind::Person, person())
}

fn registered_as(kind: Kind, profile: Profile) -> CustomerEvent {
    CustomerEvent::Registered {
        customer: CUSTOMER,
        kind,
        affiliation: Affiliation::External,
        profile,
        registered_at: day(0),
    }
}

fn updated(change: ProfileChange) -> CustomerEvent {
    CustomerEvent::ProfileUpdated {
        customer: CUSTOMER,
        change,
    }
}

fn email(claim: u128) -> NewIdentifier {
    NewIdentifier {
        claim: ClaimId(Uuid::from_u128(claim)),
        identifier: Identifier::Email(Email::parse(&format!("a{claim}@example.com")).unwrap()),
    }
}

fn email_added(claim: u128, at: i64) -> CustomerEvent {
    added(CUSTOMER, &email(claim), day(at))
}

fn grant(wording: &str) -> Grant {
    Grant {
        legal_basis: LegalBasis::Consent,
        wording_version: Label::parse(wording).unwrap(),
        source: Label::parse("web-form").unwrap(),
        evidence: None,
        expires_at: None,
    }
}

fn record(scope: ConsentScope, wording: &str, at: i64) -> CustomerCommand {
    CustomerCommand::RecordConsent {
        scope,
        grant: grant(wording),
        at: day(at),
    }
}

fn withdraw(scope: ConsentScope, at: i64) -> CustomerCommand {
    CustomerCommand::WithdrawConsent {
        scope,
        source: Label::parse("phone").unwrap(),
        at: day(at),
    }
}

fn given_on(scope: ConsentScope, wording: &str, at: i64) -> CustomerEvent {
    CustomerEvent::ConsentRecorded {
        customer: CUSTOMER,
        scope,
        grant: grant(wording),
        given_at: day(at),
        event_id: None,
    }
}

fn withdrawn_on(scope: ConsentScope, at: i64) -> CustomerEvent {
    CustomerEvent::ConsentWithdrawn {
        customer: CUSTOMER,
        scope,
        source: Label::parse("phone").unwrap(),
        withdrawn_at: day(at),
        event_id: None,
    }
}

#[test]
fn registers_a_person_and_a_business_by_their_names() {
    let customer = given::<Customer>([])
        .when(CustomerCommand::Register(registration(
            Kind::Person,
            person(),
        )))
        .then([registered()]);
    assert_eq!(customer.registration().unwrap().customer, CUSTOMER);
    let business = Profile {
        legal_name: name("Vefa A.Ş."),
        ..Profile::default()
    };
    given::<Customer>([])
        .when(CustomerCommand::Register(registration(
            Kind::Business,
            business.clone(),
        )))
        .then([registered_as(Kind::Business, business)]);
}

#[test]
fn refuses_a_customer_without_the_name_that_the_kind_asks_for() {
    for kind in [Kind::Person, Kind::Business] {
        let other = match kind {
            Kind::Person => Profile {
                legal_name: name("Vefa A.Ş."),
                ..Profile::default()
            },
            Kind::Business => person(),
        };
        given::<Customer>([])
            .when(CustomerCommand::Register(registration(kind, other)))
            .then_rejected(CustomerRejection::NameRequired(kind));
    }
}

#[test]
fn nobody_is_registered_twice() {
    given::<Customer>([registered()])
        .when(CustomerCommand::Register(registration(
            Kind::Person,
            person(),
        )))
        .then_rejected(CustomerRejection::AlreadyRegistered);
}

#[test]
fn identifiers_come_with_the_registration_and_count_once() {
    let command = RegisterCustomer {
        identifiers: vec![email(1), email(2), email(1)],
        ..registration(Kind::Person, person())
    };
    let customer = given::<Customer>([])
        .when(CustomerCommand::Register(command))
        .then([registered(), email_added(1, 0), email_added(2, 0)]);
    assert_eq!(customer.identifiers().len(), 2);
}

#[test]
fn a_profile_update_tells_only_what_changes() {
    let change = ProfileChange {
        given_name: Change::Set(name("Ayşe")),
        family_name: Change::Set(name("Yılmaz")),
        locale: Change::Set(None),
        ..ProfileChange::default()
    };
    let told = ProfileChange {
        family_name: Change::Set(name("Yılmaz")),
        ..ProfileChange::default()
    };
    let customer = given::<Customer>([registered()])
        .when(CustomerCommand::UpdateProfile(change.clone()))
        .then([updated(told.clone())]);
    assert_eq!(customer.profile().family_name, name("Yılmaz"));
    given::<Customer>([registered(), updated(told)])
        .when(CustomerCommand::UpdateProfile(change))
        .then_nothing();
}

#[test]
fn a_field_can_be_cleared() {
    let set = ProfileChange {
        locale: Change::Set(Some(Locale::parse("tr-TR").unwrap())),
        ..ProfileChange::default()
    };
    let clear = ProfileChange {
        locale: Change::Set(None),
        ..ProfileChange::default()
    };
    let customer = given::<Customer>([registered(), updated(set)])
        .when(CustomerCommand::UpdateProfile(clear.clone()))
        .then([updated(clear)]);
    assert_eq!(customer.profile().locale, None);
}

#[test]
fn a_person_keeps_a_name() {
    let clear_given = ProfileChange {
        given_name: Change::Set(None),
        ..ProfileChange::default()
    };
    given::<Customer>([registered()])
        .when(CustomerCommand::UpdateProfile(clear_given.clone()))
        .then_rejected(CustomerRejection::NameRequired(Kind::Person));
    let both = Profile {
        family_name: name("Yılmaz"),
        ..person()
    };
    given::<Customer>([registered_as(Kind::Person, both)])
        .when(CustomerCommand::UpdateProfile(clear_given.clone()))
        .then([updated(clear_given)]);
}

#[test]
fn a_business_keeps_its_legal_name() {
    let business = Profile {
        legal_name: name("Vefa A.Ş."),
        ..person()
    };
    let clear_legal = ProfileChange {
        legal_name: Change::Set(None),
        ..ProfileChange::default()
    };
    given::<Customer>([registered_as(Kind::Business, business)])
        .when(CustomerCommand::UpdateProfile(clear_legal))
        .then_rejected(CustomerRejection::NameRequired(Kind::Business));
}

#[test]
fn an_identifier_is_added_once() {
    let add = CustomerCommand::AddIdentifier {
        identifier: email(1),
        at: day(3),
    };
    given::<Customer>([registered()])
        .when(add.clone())
        .then([email_added(1, 3)]);
    given::<Customer>([registered(), email_added(1, 0)])
        .when(add)
        .then_nothing();
}

#[test]
fn nothing_is_done_to_somebody_who_is_no_customer() {
    for command in [
        CustomerCommand::UpdateProfile(ProfileChange::default()),
        CustomerCommand::AddIdentifier {
            identifier: email(1),
            at: day(0),
        },
        record(NEWS, "v1", 0),
        withdraw(NEWS, 0),
    ] {
        given::<Customer>([])
            .when(command)
            .then_rejected(CustomerRejection::NotRegistered);
    }
}

#[test]
fn consent_is_given_for_one_channel_and_purpose() {
    let customer = given::<Customer>([registered()])
        .when(record(NEWS, "v1", 1))
        .then([given_on(NEWS, "v1", 1)]);
    let scopes: Vec<_> = customer.consents().map(|(scope, _)| scope).collect();
    assert_eq!(scopes, [NEWS]);
}

#[test]
fn consent_that_was_told_before_is_not_told_again() {
    given::<Customer>([registered(), given_on(NEWS, "v1", 1)])
        .when(record(NEWS, "v1", 1))
        .then_nothing();
    given::<Customer>([registered(), given_on(NEWS, "v1", 1)])
        .when(record(NEWS, "v2", 1))
        .then([given_on(NEWS, "v2", 1)]);
    given::<Customer>([registered(), given_on(NEWS, "v1", 1)])
        .when(record(NEWS, "v1", 2))
        .then([given_on(NEWS, "v1", 2)]);
}

#[test]
fn consent_that_stands_can_be_withdrawn_once() {
    let before = [registered(), given_on(NEWS, "v1", 1)];
    let customer = given::<Customer>(before.clone())
        .when(withdraw(NEWS, 2))
        .then([withdrawn_on(NEWS, 2)]);
    let (_, history) = customer.consents().next().unwrap();
    assert_eq!(history.grant_at(day(1)), Some(&grant("v1")));
    assert_eq!(history.grant_at(day(2)), None);
    let [registered, given_first] = before;
    given::<Customer>([registered, given_first, withdrawn_on(NEWS, 2)])
        .when(withdraw(NEWS, 3))
        .then_rejected(CustomerRejection::NoConsent(NEWS));
}

#[test]
fn consent_is_not_withdrawn_where_none_stood() {
    given::<Customer>([registered(), given_on(NEWS, "v1", 5)])
        .when(withdraw(OFFERS, 6))
        .then_rejected(CustomerRejection::NoConsent(OFFERS));
    given::<Customer>([registered(), given_on(NEWS, "v1", 5)])
        .when(withdraw(NEWS, 4))
        .then_rejected(CustomerRejection::NoConsent(NEWS));
}

#[test]
fn what_ends_by_itself_stands_until_then_and_no_longer() {
    let expiring = CustomerEvent::ConsentRecorded {
        customer: CUSTOMER,
        scope: NEWS,
        grant: Grant {
            expires_at: Some(day(4)),
            ..grant("v1")
        },
        given_at: day(1),
        event_id: None,
    };
    let customer = Customer::fold([&registered(), &expiring]);
    let (_, history) = customer.consents().next().unwrap();
    let stands = |moment| history.grant_at(day(moment)).is_some();
    assert_eq!(
        [0, 1, 3, 4, 5].map(stands),
        [false, true, true, false, false]
    );
    // Given again for good before it ended, it does not end.
    given::<Customer>([registered(), expiring.clone(), given_on(NEWS, "v2", 2)])
        .when(withdraw(NEWS, 6))
        .then([withdrawn_on(NEWS, 6)]);
    given::<Customer>([registered(), expiring])
        .when(withdraw(NEWS, 4))
        .then_rejected(CustomerRejection::NoConsent(NEWS));
}

#[test]
fn what_is_told_late_changes_the_past_and_not_the_present() {
    let events = [
        registered(),
        given_on(NEWS, "v1", 1),
        given_on(NEWS, "v2", 9),
        withdrawn_on(NEWS, 5),
    ];
    let customer = Customer::fold(&events);
    let (_, history) = customer.consents().next().unwrap();
    let wording_at = |moment| {
        history
            .grant_at(day(moment))
            .map(|grant| grant.wording_version.as_str())
    };
    assert_eq!(
        [0, 1, 4, 5, 8, 9].map(wording_at),
        [None, Some("v1"), Some("v1"), None, None, Some("v2")]
    );
    assert_eq!(history.last().unwrap().at, day(9));
}

/// Consent events of one customer in the order in which they were told, each with the day on which it happened.
fn told() -> impl Strategy<Value = Vec<(i64, bool)>> {
    prop::collection::vec((0_i64..12, any::<bool>()), 0..12)
}

fn event_of((number, (at, is_grant)): (usize, &(i64, bool))) -> CustomerEvent {
    if *is_grant {
        given_on(NEWS, &format!("v{number}"), *at)
    } else {
        withdrawn_on(NEWS, *at)
    }
}

fn maybe_name() -> impl Strategy<Value = Option<Name>> {
    prop::option::of("[A-Za-zşıİğ]{1,9}".prop_map(|text| Name::parse(&text).unwrap()))
}

fn maybe_event() -> impl Strategy<Value = Option<Uuid>> {
    prop::option::of(any::<u128>().prop_map(Uuid::from_u128))
}

/// Anything that can happen to a registered customer, at moments that come in any order and often together.
fn happening() -> impl Strategy<Value = CustomerEvent> {
    let profile = (maybe_name(), maybe_name()).prop_map(|(given_name, legal_name)| {
        updated(ProfileChange {
            given_name: Change::Set(given_name),
            legal_name: Change::Set(legal_name),
            country: Change::Set(Some(Country::parse("TR").unwrap())),
            ..ProfileChange::default()
        })
    });
    let scope = || prop_oneof![Just(NEWS), Just(OFFERS)];
    let other = || any::<u128>().prop_map(|id| CustomerId(Uuid::from_u128(id)));
    let relation = |id: u128| RelationId(Uuid::from_u128(id));
    let looked_after =
        (prop::option::of(other()), 0_i64..5, any::<bool>()).prop_map(|(employee, at, is_team)| {
            match employee {
                _ if is_team => CustomerEvent::TeamAssigned {
                    customer: CUSTOMER,
                    team: employee.map(|_| Label::parse("key-accounts").unwrap()),
                    assigned_at: day(at),
                },
                Some(employee) => CustomerEvent::OwnerAssigned {
                    customer: CUSTOMER,
                    owner: Owner {
                        employee,
                        role: Label::parse("agent").unwrap(),
                    },
                    assigned_at: day(at),
                },
                None => CustomerEvent::OwnerReleased {
                    customer: CUSTOMER,
                    released_at: day(at),
                },
            }
        });
    let lived = (0_usize..5, any::<bool>(), 0_i64..5).prop_map(|(stage, says_why, at)| {
        CustomerEvent::LifecycleStageChanged {
            customer: CUSTOMER,
            previous: Stage::Prospect,
            lifecycle: Lifecycle {
                stage: Stage::ALL[stage],
                reason: says_why.then(|| Label::parse("price").unwrap()),
                since: day(at),
            },
        }
    });
    let related = (0_u128..3, other(), 0_i64..5, 0_u8..3).prop_map(move |(id, to, at, what)| {
        let (relation, type_) = (relation(id), RelationType::SubsidiaryOf);
        match what {
            0 => CustomerEvent::RelationAdded {
                relation: Relation {
                    id: relation,
                    type_,
                    from: CUSTOMER,
                    to,
                    period: Period::from(day(at)),
                },
            },
            1 => CustomerEvent::RelationEnded {
                relation,
                type_,
                from: CUSTOMER,
                to,
                ended_at: day(at),
            },
            _ => CustomerEvent::DescendantAdded {
                customer: CUSTOMER,
                relation,
                type_,
                descendant: to,
                started_at: day(at),
            },
        }
    });
    let restricted = (any::<bool>(), 0_i64..5).prop_map(|(is_lifted, at)| {
        if is_lifted {
            CustomerEvent::RestrictionLifted {
                customer: CUSTOMER,
                lifted_at: day(at),
            }
        } else {
            CustomerEvent::ProcessingRestricted {
                customer: CUSTOMER,
                reason: RestrictionReason::LegalClaims,
                restricted_at: day(at),
            }
        }
    });
    let erased = (0_i64..5).prop_map(|at| CustomerEvent::Erased {
        customer: CUSTOMER,
        erasure: Erasure {
            reason: ErasureReason::RetentionExpired,
            at: day(at),
        },
    });
    let recorded = (scope(), any::<u8>(), 0_i64..5, maybe_event());
    let withdrawn = (scope(), 0_i64..5, maybe_event());
    prop_oneof![
        profile,
        looked_after,
        lived,
        restricted,
        erased,
        related,
        (any::<u128>(), 0_i64..5).prop_map(|(claim, at)| email_added(claim, at)),
        recorded.prop_map(|(scope, wording, at, event_id)| {
            CustomerEvent::ConsentRecorded {
                customer: CUSTOMER,
                scope,
                grant: grant(&format!("v{wording}")),
                given_at: day(at),
                event_id,
            }
        }),
        withdrawn.prop_map(|(scope, at, event_id)| CustomerEvent::ConsentWithdrawn {
            customer: CUSTOMER,
            scope,
            source: Label::parse("phone").unwrap(),
            withdrawn_at: day(at),
            event_id,
        }),
    ]
}

proptest! {
    /// The state at a moment, seen from the whole history, is the fold of what had happened by then, in the order in which
    /// it happened (of the same day: in which it was told).
    #[test]
    fn consent_at_a_moment_is_the_fold_of_events_up_to_it(told in told(), moment in 0_i64..12) {
        let all: Vec<_> = told.iter().enumerate().map(event_of).collect();
        let mut by_then: Vec<_> = told.iter().enumerate().filter(|(_, (at, _))| *at <= moment).collect();
        by_then.sort_by_key(|(_, (at, _))| *at);
        let expected = match by_then.last() {
            Some((number, (_, true))) => Some(grant(&format!("v{number}"))),
            Some((_, (_, false))) | None => None,
        };

        let whole = Customer::fold(&all);
        let seen_later = whole.consents().next().and_then(|(_, history)| history.grant_at(day(moment)).cloned());
        prop_assert_eq!(&seen_later, &expected);

        // What `as_of` folds: the events up to then, in the order of the stream.
        let cut = Customer::fold(all.iter().zip(&told).filter(|(_, (at, _))| *at <= moment).map(|(event, _)| event));
        let seen_then = cut.consents().next().and_then(|(_, history)| history.grant_at(day(moment)).cloned());
        prop_assert_eq!(seen_then, expected);
    }

    /// Whatever happened, and wherever a snapshot is taken.
    #[test]
    fn a_snapshot_and_what_came_behind_it_make_the_same_customer(what in prop::collection::vec(happening(), 0..12)) {
        let events: Vec<_> = std::iter::once(registered()).chain(what).collect();
        testing::snapshot::assert_same_at_every_cut::<Customer>(&events);
    }
}
