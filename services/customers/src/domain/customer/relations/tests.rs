use std::collections::BTreeMap;

use aggregate::{Aggregate as _, scenario::given};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::domain::{
    customer::CustomerCommand,
    profile::{Affiliation, Profile},
    relation::{Ascent, Period},
};

const FIRST: u128 = 1;
const SECOND: u128 = 2;

fn party(number: u128) -> CustomerId {
    CustomerId(Uuid::from_u128(number))
}

fn day(number: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(number)
}

fn registered(number: u128, kind: Kind) -> CustomerEvent {
    CustomerEvent::Registered {
        customer: party(number),
        kind,
        affiliation: Affiliation::External,
        profile: Profile::default(),
        registered_at: day(0),
    }
}

fn relation(id: u128, type_: RelationType, from: u128, to: u128, start: i64) -> Relation {
    Relation {
        id: RelationId(Uuid::from_u128(id)),
        type_,
        from: party(from),
        to: party(to),
        period: Period::from(day(start)),
    }
}

fn add(relation: Relation, related_kind: Kind) -> CustomerCommand {
    CustomerCommand::AddRelation {
        relation,
        related_kind,
        above: BTreeSet::new(),
    }
}

fn added(relation: Relation) -> CustomerEvent {
    CustomerEvent::RelationAdded { relation }
}

fn end(id: u128, at: i64) -> CustomerCommand {
    CustomerCommand::EndRelation {
        relation: RelationId(Uuid::from_u128(id)),
        at: day(at),
    }
}

fn ended(relation: Relation, at: i64) -> CustomerEvent {
    CustomerEvent::RelationEnded {
        relation: relation.id,
        type_: relation.type_,
        from: relation.from,
        to: relation.to,
        ended_at: day(at),
    }
}

#[test]
fn each_type_joins_what_it_may_and_nothing_else() {
    let (person, business) = (Kind::Person, Kind::Business);
    let all = [
        (person, person),
        (person, business),
        (business, person),
        (business, business),
    ];
    for (type_, may) in [
        (RelationType::BuysFor, &all[..]),
        (RelationType::PurchasingAgentOf, &[(person, business)]),
        (RelationType::ContactOf, &[(person, business)]),
        (RelationType::EmployeeOf, &[(person, business)]),
        (RelationType::SharesHouseholdWith, &[(person, person)]),
        (RelationType::SubsidiaryOf, &[(business, business)]),
        (RelationType::ReferredBy, &all[..]),
    ] {
        for (from, to) in all {
            let told = relation(7, type_, FIRST, SECOND, 3);
            let decided = given::<Customer>([registered(FIRST, from)]).when(add(told, to));
            if may.contains(&(from, to)) {
                decided.then([added(told)]);
            } else {
                decided.then_rejected(CustomerRejection::RelationKinds(type_));
            }
        }
    }
}

#[test]
fn nobody_is_related_to_itself_or_to_whoever_stands_below() {
    let own = relation(7, RelationType::BuysFor, FIRST, FIRST, 3);
    given::<Customer>([registered(FIRST, Kind::Person)])
        .when(add(own, Kind::Person))
        .then_rejected(CustomerRejection::RelationCycle);
    given::<Customer>([registered(FIRST, Kind::Business)])
        .when(CustomerCommand::AddRelation {
            relation: relation(7, RelationType::SubsidiaryOf, FIRST, SECOND, 3),
            related_kind: Kind::Business,
            above: [party(SECOND), party(FIRST)].into(),
        })
        .then_rejected(CustomerRejection::RelationCycle);
}

#[test]
fn the_same_relation_again_needs_the_first_to_have_ended() {
    let home = relation(7, RelationType::SharesHouseholdWith, FIRST, SECOND, 3);
    let together = [registered(FIRST, Kind::Person), added(home)];
    for (from, to) in [(FIRST, SECOND), (SECOND, FIRST)] {
        let again = relation(8, RelationType::SharesHouseholdWith, from, to, 9);
        given::<Customer>(together.clone())
            .when(add(again, Kind::Person))
            .then_rejected(CustomerRejection::RelationExists);
        let parted = together.clone().into_iter().chain([ended(home, 9)]);
        given::<Customer>(parted)
            .when(add(again, Kind::Person))
            .then([added(again)]);
    }
    // Whoever buys for somebody may be bought for by the same.
    let buys = relation(7, RelationType::BuysFor, FIRST, SECOND, 3);
    let returns = relation(8, RelationType::BuysFor, SECOND, FIRST, 3);
    given::<Customer>([registered(SECOND, Kind::Person), added(buys)])
        .when(add(returns, Kind::Person))
        .then([added(returns)]);
}

#[test]
fn a_business_belongs_to_one_parent_at_a_time() {
    let bought = relation(7, RelationType::SubsidiaryOf, FIRST, SECOND, 3);
    let sold = relation(8, RelationType::SubsidiaryOf, FIRST, 3, 9);
    given::<Customer>([registered(FIRST, Kind::Business), added(bought)])
        .when(add(sold, Kind::Business))
        .then_rejected(CustomerRejection::ParentExists);
    given::<Customer>([
        registered(FIRST, Kind::Business),
        added(bought),
        ended(bought, 9),
    ])
    .when(add(sold, Kind::Business))
    .then([added(sold)]);
    // A parent of its own does not keep it from being one.
    let below = relation(9, RelationType::SubsidiaryOf, 4, FIRST, 3);
    given::<Customer>([registered(FIRST, Kind::Business), added(below)])
        .when(add(bought, Kind::Business))
        .then([added(bought)]);
}

