use aggregate::scenario::given;
use proptest::prelude::*;
use time::{Duration, macros::datetime};

use super::*;

const CUSTOMER: CustomerId = CustomerId(Uuid::from_u128(11));
const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
const CONSENT: Consent = Consent {
    granted: true,
    event_id: Uuid::from_u128(21),
};

fn campaign(n: u128) -> CampaignId {
    CampaignId(Uuid::from_u128(n))
}

fn share(share: f64) -> HoldoutShare {
    HoldoutShare::parse(share).unwrap()
}

/// Campaign 1 contacts the customer now, with consent and without holdout.
fn command() -> DecideContact {
    DecideContact {
        customer: CUSTOMER,
        campaign: campaign(1),
        channel: Channel::Email,
        offer: Name::parse("Ten per cent").unwrap(),
        consent: Some(CONSENT),
        obstacles: Obstacles::default(),
        segment: SegmentId(Uuid::from_u128(31)),
        segment_rule_version: 2,
        seed: 42,
        holdout_share: share(0.0),
        effective_at: NOW - Duration::minutes(1),
        decided_at: NOW,
        retrospective: false,
    }
}

fn decision(command: &DecideContact, last_contact_at: Option<OffsetDateTime>) -> ContactDecision {
    ContactDecision {
        customer: command.customer,
        campaign: command.campaign,
        evidence: Evidence {
            consent_event: command.consent.map(|consent| consent.event_id),
            segment: command.segment,
            segment_rule_version: command.segment_rule_version,
            seed: command.seed,
            holdout_share: command.holdout_share,
            draw: draw(command.seed, command.campaign, command.customer),
            last_contact_at,
            effective_at: command.effective_at,
            policy_version: 3,
        },
        retrospective: command.retrospective,
        decided_at: command.decided_at,
    }
}

fn requested(command: &DecideContact, last_contact_at: Option<OffsetDateTime>) -> RecipientEvent {
    RecipientEvent::ContactRequested {
        decision: decision(command, last_contact_at),
        channel: command.channel,
        offer: command.offer.clone(),
    }
}

fn refused(
    command: &DecideContact,
    last_contact_at: Option<OffsetDateTime>,
    reason: RefusalReason,
) -> RecipientEvent {
    RecipientEvent::ContactRefused {
        decision: decision(command, last_contact_at),
        reason,
    }
}

#[test]
fn contacts_whoever_consented() {
    given::<Recipient>([])
        .when(command())
        .then([requested(&command(), None)]);
}

#[test]
fn holds_out_whoever_draws_below_the_share() {
    let seed = (0..)
        .find(|seed| (0.2..0.8).contains(&draw(*seed, campaign(1), CUSTOMER)))
        .expect("draws are spread evenly");
    let drawn = draw(seed, campaign(1), CUSTOMER);
    let mut command = DecideContact {
        seed,
        holdout_share: share(drawn + 0.01),
        ..command()
    };
    given::<Recipient>([])
        .when(command.clone())
        .then([RecipientEvent::ContactHeldOut {
            decision: decision(&command, None),
        }]);
    command.holdout_share = share(drawn - 0.01);
    given::<Recipient>([])
        .when(command.clone())
        .then([requested(&command, None)]);
}

#[test]
fn refuses_without_consent() {
    let command = DecideContact {
        consent: None,
        ..command()
    };
    given::<Recipient>([]).when(command.clone()).then([refused(
        &command,
        None,
        RefusalReason::NoConsent,
    )]);
}

#[test]
fn refuses_when_consent_was_withdrawn_and_keeps_the_event() {
    let withdrawn = Consent {
        granted: false,
        event_id: Uuid::from_u128(22),
    };
    let command = DecideContact {
        consent: Some(withdrawn),
        ..command()
    };
    let expected = refused(&command, None, RefusalReason::ConsentWithdrawn);
    assert_eq!(
        expected.decision().evidence.consent_event,
        Some(Uuid::from_u128(22))
    );
    given::<Recipient>([]).when(command).then([expected]);
}

