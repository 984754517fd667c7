use std::collections::BTreeMap;

use aggregate::{Aggregate as _, CustomerId, scenario::given};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::domain::{
    Label, Name,
    consent::{Channel, Grant, LegalBasis, Purpose},
    customer::NewIdentifier,
    erasure::{Erasure, ErasureReason},
    identifier::{ClaimId, Email, Identifier},
    place::{Country, Locale, TimeZone},
    profile::{Affiliation, Change, Kind, Profile},
    relation::{Period, RelationId, RelationType},
    restriction::RestrictionReason,
};

/// Who goes on.
const A: CustomerId = CustomerId(Uuid::from_u128(0xA));
/// Who is merged into it.
const B: CustomerId = CustomerId(Uuid::from_u128(0xB));
/// Somebody else.
const C: CustomerId = CustomerId(Uuid::from_u128(0xC));
const PARENT: CustomerId = CustomerId(Uuid::from_u128(0xF));
const NEWS: ConsentScope = ConsentScope {
    channel: Channel::Email,
    purpose: Purpose::Information,
};

fn day(number: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(number)
}

fn registered_as(customer: CustomerId, kind: Kind, affiliation: Affiliation) -> CustomerEvent {
    let name = Some(Name::parse(&format!("N{}", customer.0.as_u128())).unwrap());
    let profile = match kind {
        Kind::Person => Profile {
            given_name: name,
            ..Profile::default()
        },
        Kind::Business => Profile {
            legal_name: name,
            ..Profile::default()
        },
    };
    CustomerEvent::Registered {
        customer,
        kind,
        affiliation,
        profile,
        registered_at: day(0),
    }
}

fn registered(customer: CustomerId) -> CustomerEvent {
    registered_as(customer, Kind::Person, Affiliation::External)
}

fn business(customer: CustomerId) -> CustomerEvent {
    registered_as(customer, Kind::Business, Affiliation::External)
}

fn identifier(claim: u128) -> NewIdentifier {
    NewIdentifier {
        claim: ClaimId(Uuid::from_u128(claim)),
        identifier: Identifier::Email(Email::parse(&format!("a{claim}@example.com")).unwrap()),
    }
}

fn owned(claim: u128) -> OwnedIdentifier {
    let NewIdentifier { claim, identifier } = identifier(claim);
    OwnedIdentifier {
        claim,
        type_: identifier.type_(),
        identifier: Some(identifier),
    }
}

fn identifier_added(customer: CustomerId, claim: u128, at: i64) -> CustomerEvent {
    CustomerEvent::IdentifierAdded {
        customer,
        identifier: owned(claim),
        added_at: day(at),
    }
}

fn grant() -> Grant {
    Grant {
        legal_basis: LegalBasis::Consent,
        wording_version: Label::parse("v1").unwrap(),
        source: Label::parse("web-form").unwrap(),
        evidence: None,
        expires_at: None,
    }
}

fn consented(customer: CustomerId, at: i64) -> CustomerEvent {
    CustomerEvent::ConsentRecorded {
        customer,
        scope: NEWS,
        grant: grant(),
        given_at: day(at),
        event_id: None,
    }
}

fn withdrawn(customer: CustomerId, at: i64) -> CustomerEvent {
    CustomerEvent::ConsentWithdrawn {
        customer,
        scope: NEWS,
        source: Label::parse("phone").unwrap(),
        withdrawn_at: day(at),
        event_id: None,
    }
}

fn in_country(code: &str) -> ProfileChange {
    ProfileChange {
        country: Change::Set(Some(Country::parse(code).unwrap())),
        ..ProfileChange::default()
    }
}

fn updated(customer: CustomerId, change: ProfileChange) -> CustomerEvent {
    CustomerEvent::ProfileUpdated { customer, change }
}

fn of(original: CustomerId, event: CustomerEvent) -> CustomerEvent {
    told_of(Some(original), event)
}

fn absorbs(duplicate: &[CustomerEvent]) -> CustomerCommand {
    absorbs_with(duplicate, ProfileFields::default())
}

fn absorbs_with(duplicate: &[CustomerEvent], fields: ProfileFields) -> CustomerCommand {
    CustomerCommand::Absorb(Box::new(Absorption {
        duplicate: Customer::fold(duplicate),
        fields,
        above: BTreeMap::new(),
        at: day(9),
    }))
}

