//! The gate: whether a customer may be contacted, and if so, which arm the customer falls into. A refusal comes before the draw,
//! so that both arms hold only people who could have been contacted, and compare fairly.

use aggregate::CustomerId;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use super::plan::{CampaignId, HoldoutShare};

/// The rules of the gate that may change. Every decision keeps the version by which it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatePolicy {
    /// Version, raised with every change.
    pub version: u32,
    /// How long a customer is left alone after a contact, whatever the campaign.
    pub contact_pause: Duration,
}

/// The present rules.
pub const GATE: GatePolicy = GatePolicy {
    version: 3,
    contact_pause: Duration::days(7),
};

/// The state of a customer's consent for the campaign's channel and purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// True while consent stands, false once it was withdrawn.
    pub granted: bool,
    /// The event that made this state.
    pub event_id: Uuid,
}

/// What stands in the way of any contact, whatever was agreed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Obstacles {
    /// The customer was merged into another.
    pub merged: bool,
    /// Processing of what is known of the customer is restricted.
    pub restricted: bool,
}

/// Why the gate says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalReason {
    /// The customer was merged into another, who goes on for both.
    CustomerMerged,
    /// Processing of what is known of the customer is restricted.
    ProcessingRestricted,
    /// No consent for the campaign's channel and purpose.
    NoConsent,
    /// Consent was withdrawn.
    ConsentWithdrawn,
    /// Contacted within the contact pause by this or another campaign.
    AlreadyContacted,
}

/// The arms that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// Contacted.
    Contacted,
    /// Held out, to compare with.
    HeldOut,
}

impl GatePolicy {
    /// Decides for one customer. `contact_at` is the moment of the contact, should there be one.
    ///
    /// # Errors
    /// The reason of a no.
    pub fn admit(
        &self,
        obstacles: Obstacles,
        consent: Option<Consent>,
        last_contact_at: Option<OffsetDateTime>,
        contact_at: OffsetDateTime,
        draw: f64,
        holdout_share: HoldoutShare,
    ) -> Result<Arm, RefusalReason> {
        if obstacles.merged {
            return Err(RefusalReason::CustomerMerged);
        }
        if obstacles.restricted {
            return Err(RefusalReason::ProcessingRestricted);
        }
        let consent = consent.ok_or(RefusalReason::NoConsent)?;
        if !consent.granted {
            return Err(RefusalReason::ConsentWithdrawn);
        }
        if last_contact_at.is_some_and(|last| contact_at < last + self.contact_pause) {
            return Err(RefusalReason::AlreadyContacted);
        }
        Ok(if draw < holdout_share.value() {
            Arm::HeldOut
        } else {
            Arm::Contacted
        })
    }
}

