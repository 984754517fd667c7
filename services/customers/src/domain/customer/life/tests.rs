use aggregate::{Aggregate as _, scenario::given};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::domain::{
    Name,
    customer::{CustomerCommand, RegisterCustomer},
    profile::{Affiliation, Kind, Profile},
};

mod review;

const CUSTOMER: CustomerId = CustomerId(Uuid::from_u128(1));
const BIRGUL: CustomerId = CustomerId(Uuid::from_u128(2));
const CEM: CustomerId = CustomerId(Uuid::from_u128(3));

fn day(number: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(number)
}

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

/// Registered on day 10.
fn registered() -> CustomerEvent {
    CustomerEvent::Registered {
        customer: CUSTOMER,
        kind: Kind::Person,
        affiliation: Affiliation::External,
        profile: Profile::default(),
        registered_at: day(10),
    }
}

fn move_to(stage: Stage, reason: &str, at: i64) -> CustomerCommand {
    CustomerCommand::ChangeStage {
        stage,
        reason: Label::parse(reason).ok(),
        at: day(at),
    }
}

fn moved(previous: Stage, stage: Stage, reason: &str, at: i64) -> CustomerEvent {
    CustomerEvent::LifecycleStageChanged {
        customer: CUSTOMER,
        previous,
        lifecycle: Lifecycle {
            stage,
            reason: Label::parse(reason).ok(),
            since: day(at),
        },
    }
}

fn owner(employee: CustomerId, role: &str) -> Owner {
    Owner {
        employee,
        role: label(role),
    }
}

fn assign(owner: Owner, at: i64) -> CustomerCommand {
    CustomerCommand::AssignOwner { owner, at: day(at) }
}

fn assigned(owner: Owner, at: i64) -> CustomerEvent {
    CustomerEvent::OwnerAssigned {
        customer: CUSTOMER,
        owner,
        assigned_at: day(at),
    }
}

fn release(at: i64) -> CustomerCommand {
    CustomerCommand::ReleaseOwner { at: day(at) }
}

fn released(at: i64) -> CustomerEvent {
    CustomerEvent::OwnerReleased {
        customer: CUSTOMER,
        released_at: day(at),
    }
}

fn team(name: &str, at: i64) -> CustomerCommand {
    CustomerCommand::AssignTeam {
        team: Label::parse(name).ok(),
        at: day(at),
    }
}

fn team_is(name: &str, at: i64) -> CustomerEvent {
    CustomerEvent::TeamAssigned {
        customer: CUSTOMER,
        team: Label::parse(name).ok(),
        assigned_at: day(at),
    }
}

fn too_early(last: i64) -> CustomerRejection {
    CustomerRejection::OutOfOrder { last: day(last) }
}

#[test]
fn every_customer_begins_as_a_prospect() {
    let customer = Customer::fold([&registered()]);
    assert_eq!(customer.lifecycle(), Some(&Lifecycle::begun(day(10))));
    assert_eq!(customer.lifecycle().unwrap().stage, Stage::Prospect);
}

#[test]
fn an_employee_is_a_person() {
    given::<Customer>([])
        .when(CustomerCommand::Register(RegisterCustomer {
            customer: CUSTOMER,
            kind: Kind::Business,
            affiliation: Affiliation::Internal,
            profile: Profile {
                legal_name: Name::parse("Yılmaz A.Ş.").ok(),
                ..Profile::default()
            },
            identifiers: Vec::new(),
            registered_at: day(10),
        }))
        .then_rejected(CustomerRejection::InternalBusiness);
}

#[test]
fn a_customer_lives_through_all_stages() {
    let life = [
        (Stage::Active, "first-purchase", 11),
        (Stage::Lapsed, "silence", 60),
        (Stage::Active, "", 70),
        (Stage::Lost, "price", 90),
        (Stage::WonBack, "spring-offer", 120),
        (Stage::Active, "", 150),
    ];
    let mut history = vec![registered()];
    let mut before = Stage::Prospect;
    for (stage, reason, at) in life {
        let event = moved(before, stage, reason, at);
        let customer = given::<Customer>(history.clone())
            .when(move_to(stage, reason, at))
            .then([event.clone()]);
        assert_eq!(customer.lifecycle().unwrap().stage, stage);
        history.push(event);
        before = stage;
    }
}

#[test]
fn a_stage_that_is_reached_already_is_no_news() {
    let lost = [
        registered(),
        moved(Stage::Prospect, Stage::Lost, "price", 11),
    ];
    for reason in ["price", ""] {
        given::<Customer>(lost.clone())
            .when(move_to(Stage::Lost, reason, 20))
            .then_nothing();
    }
    given::<Customer>([registered()])
        .when(move_to(Stage::Prospect, "", 5))
        .then_nothing();
    given::<Customer>(lost)
        .when(move_to(Stage::Lost, "quality", 20))
        .then_rejected(CustomerRejection::StageNotReachable {
            from: Stage::Lost,
            to: Stage::Lost,
        });
}