fn absorbed(customer: CustomerId, absorbed: CustomerId) -> CustomerEvent {
    CustomerEvent::Absorbed {
        customer,
        absorbed: Absorbed {
            customer: absorbed,
            also: Vec::new(),
        },
        at: day(9),
    }
}

fn merged(customer: CustomerId, survivor: CustomerId) -> CustomerEvent {
    CustomerEvent::Merged {
        customer,
        survivor,
        at: day(9),
    }
}

fn merge() -> CustomerCommand {
    CustomerCommand::Merge {
        survivor: A,
        at: day(9),
    }
}

fn relation(id: u128, type_: RelationType, from: CustomerId, to: CustomerId) -> Relation {
    Relation {
        id: RelationId(Uuid::from_u128(id)),
        type_,
        from,
        to,
        period: Period::from(day(2)),
    }
}

fn related(relation: Relation) -> CustomerEvent {
    CustomerEvent::RelationAdded { relation }
}

#[test]
fn what_a_duplicate_has_comes_with_it_and_the_profile_is_filled_where_it_was_empty() {
    let duplicate = [
        registered(B),
        updated(B, in_country("DE")),
        identifier_added(B, 1, 1),
        consented(B, 3),
        withdrawn(B, 4),
        related(relation(7, RelationType::SharesHouseholdWith, C, B)),
    ];
    let customer = given::<Customer>([registered(A), consented(A, 2)])
        .when(absorbs(&duplicate))
        .then([
            absorbed(A, B),
            of(B, updated(A, in_country("DE"))),
            of(B, identifier_added(A, 1, 9)),
            of(B, consented(A, 3)),
            of(B, withdrawn(A, 4)),
            of(
                B,
                related(relation(7, RelationType::SharesHouseholdWith, C, A)),
            ),
        ]);
    let (_, consents) = customer.consents().next().unwrap();
    assert_eq!(consents.grant_at(day(5)), None, "who withdrew last counts");
    assert!(consents.grant_at(day(3)).is_some());
    given::<Customer>(duplicate)
        .when(merge())
        .then([merged(B, A)]);
}

#[test]
fn of_a_field_that_both_have_the_survivor_s_stands_unless_it_is_named() {
    let duplicate = [registered(B), updated(B, in_country("DE"))];
    let survivor = || [registered(A), updated(A, in_country("TR"))];
    given::<Customer>(survivor())
        .when(absorbs(&duplicate))
        .then([absorbed(A, B)]);
    let fields = ProfileFields {
        country: true,
        ..ProfileFields::default()
    };
    given::<Customer>(survivor())
        .when(absorbs_with(&duplicate, fields))
        .then([absorbed(A, B), of(B, updated(A, in_country("DE")))]);
}

#[test]
fn nobody_is_merged_who_is_not_of_the_same_kind_or_may_not_be_processed() {
    let restricted = |customer| CustomerEvent::ProcessingRestricted {
        customer,
        reason: RestrictionReason::LegalClaims,
        restricted_at: day(1),
    };
    let erased = |customer| CustomerEvent::Erased {
        customer,
        erasure: Erasure {
            reason: ErasureReason::SubjectRequest,
            at: day(1),
        },
    };
    let refuses = |survivor: &[CustomerEvent], duplicate: &[CustomerEvent], rejection| {
        given::<Customer>(survivor.to_vec())
            .when(absorbs(duplicate))
            .then_rejected(rejection);
    };
    let internal = registered_as(B, Kind::Person, Affiliation::Internal);
    refuses(
        &[registered(A)],
        &[business(B)],
        CustomerRejection::KindsDiffer,
    );
    refuses(
        &[registered(A)],
        &[internal],
        CustomerRejection::AffiliationsDiffer,
    );
    refuses(
        &[registered(A), restricted(A)],
        &[registered(B)],
        CustomerRejection::ProcessingRestricted,
    );
    refuses(
        &[registered(A), erased(A)],
        &[registered(B)],
        CustomerRejection::Erased,
    );
    refuses(
        &[registered(A)],
        &[registered(B), erased(B)],
        CustomerRejection::Erased,
    );
    given::<Customer>([registered(B), restricted(B)])
        .when(merge())
        .then_rejected(CustomerRejection::ProcessingRestricted);
    given::<Customer>([registered(A)])
        .when(merge())
        .then_rejected(CustomerRejection::MergedIntoItself);
    given::<Customer>([registered(B), merged(B, C)])
        .when(merge())
        .then_rejected(CustomerRejection::Merged { survivor: C });
}