#[test]
fn decides_once_for_each_campaign() {
    let no_consent = DecideContact {
        consent: None,
        ..command()
    };
    let before = [
        requested(&command(), None),
        RecipientEvent::ContactHeldOut {
            decision: decision(&command(), None),
        },
        refused(&no_consent, None, RefusalReason::NoConsent),
    ];
    for event in before {
        given::<Recipient>([event]).when(command()).then_nothing();
    }
}

#[test]
fn another_campaign_leaves_the_customer_alone_during_the_pause() {
    let later = DecideContact {
        campaign: campaign(2),
        decided_at: NOW + GATE.contact_pause - Duration::seconds(1),
        ..command()
    };
    given::<Recipient>([requested(&command(), None)])
        .when(later.clone())
        .then([refused(&later, Some(NOW), RefusalReason::AlreadyContacted)]);
}

#[test]
fn another_campaign_contacts_again_after_the_pause() {
    let later = DecideContact {
        campaign: campaign(2),
        decided_at: NOW + GATE.contact_pause,
        ..command()
    };
    given::<Recipient>([requested(&command(), None)])
        .when(later.clone())
        .then([requested(&later, Some(NOW))]);
}

#[test]
fn a_holdout_or_a_refusal_is_no_contact() {
    let no_consent = DecideContact {
        consent: None,
        ..command()
    };
    let other = DecideContact {
        campaign: campaign(2),
        ..command()
    };
    let held_out = RecipientEvent::ContactHeldOut {
        decision: decision(&command(), None),
    };
    let refused = refused(&no_consent, None, RefusalReason::NoConsent);
    for event in [held_out, refused] {
        given::<Recipient>([event])
            .when(other.clone())
            .then([requested(&other, None)]);
    }
}

#[test]
fn a_campaign_that_looks_back_is_not_blocked_by_real_contacts() {
    let back = DecideContact {
        campaign: campaign(2),
        retrospective: true,
        ..command()
    };
    given::<Recipient>([requested(&command(), None)])
        .when(back.clone())
        .then([requested(&back, None)]);
}

#[test]
fn a_campaign_that_looks_back_counts_as_no_contact() {
    let back = DecideContact {
        retrospective: true,
        ..command()
    };
    let real = DecideContact {
        campaign: campaign(2),
        ..command()
    };
    given::<Recipient>([requested(&back, None)])
        .when(real.clone())
        .then([requested(&real, None)]);
}

#[test]
fn the_last_contact_is_the_latest_whatever_the_order_of_decisions() {
    let later = DecideContact {
        campaign: campaign(2),
        decided_at: NOW + Duration::days(10),
        ..command()
    };
    let third = DecideContact {
        campaign: campaign(3),
        decided_at: NOW + Duration::days(12),
        ..command()
    };
    given::<Recipient>([requested(&later, None), requested(&command(), None)])
        .when(third.clone())
        .then([refused(
            &third,
            Some(later.decided_at),
            RefusalReason::AlreadyContacted,
        )]);
}

proptest! {
    /// Whatever was decided, and wherever a snapshot is taken.
    #[test]
    fn a_snapshot_and_what_came_behind_it_make_the_same_recipient(
        decided in prop::collection::vec((0..9_u128, 0..5_u8, 0..9_i64, any::<bool>()), 0..12),
    ) {
        let events: Vec<_> = decided.into_iter().map(|(id, verdict, day, retrospective)| {
            let command = DecideContact {
                campaign: campaign(id),
                decided_at: NOW + Duration::days(day),
                retrospective,
                ..command()
            };
            let decision = decision(&command, None);
            match verdict {
                0 => requested(&command, None),
                1 => RecipientEvent::ContactHeldOut { decision },
                2 => RecipientEvent::ContactRefused { decision, reason: RefusalReason::NoConsent },
                3 => RecipientEvent::ContactRefused { decision, reason: RefusalReason::ConsentWithdrawn },
                4 => RecipientEvent::ContactRefused { decision, reason: RefusalReason::CustomerMerged },
                _ => RecipientEvent::ContactRefused { decision, reason: RefusalReason::AlreadyContacted },
            }
        }).collect();
        testing::snapshot::assert_same_at_every_cut::<Recipient>(&events);
    }
}
