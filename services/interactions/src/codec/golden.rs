//! The bytes of every event type and schema version that was ever stored decode for ever.

use std::path::Path;

use event_log::{DecodeError, Stored as _, StoredEvent, SubjectCipher};
use testing::{
    golden::{assert_golden, assert_golden_sealed},
    stack::tenant,
};

use super::{
    purchase::{PURCHASE_RECORDED, RETURN_RECORDED},
    touchpoint::TOUCHPOINT_RECORDED,
};
use crate::domain::{
    purchase::{self, Purchase, PurchaseEvent},
    touchpoint::{self, Touchpoint, TouchpointEvent},
};

/// The cipher under which the golden summary was sealed.
fn cipher() -> SubjectCipher {
    SubjectCipher::with_key(&tenant(), touchpoint::tests::facts().customer, [7; 32])
}

fn stored(type_: &str, schema_version: i16, payload: &[u8]) -> StoredEvent {
    let at = touchpoint::tests::facts().received_at;
    testing::golden::stored(type_, schema_version, payload, at)
}

#[test]
fn purchase_recorded_v1() {
    let event = PurchaseEvent::PurchaseRecorded(purchase::tests::facts(&[1999, 401]));
    let golden = include_bytes!("../../tests/golden/purchase_recorded.v1.bin");
    assert_golden::<Purchase>(&event, &stored(PURCHASE_RECORDED, 1, golden), &cipher());
}

#[test]
fn return_recorded_v1() {
    let event = PurchaseEvent::ReturnRecorded(purchase::tests::facts(&[1999]));
    let golden = include_bytes!("../../tests/golden/return_recorded.v1.bin");
    assert_golden::<Purchase>(&event, &stored(RETURN_RECORDED, 1, golden), &cipher());
}

#[test]
fn touchpoint_recorded_v1() {
    let event = TouchpointEvent::TouchpointRecorded(touchpoint::tests::facts());
    let golden = include_bytes!("../../tests/golden/touchpoint_recorded.v1.bin");
    let stored = stored(TOUCHPOINT_RECORDED, 1, golden);
    assert_golden_sealed::<Touchpoint>(&event, &stored, &cipher(), &["parcel"]);
}

#[test]
fn a_contact_outlives_the_customer_s_key_without_its_summary() {
    let golden = include_bytes!("../../tests/golden/touchpoint_recorded.v1.bin");
    let event = stored(TOUCHPOINT_RECORDED, 1, golden);
    let TouchpointEvent::TouchpointRecorded(facts) =
        Touchpoint::decode(&event, &SubjectCipher::none(&tenant())).unwrap();
    assert_eq!(facts.summary, None);
    assert_eq!(facts.key, touchpoint::tests::facts().key);
}

#[test]
fn every_event_of_the_contract_has_its_golden_files() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    testing::golden::assert_complete(
        "vefa.interactions.v1",
        &golden,
        touchpoint::tests::facts().received_at,
        |event| super::interaction(event, &cipher()).map(drop),
    );
}

#[test]
fn what_a_newer_version_wrote_is_refused_not_guessed() {
    let golden = include_bytes!("../../tests/golden/purchase_recorded.v1.bin");
    for event in [
        stored(PURCHASE_RECORDED, 2, golden),
        stored("vefa.interactions.v1.Unheard", 1, golden),
    ] {
        let error = Purchase::decode(&event, &cipher()).unwrap_err();
        assert!(matches!(error, DecodeError::UnknownType { .. }), "{error}");
        assert!(Touchpoint::decode(&event, &cipher()).is_err());
    }
}