/// The number in [0, 1) that a customer draws in a campaign: always the same for the same seed, campaign and customer, and
/// independent between campaigns.
#[must_use]
pub fn draw(seed: u64, campaign: CampaignId, customer: CustomerId) -> f64 {
    let mut hasher = Xxh3::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(campaign.0.as_bytes());
    hasher.update(customer.0.as_bytes());
    // The upper 53 bits are as many as an f64 holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    let upper = (hasher.digest() >> 11) as f64;
    upper / 9_007_199_254_740_992.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
    const GRANTED: Option<Consent> = Some(Consent {
        granted: true,
        event_id: Uuid::from_u128(1),
    });
    const WITHDRAWN: Option<Consent> = Some(Consent {
        granted: false,
        event_id: Uuid::from_u128(2),
    });

    fn half() -> HoldoutShare {
        HoldoutShare::parse(0.5).unwrap()
    }

    fn campaign(n: u128) -> CampaignId {
        CampaignId(Uuid::from_u128(n))
    }

    fn customer(n: u128) -> CustomerId {
        CustomerId(Uuid::from_u128(n))
    }

    #[test]
    fn asks_for_consent_first() {
        let just_now = Some(NOW);
        let admit = |consent| GATE.admit(Obstacles::default(), consent, just_now, NOW, 0.9, half());
        assert_eq!(admit(None), Err(RefusalReason::NoConsent));
        assert_eq!(admit(WITHDRAWN), Err(RefusalReason::ConsentWithdrawn));
        assert_eq!(admit(GRANTED), Err(RefusalReason::AlreadyContacted));
    }

    #[test]
    fn what_may_only_be_kept_is_not_looked_at() {
        let obstacles = Obstacles {
            restricted: true,
            ..Obstacles::default()
        };
        for consent in [None, WITHDRAWN, GRANTED] {
            assert_eq!(
                GATE.admit(obstacles, consent, None, NOW, 0.9, half()),
                Err(RefusalReason::ProcessingRestricted)
            );
        }
    }

    /// Whoever goes on is asked in their own right; what else stands in the way of the old id does not matter.
    #[test]
    fn whoever_was_merged_is_not_contacted_twice() {
        for restricted in [false, true] {
            let obstacles = Obstacles {
                merged: true,
                restricted,
            };
            assert_eq!(
                GATE.admit(obstacles, GRANTED, None, NOW, 0.9, half()),
                Err(RefusalReason::CustomerMerged)
            );
        }
    }

    #[test]
    fn leaves_a_customer_alone_for_seven_days() {
        let admit = |last| GATE.admit(Obstacles::default(), GRANTED, Some(last), NOW, 0.9, half());
        let seven_days_ago = NOW - Duration::days(7);
        assert_eq!(admit(seven_days_ago), Ok(Arm::Contacted));
        assert_eq!(
            admit(seven_days_ago + Duration::microseconds(1)),
            Err(RefusalReason::AlreadyContacted)
        );
        // Another process decided a moment later than this one.
        assert_eq!(
            admit(NOW + Duration::seconds(1)),
            Err(RefusalReason::AlreadyContacted)
        );
    }

    #[test]
    fn holds_out_whoever_draws_below_the_share() {
        let admit = |draw| GATE.admit(Obstacles::default(), GRANTED, None, NOW, draw, half());
        assert_eq!(admit(0.0), Ok(Arm::HeldOut));
        assert_eq!(admit(0.499), Ok(Arm::HeldOut));
        assert_eq!(admit(0.5), Ok(Arm::Contacted));
        let nobody = HoldoutShare::parse(0.0).unwrap();
        assert_eq!(
            GATE.admit(Obstacles::default(), GRANTED, None, NOW, 0.0, nobody),
            Ok(Arm::Contacted)
        );
    }

    #[test]
    fn the_draw_of_a_customer_never_changes() {
        let drawn: Vec<String> = (1..=3)
            .map(|n| format!("{:.12}", draw(42, campaign(1), customer(n))))
            .collect();
        // Recorded decisions depend on these values.
        assert_eq!(drawn, PINNED);
    }

    const PINNED: [&str; 3] = ["0.734953490894", "0.650511523662", "0.321785799001"];

    #[test]
    fn the_draw_depends_on_seed_campaign_and_customer() {
        let first = draw(1, campaign(1), customer(1));
        for other in [
            draw(2, campaign(1), customer(1)),
            draw(1, campaign(2), customer(1)),
            draw(1, campaign(1), customer(2)),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn draws_are_spread_evenly() {
        let mut tenths = [0_u32; 10];
        for n in 0..10_000 {
            let tenth = draw(7, campaign(1), customer(n)) * 10.0;
            tenths[tenth as usize] += 1;
        }
        // 1000 each; five standard deviations are 150.
        assert!(
            tenths.iter().all(|count| (850..1150).contains(count)),
            "{tenths:?}"
        );
    }

    proptest! {
        #[test]
        fn a_draw_lies_between_0_and_1(seed: u64, a: u128, b: u128) {
            let drawn = draw(seed, campaign(a), customer(b));
            prop_assert!((0.0..1.0).contains(&drawn));
        }
    }
}
