//! The bytes of every event type and schema version that was ever stored decode for ever, and encode to the same bytes.

use std::path::Path;

use aggregate::{Aggregate as _, CustomerId};
use event_log::{DecodeError, Encoded, Seal, Stored as _, StoredEvent, SubjectCipher};
use testing::{golden::EVENT_ID, stack::tenant};
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{LogEvent, decode};
use crate::domain::{
    Campaign, CampaignEvent, CampaignId, Channel, ContactDecision, Description, Evidence, Goal,
    HoldoutShare, Name, Offer, Plan, Purpose, Recipient, RecipientEvent, RefusalReason, SegmentId,
};

const CAMPAIGN: CampaignId = CampaignId(Uuid::from_u128(0xCA));
const DECIDED_AT: OffsetDateTime = datetime!(2026-03-01 12:00:00.123456 UTC);
const EFFECTIVE_AT: OffsetDateTime = datetime!(2026-03-01 11:59:59.5 UTC);

fn stored(type_: &str, schema_version: i16, payload: &[u8]) -> StoredEvent {
    testing::golden::stored(type_, schema_version, payload, DECIDED_AT)
}

fn encode(event: &LogEvent) -> Encoded {
    let cipher = SubjectCipher::none(&tenant());
    let seal = Seal::new(&cipher, EVENT_ID);
    match event {
        LogEvent::Campaign(event) => Campaign::encode(event, &seal).unwrap(),
        LogEvent::Recipient(event) => Recipient::encode(event, &seal).unwrap(),
    }
}

fn is_golden(event: LogEvent, type_: &str, golden: &[u8]) {
    assert_eq!(decode(&stored(type_, 1, golden)).unwrap(), event);
    let encoded = encode(&event);
    assert_eq!((encoded.type_, encoded.schema_version), (type_, 1));
    assert_eq!(encoded.payload, golden);
}

fn decision() -> ContactDecision {
    ContactDecision {
        customer: CustomerId(Uuid::from_u128(0xC1)),
        campaign: CAMPAIGN,
        evidence: Evidence {
            consent_event: Some(Uuid::from_u128(0xCE)),
            segment: SegmentId(Uuid::from_u128(0x5E)),
            segment_rule_version: 3,
            seed: 42,
            holdout_share: HoldoutShare::parse(0.25).unwrap(),
            draw: 0.625,
            last_contact_at: Some(datetime!(2026-01-01 00:00 UTC)),
            effective_at: EFFECTIVE_AT,
            policy_version: 1,
        },
        retrospective: false,
        decided_at: DECIDED_AT,
    }
}

#[test]
fn campaign_created_v1() {
    let event = CampaignEvent::Created {
        id: CAMPAIGN,
        plan: Plan {
            name: Name::parse("Geri dön").unwrap(),
            goal: Goal::WinBack,
            segment: SegmentId(Uuid::from_u128(0x5E)),
            offer: Offer {
                name: Name::parse("Yüzde on").unwrap(),
                description: Description::parse("Ten per cent off the next purchase").unwrap(),
                cost_minor: 500,
                currency_code: "TRY".to_owned(),
            },
            channel: Channel::Email,
            purpose: Purpose::Marketing,
            holdout_share: HoldoutShare::parse(0.25).unwrap(),
            seed: u64::MAX,
        },
    };
    let golden = include_bytes!("../../tests/golden/campaign_created.v1.bin");
    is_golden(
        LogEvent::Campaign(event),
        "vefa.campaigns.v1.CampaignCreated",
        golden,
    );
}

#[test]
fn campaign_started_v1() {
    let event = CampaignEvent::Started {
        id: CAMPAIGN,
        effective_at: EFFECTIVE_AT,
        retrospective: true,
    };
    let golden = include_bytes!("../../tests/golden/campaign_started.v1.bin");
    is_golden(
        LogEvent::Campaign(event),
        "vefa.campaigns.v1.CampaignStarted",
        golden,
    );
}