#[test]
fn no_more_than_a_hundred_ids_lead_to_one_customer() {
    let also = |count: u128| (0..count).map(|n| CustomerId(Uuid::from_u128(1000 + n)));
    let with = |count| CustomerEvent::Absorbed {
        customer: A,
        absorbed: Absorbed {
            customer: C,
            also: also(count).collect(),
        },
        at: day(5),
    };
    given::<Customer>([registered(A), with(98)])
        .when(absorbs(&[registered(B)]))
        .then([absorbed(A, B)]);
    given::<Customer>([registered(A), with(99)])
        .when(absorbs(&[registered(B)]))
        .then_rejected(CustomerRejection::TooManyMerged);
}

#[test]
fn two_of_whom_one_stands_above_the_other_are_not_merged() {
    let parent = relation(7, RelationType::SubsidiaryOf, B, A);
    given::<Customer>([business(A), related(parent)])
        .when(absorbs(&[business(B), related(parent)]))
        .then_rejected(CustomerRejection::RelationCycle);
    // Through others: who stands above the second of a relation that comes along was looked at.
    let duplicate = [
        business(B),
        related(relation(7, RelationType::SubsidiaryOf, C, B)),
    ];
    let absorption = |above| {
        CustomerCommand::Absorb(Box::new(Absorption {
            duplicate: Customer::fold(&duplicate),
            fields: ProfileFields::default(),
            above: BTreeMap::from([(RelationId(Uuid::from_u128(7)), above)]),
            at: day(9),
        }))
    };
    given::<Customer>([business(A)])
        .when(absorption(BTreeSet::from([A, PARENT, C])))
        .then_rejected(CustomerRejection::RelationCycle);
    given::<Customer>([business(A)])
        .when(absorption(BTreeSet::from([A, PARENT])))
        .then([
            absorbed(A, B),
            of(B, related(relation(7, RelationType::SubsidiaryOf, C, A))),
        ]);
}

#[test]
fn a_relation_that_both_have_comes_once_and_one_too_many_is_refused() {
    let of_parent = |id, from, to| relation(id, RelationType::SubsidiaryOf, from, to);
    let survivor = || [business(A), related(of_parent(1, A, PARENT))];
    given::<Customer>(survivor())
        .when(absorbs(&[business(B), related(of_parent(2, B, PARENT))]))
        .then([absorbed(A, B)]);
    given::<Customer>(survivor())
        .when(absorbs(&[business(B), related(of_parent(2, B, C))]))
        .then_rejected(CustomerRejection::ParentExists);
    // A referral is for ever, so that it cannot be put right first: that of who goes on stands.
    let referral = |id, from, to| related(relation(id, RelationType::ReferredBy, from, to));
    given::<Customer>([registered(A), referral(1, A, C)])
        .when(absorbs(&[registered(B), referral(2, B, PARENT)]))
        .then([absorbed(A, B)]);
}

#[test]
fn what_is_told_by_an_old_id_is_told_of_who_goes_on() {
    let told = |original| CustomerCommand::ToldOf {
        original,
        command: Box::new(CustomerCommand::AddIdentifier {
            identifier: identifier(3),
            at: day(10),
        }),
    };
    given::<Customer>([registered(A), absorbed(A, B)])
        .when(told(B))
        .then([of(B, identifier_added(A, 3, 10))]);
    given::<Customer>([registered(A), absorbed(A, B)])
        .when(told(C))
        .then_rejected(CustomerRejection::NotAbsorbed(C));
    given::<Customer>([registered(B), merged(B, A)])
        .when(CustomerCommand::UpdateProfile(in_country("TR")))
        .then_rejected(CustomerRejection::Merged { survivor: A });
}

#[test]
fn as_of_a_moment_before_the_merger_nothing_of_the_other_counts() {
    // Folded as of then, the merger is left out, and what came with it says that it happened early.
    let customer = Customer::fold(&[registered(A), of(B, consented(A, 3))]);
    assert_eq!(customer, Customer::fold(&[registered(A)]));
}

