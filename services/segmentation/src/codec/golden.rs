//! The bytes of every event type and schema version that was ever stored decode for ever.

use std::{fmt::Debug, path::Path};

use event_log::{DecodeError, Seal, Stored, StoredEvent, SubjectCipher};
use testing::{golden::assert_golden, stack::tenant};
use time::macros::datetime;
use uuid::Uuid;

use super::{
    CUSTOMER_SCORED, MODELS_FITTED, SEGMENT_DEFINED, SEGMENT_ENTERED, SEGMENT_LEFT,
    SEGMENT_NAME_CLAIMED, SEGMENT_RULE_CHANGED,
};
use crate::domain::{
    Cause, Change, CutPoints, Fit, FitId, ModelsFitted, NameClaim, NameClaimed, Rfm, Score,
    Segment, SegmentEvent, SegmentId, Standing, StandingEvent, Tier, ValueFit,
    models::{BgNbd, Fitted, GammaGamma, MbgNbd, ParetoNbd},
};

const SEGMENT: SegmentId = SegmentId(Uuid::from_u128(0x5));
const FIT: FitId = FitId(Uuid::from_u128(0xF));

fn stored(type_: &str, schema_version: i16, payload: &[u8]) -> StoredEvent {
    let at = datetime!(2026-11-23 10:00 UTC);
    testing::golden::stored(type_, schema_version, payload, at)
}

