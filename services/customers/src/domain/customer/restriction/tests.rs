use aggregate::{Aggregate as _, CustomerId, scenario::given};
use time::Duration;
use uuid::Uuid;

use super::*;
use crate::domain::{
    customer::CustomerCommand,
    erasure::{Erasure, ErasureReason},
    profile::{Affiliation, Kind, Profile},
};

const CUSTOMER: CustomerId = CustomerId(Uuid::from_u128(1));
use RestrictionReason::{AccuracyContested, LegalClaims};

fn day(number: i64) -> OffsetDateTime {
    OffsetDateTime::UNIX_EPOCH + Duration::days(number)
}

/// On day 10.
fn registered() -> CustomerEvent {
    CustomerEvent::Registered {
        customer: CUSTOMER,
        kind: Kind::Person,
        affiliation: Affiliation::External,
        profile: Profile::default(),
        registered_at: day(10),
    }
}

fn restrict(reason: RestrictionReason, at: i64) -> CustomerCommand {
    CustomerCommand::Restrict {
        reason,
        at: day(at),
    }
}

fn restricted(reason: RestrictionReason, at: i64) -> CustomerEvent {
    CustomerEvent::ProcessingRestricted {
        customer: CUSTOMER,
        reason,
        restricted_at: day(at),
    }
}

fn lift(at: i64) -> CustomerCommand {
    CustomerCommand::LiftRestriction { at: day(at) }
}

fn lifted(at: i64) -> CustomerEvent {
    CustomerEvent::RestrictionLifted {
        customer: CUSTOMER,
        lifted_at: day(at),
    }
}

fn erase(reason: ErasureReason) -> Erasure {
    Erasure {
        reason,
        at: day(30),
    }
}

#[test]
fn processing_is_restricted_until_that_is_lifted() {
    let customer = given::<Customer>([registered()])
        .when(restrict(AccuracyContested, 11))
        .then([restricted(AccuracyContested, 11)]);
    assert_eq!(
        customer.restriction(),
        &Restriction {
            reason: Some(AccuracyContested),
            since: Some(day(11)),
        }
    );
    let customer = given::<Customer>([registered(), restricted(AccuracyContested, 11)])
        .when(lift(12))
        .then([lifted(12)]);
    assert_eq!(
        customer.restriction(),
        &Restriction {
            reason: None,
            since: Some(day(12)),
        }
    );
}

#[test]
fn what_is_so_already_is_not_told_again_and_another_reason_is() {
    given::<Customer>([registered(), restricted(AccuracyContested, 11)])
        .when(restrict(AccuracyContested, 12))
        .then_nothing();
    given::<Customer>([registered(), restricted(AccuracyContested, 11)])
        .when(restrict(LegalClaims, 12))
        .then([restricted(LegalClaims, 12)]);
    given::<Customer>([registered()])
        .when(lift(12))
        .then_nothing();
}

#[test]
fn what_is_told_comes_after_what_was_told_before() {
    let last = day(10);
    given::<Customer>([registered()])
        .when(restrict(LegalClaims, 9))
        .then_rejected(CustomerRejection::OutOfOrder { last });
    let last = day(15);
    for command in [restrict(LegalClaims, 14), lift(14)] {
        given::<Customer>([registered(), restricted(AccuracyContested, 15)])
            .when(command)
            .then_rejected(CustomerRejection::OutOfOrder { last });
    }
    given::<Customer>([registered(), restricted(LegalClaims, 11), lifted(15)])
        .when(restrict(LegalClaims, 14))
        .then_rejected(CustomerRejection::OutOfOrder { last });
}

#[test]
fn what_must_be_kept_is_erased_by_legal_order_alone() {
    let before = [registered(), restricted(LegalClaims, 11)];
    for reason in [
        ErasureReason::SubjectRequest,
        ErasureReason::RetentionExpired,
    ] {
        given::<Customer>(before.clone())
            .when(CustomerCommand::Erase(erase(reason)))
            .then_rejected(CustomerRejection::ProcessingRestricted);
    }
    let erased = CustomerEvent::Erased {
        customer: CUSTOMER,
        erasure: erase(ErasureReason::LegalOrder),
    };
    let customer = given::<Customer>(before)
        .when(CustomerCommand::Erase(erase(ErasureReason::LegalOrder)))
        .then([erased]);
    assert_eq!(customer.restriction(), &Restriction::default());
}

#[test]
fn nobody_s_processing_is_restricted() {
    for command in [restrict(LegalClaims, 11), lift(11)] {
        given::<Customer>([])
            .when(command)
            .then_rejected(CustomerRejection::NotRegistered);
    }
    assert_eq!(
        Customer::fold(&[registered()]).restriction(),
        &Restriction::default()
    );
}