#[test]
fn a_separation_tells_followers_what_is_left() {
    let events = [
        registered(A),
        updated(A, in_country("TR")),
        absorbed(A, B),
        of(B, updated(A, in_country("DE"))),
        of(B, identifier_added(A, 1, 9)),
        of(B, consented(A, 3)),
    ];
    let separate = CustomerCommand::Separate {
        separated: B,
        at: day(12),
    };
    let left = given::<Customer>(events.clone())
        .when(separate.clone())
        .then([
            of(B, updated(A, in_country("TR"))),
            of(
                B,
                CustomerEvent::IdentifierRemoved {
                    customer: A,
                    claim: ClaimId(Uuid::from_u128(1)),
                    type_: owned(1).type_,
                    removed_at: day(12),
                },
            ),
            CustomerEvent::Separated {
                customer: A,
                separated: Absorbed {
                    customer: B,
                    also: Vec::new(),
                },
                at: day(12),
            },
        ]);
    assert_eq!(left, Customer::fold(&events[..2]));
    given::<Customer>([registered(A)])
        .when(separate.clone())
        .then_rejected(CustomerRejection::NotAbsorbed(B));
    given::<Customer>([registered(A), absorbed(A, B), merged(A, C)])
        .when(separate)
        .then_rejected(CustomerRejection::Merged { survivor: C });
}

#[test]
fn a_separation_leaves_nobody_without_a_name() {
    let family = ProfileChange {
        family_name: Change::Set(Some(Name::parse("Yılmaz").unwrap())),
        ..ProfileChange::default()
    };
    let nameless = ProfileChange {
        given_name: Change::Set(None),
        ..ProfileChange::default()
    };
    let events = [
        registered(A),
        absorbed(A, B),
        of(B, updated(A, family.clone())),
        updated(A, nameless),
    ];
    let mut customer = Customer::fold(&events);
    let separate = CustomerCommand::Separate {
        separated: B,
        at: day(12),
    };
    let told = customer.decide(&separate).unwrap();
    assert_eq!(told[0], updated(A, family));
    for event in &told {
        customer.evolve(event);
    }
    assert!(customer.profile().names(Kind::Person));
}

#[test]
fn nobody_is_unmerged_who_was_not_merged() {
    let told = Customer::fold(&[registered(A), absorbed(A, B)])
        .told_of(B)
        .unwrap();
    let unmerge = || CustomerCommand::Unmerge {
        told: Box::new(told.clone()),
        at: day(12),
    };
    given::<Customer>([registered(B)])
        .when(unmerge())
        .then_rejected(CustomerRejection::NotMerged);
    given::<Customer>([])
        .when(unmerge())
        .then_rejected(CustomerRejection::NotRegistered);
}

/// A customer of a property, driven by commands.
#[derive(Clone, Default)]
struct Party(Customer);

impl Party {
    fn new(customer: CustomerId) -> Self {
        Self(Customer::fold(&[registered(customer)]))
    }

    /// What is refused changes nothing.
    fn does(&mut self, command: &CustomerCommand) {
        for event in self.0.decide(command).unwrap_or_default() {
            self.0.evolve(&event);
        }
    }

    fn must(&mut self, command: &CustomerCommand) {
        for event in self.0.decide(command).unwrap() {
            self.0.evolve(&event);
        }
    }

    /// What is to be the same after a merger was undone, in no order but for consents.
    fn shown(&self) -> (Profile, BTreeSet<ClaimId>, Consents) {
        let claims = self.0.identifiers().iter().map(|owned| owned.claim);
        let consents = self.0.consents().map(|(scope, history)| {
            let changes = history.changes().iter();
            let turned = changes.map(|change| (change.at, change.turn.clone(), change.original));
            (scope, turned.collect())
        });
        (
            self.0.profile().clone(),
            claims.collect(),
            consents.collect(),
        )
    }
}

type Consents = Vec<(ConsentScope, Vec<Turned>)>;
type Turned = (OffsetDateTime, Turn, Option<CustomerId>);

/// Two parties of whom something is told, each by its own id.
fn told() -> impl Strategy<Value = (bool, CustomerCommand)> {
    (any::<bool>(), 0..5_u8, 0..3_u8).prop_map(|(of_duplicate, what, which)| {
        let claim = u128::from(which) + if of_duplicate { 10 } else { 20 };
        let command = match what {
            0 => CustomerCommand::UpdateProfile(change(which)),
            1 => CustomerCommand::UpdateProfile(ProfileChange {
                locale: Change::Set(
                    ["tr", "de"]
                        .get(usize::from(which))
                        .map(|text| Locale::parse(text).unwrap()),
                ),
                ..ProfileChange::default()
            }),
            2 => CustomerCommand::AddIdentifier {
                identifier: identifier(claim),
                at: day(10),
            },
            3 => CustomerCommand::RemoveIdentifier {
                claim: ClaimId(Uuid::from_u128(claim)),
                at: day(10),
            },
            _ => CustomerCommand::RecordConsent {
                scope: NEWS,
                grant: grant(),
                at: day(i64::from(which)),
            },
        };
        (of_duplicate, command)
    })
}