#[test]
fn a_loss_needs_a_reason() {
    given::<Customer>([registered()])
        .when(move_to(Stage::Lost, "", 20))
        .then_rejected(CustomerRejection::ReasonRequired);
}

#[test]
fn refuses_a_stage_from_before_the_last_one() {
    given::<Customer>([registered()])
        .when(move_to(Stage::Active, "", 9))
        .then_rejected(too_early(10));
    given::<Customer>([registered(), moved(Stage::Prospect, Stage::Active, "", 20)])
        .when(move_to(Stage::Lost, "price", 19))
        .then_rejected(too_early(20));
    given::<Customer>([registered(), moved(Stage::Prospect, Stage::Active, "", 20)])
        .when(move_to(Stage::Lost, "price", 20))
        .then([moved(Stage::Active, Stage::Lost, "price", 20)]);
}

#[test]
fn an_owner_comes_changes_role_is_followed_by_another_and_goes() {
    given::<Customer>([registered()])
        .when(assign(owner(BIRGUL, "cashier"), 11))
        .then([assigned(owner(BIRGUL, "cashier"), 11)]);
    let owned = [registered(), assigned(owner(BIRGUL, "cashier"), 11)];
    given::<Customer>(owned.clone())
        .when(assign(owner(BIRGUL, "agent"), 12))
        .then([assigned(owner(BIRGUL, "agent"), 12)]);
    given::<Customer>(owned.clone())
        .when(assign(owner(CEM, "cashier"), 11))
        .then([assigned(owner(CEM, "cashier"), 11)]);
    let customer = given::<Customer>(owned)
        .when(release(12))
        .then([released(12)]);
    assert_eq!(customer.office().owner, None);
}

#[test]
fn the_same_owner_again_or_none_again_is_no_news() {
    given::<Customer>([registered(), assigned(owner(BIRGUL, "cashier"), 11)])
        .when(assign(owner(BIRGUL, "cashier"), 5))
        .then_nothing();
    given::<Customer>([registered()])
        .when(release(11))
        .then_nothing();
}

#[test]
fn refuses_an_owner_from_before_the_last_change_or_the_registration() {
    given::<Customer>([registered()])
        .when(assign(owner(BIRGUL, "cashier"), 9))
        .then_rejected(too_early(10));
    let owned = [registered(), assigned(owner(BIRGUL, "cashier"), 11)];
    given::<Customer>(owned.clone())
        .when(release(10))
        .then_rejected(too_early(11));
    let [registered, assigned] = owned;
    given::<Customer>([registered, assigned, released(12)])
        .when(assign(owner(BIRGUL, "cashier"), 11))
        .then_rejected(too_early(12));
}

#[test]
fn nobody_owns_the_contact_with_themselves() {
    given::<Customer>([registered()])
        .when(assign(owner(CUSTOMER, "agent"), 11))
        .then_rejected(CustomerRejection::OwnsItself);
}

#[test]
fn a_team_comes_and_goes() {
    given::<Customer>([registered()])
        .when(team("key-accounts", 11))
        .then([team_is("key-accounts", 11)]);
    let served = [registered(), team_is("key-accounts", 11)];
    given::<Customer>(served.clone())
        .when(team("key-accounts", 12))
        .then_nothing();
    given::<Customer>(served.clone())
        .when(team("", 12))
        .then([team_is("", 12)]);
    given::<Customer>(served)
        .when(team("back-office", 10))
        .then_rejected(too_early(11));
    given::<Customer>([registered()])
        .when(team("back-office", 9))
        .then_rejected(too_early(10));
}

#[test]
fn of_somebody_unknown_nothing_can_be_told() {
    for command in [
        move_to(Stage::Active, "", 11),
        assign(owner(BIRGUL, "agent"), 11),
        release(11),
        team("key-accounts", 11),
    ] {
        given::<Customer>([])
            .when(command)
            .then_rejected(CustomerRejection::NotRegistered);
    }
}

proptest! {
    /// However commands come, a customer is never a prospect again, is won back from loss only, and its moments never go back.
    #[test]
    fn a_life_has_no_forbidden_turn(steps in prop::collection::vec((0_usize..5, 0_i64..40), 0..30)) {
        let mut customer = Customer::default();
        customer.evolve(&registered());
        for (stage, at) in steps {
            let before = customer.lifecycle().unwrap().clone();
            let command = move_to(Stage::ALL[stage], "because", at);
            for event in customer.decide(&command).unwrap_or_default() {
                customer.evolve(&event);
            }
            let after = customer.lifecycle().unwrap();
            prop_assert!(after.since >= before.since);
            if after.stage != before.stage {
                prop_assert_ne!(after.stage, Stage::Prospect);
                prop_assert_eq!(after.stage == Stage::WonBack, before.stage == Stage::Lost);
            }
        }
    }
}
