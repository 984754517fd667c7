//! The stages that follow from purchases and from silence.

use super::*;

/// Thirty days without a purchase, and sixty more.
const POLICY: SilencePolicy = SilencePolicy {
    lapsed_after: Some(Duration::days(30)),
    lost_after: Some(Duration::days(60)),
};
const NEVER: SilencePolicy = SilencePolicy {
    lapsed_after: None,
    lost_after: None,
};

fn bought(first: i64, last: i64) -> Option<Purchases> {
    Some(Purchases {
        first_at: day(first),
        last_at: day(last),
    })
}

fn review(purchases: Option<Purchases>, at: i64) -> CustomerCommand {
    CustomerCommand::ReviewStage {
        purchases,
        policy: POLICY,
        at: day(at),
    }
}

fn active(at: i64) -> CustomerEvent {
    moved(Stage::Prospect, Stage::Active, "purchase", at)
}

fn lapsed(at: i64) -> CustomerEvent {
    moved(Stage::Active, Stage::Lapsed, "silence", at)
}

fn lost(at: i64) -> CustomerEvent {
    moved(Stage::Lapsed, Stage::Lost, "silence", at)
}

#[test]
fn whoever_buys_nothing_stays_a_prospect() {
    given::<Customer>([registered()])
        .when(review(None, 1000))
        .then_nothing();
}

#[test]
fn the_first_purchase_makes_a_customer_active() {
    given::<Customer>([registered()])
        .when(review(bought(20, 25), 26))
        .then([active(20)]);
    // One from before the registration counts from the registration on.
    given::<Customer>([registered()])
        .when(review(bought(5, 5), 26))
        .then([active(10)]);
}

#[test]
fn silence_counts_from_the_last_purchase() {
    let history = [registered(), active(20)];
    given::<Customer>(history.clone())
        .when(review(bought(20, 45), 74))
        .then_nothing();
    given::<Customer>(history.clone())
        .when(review(bought(20, 45), 75))
        .then([lapsed(75)]);
    given::<Customer>(history.clone())
        .when(review(bought(20, 45), 134))
        .then([lapsed(75)]);
    given::<Customer>(history)
        .when(review(bought(20, 45), 135))
        .then([lapsed(75), lost(135)]);
}

#[test]
fn without_a_policy_nobody_lapses() {
    given::<Customer>([registered(), active(20)])
        .when(CustomerCommand::ReviewStage {
            purchases: bought(20, 20),
            policy: NEVER,
            at: day(10_000),
        })
        .then_nothing();
}

#[test]
fn old_history_leads_to_where_it_ends() {
    given::<Customer>([registered()])
        .when(review(bought(-400, -300), 11))
        .then([active(10), lapsed(10), lost(10)]);
}

#[test]
fn whoever_had_lapsed_or_was_lost_comes_back_by_buying() {
    let gone = [registered(), active(20), lapsed(50)];
    given::<Customer>(gone.clone())
        .when(review(bought(20, 60), 61))
        .then([moved(Stage::Lapsed, Stage::Active, "purchase", 60)]);
    let [registered, active, lapsed] = gone;
    let lost = [registered, active, lapsed, lost(110)];
    let back = moved(Stage::Lost, Stage::WonBack, "purchase", 120);
    given::<Customer>(lost.clone())
        .when(review(bought(20, 120), 121))
        .then([back.clone()]);
    given::<Customer>(lost.into_iter().chain([back]))
        .when(review(bought(20, 140), 141))
        .then([moved(Stage::WonBack, Stage::Active, "purchase", 140)]);
}

#[test]
fn what_somebody_said_stands_until_the_next_purchase() {
    let said = [
        registered(),
        active(20),
        moved(Stage::Active, Stage::Lost, "price", 30),
    ];
    given::<Customer>(said.clone())
        .when(review(bought(20, 29), 31))
        .then_nothing();
    given::<Customer>(said)
        .when(review(bought(20, 31), 32))
        .then([moved(Stage::Lost, Stage::WonBack, "purchase", 31)]);
}

#[test]
fn whoever_is_said_to_be_active_is_silent_from_then_on() {
    let said = [
        registered(),
        moved(Stage::Prospect, Stage::Active, "contract", 40),
    ];
    for purchases in [None, bought(12, 15)] {
        given::<Customer>(said.clone())
            .when(review(purchases, 69))
            .then_nothing();
        given::<Customer>(said.clone())
            .when(review(purchases, 70))
            .then([lapsed(70)]);
    }
}

#[test]
fn a_purchase_told_late_corrects_a_silence_that_was_none() {
    let history = [registered(), active(20), lapsed(50)];
    let corrected = moved(Stage::Lapsed, Stage::Active, "purchase", 50);
    let customer = given::<Customer>(history.clone())
        .when(review(bought(20, 40), 55))
        .then([corrected]);
    let silence = customer
        .lifecycle()
        .unwrap()
        .silence(bought(20, 40), &POLICY);
    assert_eq!(silence, Some((day(70), Stage::Lapsed)));
    // One so old that the silence was one all the same.
    given::<Customer>(history)
        .when(review(bought(15, 20), 55))
        .then_nothing();
}

#[test]
fn nothing_follows_for_somebody_erased_or_unknown() {
    let erased = CustomerEvent::Erased {
        customer: CUSTOMER,
        erasure: crate::domain::erasure::Erasure {
            reason: crate::domain::erasure::ErasureReason::SubjectRequest,
            at: day(30),
        },
    };
    given::<Customer>([registered(), active(20), erased])
        .when(review(bought(20, 20), 1000))
        .then_nothing();
    given::<Customer>([])
        .when(review(bought(20, 20), 1000))
        .then_rejected(CustomerRejection::NotRegistered);
}

proptest! {
    /// However purchases become known and whenever it is looked: every move is allowed, moments never go back, a second look finds nothing,
    /// and whoever bought within the term, and nobody else, is among those who buy.
    #[test]
    fn after_a_review_the_stage_tells_who_is_silent(
        steps in prop::collection::vec((0_i64..60, 0_i64..200), 1..12),
    ) {
        let mut customer = Customer::default();
        customer.evolve(&registered());
        let (mut now, mut known): (i64, Option<Purchases>) = (10, None);
        for (pause, age) in steps {
            now += pause;
            let at = day(now - age);
            known = Some(known.map_or(Purchases { first_at: at, last_at: at }, |known| Purchases {
                first_at: known.first_at.min(at),
                last_at: known.last_at.max(at),
            }));
            for event in customer.decide(&review(known, now)).unwrap() {
                let before = customer.lifecycle().unwrap().clone();
                customer.evolve(&event);
                let after = customer.lifecycle().unwrap();
                prop_assert!(before.stage.leads_to(after.stage), "{before:?} to {after:?}");
                prop_assert!(before.since <= after.since && after.since <= day(now));
            }
            prop_assert_eq!(customer.decide(&review(known, now)).unwrap(), []);
            let buys = matches!(customer.lifecycle().unwrap().stage, Stage::Active | Stage::WonBack);
            let last_at = known.unwrap().last_at;
            prop_assert_eq!(buys, day(now) < last_at + Duration::days(30));
        }
    }
}