#[track_caller]
fn is_golden<A: Stored>(event: &A::Event, type_: &'static str, golden: &[u8])
where
    A::Event: Debug + PartialEq,
{
    let cipher = SubjectCipher::none(&tenant());
    assert_golden::<A>(event, &stored(type_, 1, golden), &cipher);
}

fn change(cause: Cause) -> Change {
    Change {
        customer: aggregate::CustomerId(Uuid::from_u128(0xC)),
        segment: SEGMENT,
        rule_version: 3,
        cause,
    }
}

#[test]
fn segment_defined_v1() {
    let event = SegmentEvent::Defined {
        segment: SEGMENT,
        name: "slipping-away".to_owned(),
        rule: "measures.p_alive < 0.4".to_owned(),
    };
    is_golden::<Segment>(
        &event,
        SEGMENT_DEFINED,
        include_bytes!("../../tests/golden/segment_defined.v1.bin"),
    );
}

#[test]
fn segment_rule_changed_v1() {
    let event = SegmentEvent::RuleChanged {
        segment: SEGMENT,
        rule: "measures.p_alive < 0.5".to_owned(),
        rule_version: 2,
    };
    is_golden::<Segment>(
        &event,
        SEGMENT_RULE_CHANGED,
        include_bytes!("../../tests/golden/segment_rule_changed.v1.bin"),
    );
}

#[test]
fn segment_name_claimed_v1() {
    let event = NameClaimed {
        name: "slipping-away".to_owned(),
        segment: SEGMENT,
    };
    is_golden::<NameClaim>(
        &event,
        SEGMENT_NAME_CLAIMED,
        include_bytes!("../../tests/golden/segment_name_claimed.v1.bin"),
    );
}

#[test]
fn segment_entered_v1() {
    let event = StandingEvent::Entered(change(Cause::Event(Uuid::from_u128(0xE0))));
    is_golden::<Standing>(
        &event,
        SEGMENT_ENTERED,
        include_bytes!("../../tests/golden/segment_entered.v1.bin"),
    );
}

#[test]
fn segment_left_v1() {
    let event = StandingEvent::Left(change(Cause::Time));
    is_golden::<Standing>(
        &event,
        SEGMENT_LEFT,
        include_bytes!("../../tests/golden/segment_left.v1.bin"),
    );
}

#[test]
fn customer_scored_v1() {
    let event = StandingEvent::Scored(Score {
        customer: aggregate::CustomerId(Uuid::from_u128(0xC)),
        fit: FIT,
        calibration_end: datetime!(1997-09-30 23:59:59.999999 UTC),
        p_alive: 0.75,
        expected_purchases: 1.25,
        expected_value_minor: 4_321,
        monetary_minor: 12_000,
        rfm: Rfm {
            recency: 5,
            frequency: 4,
            monetary: 3,
        },
        tier: Tier::MostGrowable,
        tier_policy_version: 1,
    });
    is_golden::<Standing>(
        &event,
        CUSTOMER_SCORED,
        include_bytes!("../../tests/golden/customer_scored.v1.bin"),
    );
}

#[test]
fn models_fitted_v1() {
    let event = ModelsFitted(Fit {
        id: FIT,
        calibration_end: datetime!(1997-09-30 23:59:59.999999 UTC),
        customers: 2357,
        repeat_customers: 946,
        bg_nbd: Fitted {
            model: BgNbd {
                r: 0.25,
                alpha: 4.5,
                a: 0.75,
                b: 2.5,
            },
            log_likelihood: -9582.5,
        },
        mbg_nbd: Fitted {
            model: MbgNbd {
                r: 0.5,
                alpha: 6.25,
                a: 0.875,
                b: 1.625,
            },
            log_likelihood: -9579.75,
        },
        pareto_nbd: Fitted {
            model: ParetoNbd {
                r: 0.5625,
                alpha: 10.5,
                s: 0.625,
                beta: 11.75,
            },
            log_likelihood: -9595.0,
        },
        gamma_gamma: Fitted {
            model: GammaGamma {
                p: 6.25,
                q: 3.75,
                gamma: 15.5,
            },
            log_likelihood: -4055.875,
        },
        horizon_weeks: 39,
        currency_code: "USD".to_owned(),
        cut_points: CutPoints {
            recency_days: [60, 120, 180, 240],
            frequency: [2, 2, 2, 3],
            monetary_minor: [1_500, 2_500, 4_000, 9_000],
        },
        tier_policy_version: 1,
    });
    is_golden::<ValueFit>(
        &event,
        MODELS_FITTED,
        include_bytes!("../../tests/golden/models_fitted.v1.bin"),
    );
}

#[test]
fn every_cause_comes_back() {
    let cipher = SubjectCipher::none(&tenant());
    let event = Uuid::from_u128(0xE0);
    for cause in [
        Cause::Event(event),
        Cause::Backfill(event),
        Cause::Rule,
        Cause::Time,
        Cause::Fit,
    ] {
        for event in [
            StandingEvent::Entered(change(cause)),
            StandingEvent::Left(change(cause)),
        ] {
            let encoded = Standing::encode(&event, &Seal::new(&cipher, Uuid::nil())).unwrap();
            let stored = stored(encoded.type_, 1, &encoded.payload);
            assert_eq!(Standing::decode(&stored, &cipher).unwrap(), event);
        }
    }
}

#[test]
fn every_event_of_the_contract_has_its_golden_files() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    testing::golden::assert_complete(
        "vefa.segmentation.v1",
        &golden,
        datetime!(2026-11-23 10:00 UTC),
        |event| {
            let cipher = SubjectCipher::none(&event.tenant);
            match event.type_.as_str() {
                SEGMENT_DEFINED | SEGMENT_RULE_CHANGED => Segment::decode(event, &cipher).map(drop),
                SEGMENT_NAME_CLAIMED => NameClaim::decode(event, &cipher).map(drop),
                MODELS_FITTED => ValueFit::decode(event, &cipher).map(drop),
                _ => Standing::decode(event, &cipher).map(drop),
            }
        },
    );
}

#[test]
fn what_a_newer_version_wrote_is_refused_not_guessed() {
    let cipher = SubjectCipher::none(&tenant());
    let golden = include_bytes!("../../tests/golden/segment_defined.v1.bin");
    for event in [
        stored(SEGMENT_DEFINED, 2, golden),
        stored("vefa.segmentation.v1.Unheard", 1, golden),
    ] {
        let refusals = [
            Segment::decode(&event, &cipher).unwrap_err(),
            NameClaim::decode(&event, &cipher).unwrap_err(),
            Standing::decode(&event, &cipher).unwrap_err(),
            ValueFit::decode(&event, &cipher).unwrap_err(),
        ];
        for error in refusals {
            assert!(matches!(error, DecodeError::UnknownType { .. }), "{error}");
        }
    }
    let truncated = stored(SEGMENT_LEFT, 1, b"");
    let error = Standing::decode(&truncated, &cipher).unwrap_err();
    assert!(matches!(error, DecodeError::InvalidField { .. }), "{error}");
}