fn change(which: u8) -> ProfileChange {
    match which {
        0 => in_country("TR"),
        1 => in_country("DE"),
        _ => ProfileChange {
            country: Change::Set(None),
            time_zone: Change::Set(Some(TimeZone::parse("Europe/Istanbul").unwrap())),
            ..ProfileChange::default()
        },
    }
}

fn merges(survivor: &mut Party, duplicate: &mut Party, fields: ProfileFields) {
    let id = |party: &Party| party.0.registration().unwrap().customer;
    let absorb = CustomerCommand::Absorb(Box::new(Absorption {
        duplicate: duplicate.0.clone(),
        fields,
        above: BTreeMap::new(),
        at: day(9),
    }));
    duplicate.must(&CustomerCommand::Merge {
        survivor: id(survivor),
        at: day(9),
    });
    survivor.must(&absorb);
}

fn unmerges(survivor: &mut Party, duplicate: &mut Party) {
    let separated = duplicate.0.registration().unwrap().customer;
    let told = Box::new(survivor.0.told_of(separated).unwrap());
    let at = day(12);
    duplicate.must(&CustomerCommand::Unmerge { told, at });
    survivor.must(&CustomerCommand::Separate { separated, at });
}

proptest! {
    /// Whatever was told before and meanwhile, each has in the end what it would have if the two had never been merged.
    #[test]
    fn a_merger_that_is_undone_leaves_each_what_was_told_by_its_id(
        before in proptest::collection::vec(told(), 0..6),
        meanwhile in proptest::collection::vec(told(), 0..8),
        country in any::<bool>(),
        locale in any::<bool>(),
    ) {
        let (mut survivor, mut duplicate) = (Party::new(A), Party::new(B));
        for (of_duplicate, command) in &before {
            if *of_duplicate { duplicate.does(command) } else { survivor.does(command) }
        }
        let (mut alone, mut other_alone) = (survivor.clone(), duplicate.clone());
        let fields = ProfileFields { country, locale, ..ProfileFields::default() };
        merges(&mut survivor, &mut duplicate, fields);
        for (of_duplicate, command) in &meanwhile {
            if *of_duplicate {
                let command = Box::new(command.clone());
                survivor.does(&CustomerCommand::ToldOf { original: B, command: command.clone() });
                other_alone.does(&command);
            } else {
                survivor.does(command);
                alone.does(command);
            }
        }
        unmerges(&mut survivor, &mut duplicate);
        prop_assert_eq!(survivor.shown(), alone.shown());
        prop_assert_eq!(duplicate.shown(), other_alone.shown());
        prop_assert!(survivor.0.mergers() == alone.0.mergers());
        prop_assert!(duplicate.0.mergers() == other_alone.0.mergers());
    }

    /// The same through two mergers, one into the other.
    #[test]
    fn mergers_that_are_undone_in_turn_leave_each_what_was_told_by_its_id(
        meanwhile in proptest::collection::vec((0..3_u8, told()), 0..8),
    ) {
        let ids = [A, B, C];
        let mut parties = ids.map(Party::new);
        let mut alone = parties.clone();
        {
            let [a, b, c] = &mut parties;
            merges(b, c, ProfileFields::default());
            merges(a, b, ProfileFields::default());
        }
        for (whose, (_, command)) in &meanwhile {
            let command = apart(command, *whose);
            let whose = usize::from(*whose);
            alone[whose].does(&command);
            if whose == 0 {
                parties[0].does(&command);
            } else {
                let (original, command) = (ids[whose], Box::new(command));
                parties[0].does(&CustomerCommand::ToldOf { original, command });
            }
        }
        let [a, b, c] = &mut parties;
        unmerges(a, b);
        unmerges(b, c);
        for (party, alone) in parties.iter().zip(&alone) {
            prop_assert_eq!(party.shown(), alone.shown());
        }
    }
}

/// The same command with claims that are nobody else's.
fn apart(command: &CustomerCommand, whose: u8) -> CustomerCommand {
    let claim = 100 + u128::from(whose);
    let mut command = command.clone();
    if let CustomerCommand::AddIdentifier {
        identifier: added, ..
    } = &mut command
    {
        *added = identifier(claim);
    }
    if let CustomerCommand::RemoveIdentifier { claim: removed, .. } = &mut command {
        *removed = ClaimId(Uuid::from_u128(claim));
    }
    command
}