#[test]
fn audience_decided_v1() {
    let event = CampaignEvent::AudienceDecided {
        id: CAMPAIGN,
        audience: 700,
        segment_rule_version: 3,
    };
    let golden = include_bytes!("../../tests/golden/audience_decided.v1.bin");
    is_golden(
        LogEvent::Campaign(event),
        "vefa.campaigns.v1.AudienceDecided",
        golden,
    );
}

#[test]
fn contact_requested_v1() {
    let event = RecipientEvent::ContactRequested {
        decision: decision(),
        channel: Channel::Email,
        offer: Name::parse("Yüzde on").unwrap(),
    };
    let golden = include_bytes!("../../tests/golden/contact_requested.v1.bin");
    is_golden(
        LogEvent::Recipient(event),
        "vefa.campaigns.v1.ContactRequested",
        golden,
    );
}

#[test]
fn contact_held_out_v1() {
    let mut decision = decision();
    decision.evidence.draw = 0.125;
    decision.evidence.last_contact_at = None;
    decision.retrospective = true;
    let event = RecipientEvent::ContactHeldOut { decision };
    let golden = include_bytes!("../../tests/golden/contact_held_out.v1.bin");
    is_golden(
        LogEvent::Recipient(event),
        "vefa.campaigns.v1.ContactHeldOut",
        golden,
    );
}

#[test]
fn contact_refused_v1() {
    let mut decision = decision();
    decision.evidence.consent_event = None;
    let event = RecipientEvent::ContactRefused {
        decision,
        reason: RefusalReason::NoConsent,
    };
    let golden = include_bytes!("../../tests/golden/contact_refused.v1.bin");
    is_golden(
        LogEvent::Recipient(event),
        "vefa.campaigns.v1.ContactRefused",
        golden,
    );
}

#[test]
fn a_recipient_is_kept_as_ever() {
    let decision_of = |campaign: u128| ContactDecision {
        campaign: CampaignId(Uuid::from_u128(campaign)),
        ..decision()
    };
    let refused = [
        RefusalReason::NoConsent,
        RefusalReason::ConsentWithdrawn,
        RefusalReason::AlreadyContacted,
    ];
    let refused = refused.into_iter().zip(3..).map(|(reason, campaign)| {
        let decision = decision_of(campaign);
        RecipientEvent::ContactRefused { decision, reason }
    });
    let requested = RecipientEvent::ContactRequested {
        decision: decision_of(1),
        channel: Channel::Email,
        offer: Name::parse("Yüzde on").unwrap(),
    };
    let held_out = RecipientEvent::ContactHeldOut {
        decision: decision_of(2),
    };
    let events: Vec<_> = [requested, held_out].into_iter().chain(refused).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    testing::snapshot::assert_golden_snapshot(&Recipient::fold(&events), &folder);
}

#[test]
fn the_moment_of_a_decision_is_the_event_s_own() {
    let event = RecipientEvent::ContactHeldOut {
        decision: decision(),
    };
    assert_eq!(Recipient::occurred_at(&event), Some(DECIDED_AT));
}

#[test]
fn every_event_of_the_contract_has_its_golden_files() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    testing::golden::assert_complete("vefa.campaigns.v1", &golden, DECIDED_AT, |event| {
        decode(event).map(drop)
    });
}

#[test]
fn what_a_newer_version_wrote_is_refused_not_guessed() {
    let golden = include_bytes!("../../tests/golden/campaign_started.v1.bin");
    for event in [
        stored("vefa.campaigns.v1.CampaignStarted", 2, golden),
        stored("vefa.campaigns.v1.CampaignPaused", 1, golden),
    ] {
        let error = decode(&event).unwrap_err();
        assert!(matches!(error, DecodeError::UnknownType { .. }), "{error}");
    }
}

#[test]
fn a_value_that_was_never_written_is_refused() {
    let mut event = encode(&LogEvent::Recipient(RecipientEvent::ContactHeldOut {
        decision: decision(),
    }));
    event.payload.truncate(2);
    assert!(decode(&stored(event.type_, 1, &event.payload)).is_err());
    let error = decode(&stored(event.type_, 1, &[])).unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::InvalidField {
                field: "evidence",
                ..
            }
        ),
        "{error}"
    );
}