#[test]
fn who_referred_a_customer_is_said_once_and_for_ever() {
    let referred = relation(7, RelationType::ReferredBy, FIRST, SECOND, 3);
    let known = [registered(FIRST, Kind::Person), added(referred)];
    given::<Customer>(known.clone())
        .when(add(
            relation(8, RelationType::ReferredBy, FIRST, 3, 9),
            Kind::Person,
        ))
        .then_rejected(CustomerRejection::ReferrerExists);
    given::<Customer>(known)
        .when(end(7, 9))
        .then_rejected(CustomerRejection::RelationPermanent);
}

#[test]
fn a_relation_ends_once() {
    let works = relation(7, RelationType::EmployeeOf, FIRST, SECOND, 3);
    let employed = [registered(FIRST, Kind::Person), added(works)];
    given::<Customer>(employed.clone())
        .when(end(7, 9))
        .then([ended(works, 9)]);
    given::<Customer>(employed.clone())
        .when(end(7, 2))
        .then_rejected(CustomerRejection::OutOfOrder { last: day(3) });
    given::<Customer>(employed.clone())
        .when(end(8, 9))
        .then_rejected(CustomerRejection::NoSuchRelation(RelationId(
            Uuid::from_u128(8),
        )));
    let left: Vec<CustomerEvent> = employed.into_iter().chain([ended(works, 9)]).collect();
    given::<Customer>(left.clone())
        .when(end(7, 9))
        .then_nothing();
    given::<Customer>(left)
        .when(end(7, 10))
        .then_rejected(CustomerRejection::RelationEnded);
}

#[test]
fn the_other_takes_it_over_and_those_above_take_note() {
    let bought = relation(7, RelationType::SubsidiaryOf, FIRST, SECOND, 3);
    let customer = given::<Customer>([registered(SECOND, Kind::Business)])
        .when(CustomerCommand::TakeRelation(bought))
        .then([added(bought)]);
    assert_eq!(customer.relations(), [bought]);
    given::<Customer>([registered(3, Kind::Business)])
        .when(CustomerCommand::NoteDescendant(bought))
        .then([CustomerEvent::DescendantAdded {
            customer: party(3),
            relation: bought.id,
            type_: bought.type_,
            descendant: party(FIRST),
            started_at: day(3),
        }]);
}

#[test]
fn of_somebody_unknown_nothing_can_be_told() {
    let works = relation(7, RelationType::EmployeeOf, FIRST, SECOND, 3);
    for command in [
        add(works, Kind::Business),
        CustomerCommand::TakeRelation(works),
        CustomerCommand::NoteDescendant(works),
        end(7, 9),
    ] {
        given::<Customer>([])
            .when(command)
            .then_rejected(CustomerRejection::NotRegistered);
    }
}

/// Some businesses, and what they tell of each other.
struct Group(BTreeMap<CustomerId, Customer>);

impl Group {
    fn of(count: u128) -> Self {
        let founded = |number| {
            let mut business = Customer::default();
            business.evolve(&registered(number, Kind::Business));
            (party(number), business)
        };
        Self((0..count).map(founded).collect())
    }

    fn tell(&mut self, customer: CustomerId, command: &CustomerCommand) -> bool {
        let Some(customer) = self.0.get_mut(&customer) else {
            return false;
        };
        let Ok(events) = customer.decide(command) else {
            return false;
        };
        for event in &events {
            customer.evolve(event);
        }
        true
    }

    fn above(&self, relation: &Relation) -> BTreeSet<CustomerId> {
        let mut ascent = Ascent::from(relation.type_, relation.to, relation.period);
        while let Some((customer, period)) = ascent.next() {
            ascent.told(customer, period, self.0[&customer].relations());
        }
        ascent.found()
    }

    fn join(&mut self, relation: Relation) {
        let command = CustomerCommand::AddRelation {
            relation,
            related_kind: Kind::Business,
            above: self.above(&relation),
        };
        if self.tell(relation.from, &command) {
            assert!(self.tell(relation.to, &CustomerCommand::TakeRelation(relation)));
        }
    }

    fn part(&mut self, from: CustomerId, at: OffsetDateTime) {
        let parent = self.0[&from]
            .relations()
            .iter()
            .find(|relation| relation.from == from && relation.period.end.is_none());
        if let Some(&Relation { id, to, .. }) = parent {
            let command = CustomerCommand::EndRelation { relation: id, at };
            if self.tell(from, &command) {
                assert!(self.tell(to, &command));
            }
        }
    }

    /// The parents of a business at a moment.
    fn parents(&self, business: CustomerId, moment: OffsetDateTime) -> Vec<CustomerId> {
        let now = Period {
            start: moment,
            end: Some(moment + Duration::microseconds(1)),
        };
        self.0[&business]
            .relations()
            .iter()
            .filter(|relation| relation.from == business && relation.period.meet(now).is_some())
            .map(|relation| relation.to)
            .collect()
    }
}

proptest! {
    /// Whatever is told in whatever order, and however late: at no moment does a business have two parents or stand above itself.
    #[test]
    fn a_hierarchy_never_leads_back(
        steps in prop::collection::vec((0_u128..6, 0_u128..6, 0_i64..12, prop::bool::weighted(0.3)), 0..60),
    ) {
        let mut group = Group::of(6);
        for (number, (from, to, at, parts)) in (100..).zip(steps) {
            if parts {
                group.part(party(from), day(at));
            } else {
                group.join(relation(number, RelationType::SubsidiaryOf, from, to, at));
            }
        }
        for (business, moment) in (0..6).flat_map(|n| (0..14).map(move |at| (party(n), day(at)))) {
            let mut above = group.parents(business, moment);
            prop_assert!(above.len() <= 1, "two parents");
            for _ in 0..6 {
                prop_assert!(!above.contains(&business), "stands above itself");
                above = above.iter().flat_map(|one| group.parents(*one, moment)).collect();
            }
        }
    }
}
