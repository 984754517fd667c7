//! The bytes of every event type and schema version that was ever stored decode for ever.

use aggregate::{Partition, StreamId, TenantId};
use event_log::{DecodeError, Seal, Stored, StoredEvent, SubjectCipher};
use uuid::Uuid;

use super::{
    purchase::{PURCHASE_RECORDED, RETURN_RECORDED},
    touchpoint::TOUCHPOINT_RECORDED,
};
use crate::domain::{
    purchase::{self, Purchase, PurchaseEvent},
    touchpoint::{self, Touchpoint, TouchpointEvent},
};

const EVENT_ID: Uuid = Uuid::from_u128(0xE);

fn tenant() -> TenantId {
    TenantId::parse("demo").unwrap()
}

/// The cipher under which the golden summary was sealed.
fn cipher() -> SubjectCipher {
    SubjectCipher::with_key(&tenant(), touchpoint::tests::facts().customer, [7; 32])
}

fn stored(type_: &str, schema_version: i16, payload: &'static [u8]) -> StoredEvent {
    let at = touchpoint::tests::facts().received_at;
    StoredEvent {
        tenant: tenant(),
        partition: Partition::parse(0).unwrap(),
        position: 1,
        stream_id: StreamId(Uuid::from_u128(1)),
        version: 1,
        event_id: EVENT_ID,
        type_: type_.to_owned(),
        schema_version,
        payload: payload.into(),
        metadata: bytes::Bytes::new(),
        occurred_at: at,
        recorded_at: at,
    }
}

fn is_golden<A: Stored>(event: &A::Event, type_: &'static str, golden: &'static [u8]) {
    let decoded = A::decode(&stored(type_, 1, golden), &cipher()).unwrap();
    assert_eq!(&decoded, event);
    let encoded = A::encode(event, &Seal::new(&cipher(), EVENT_ID)).unwrap();
    assert_eq!((encoded.type_, encoded.schema_version), (type_, 1));
    // A seal is never the same twice, so that sealed events are compared as decoded only.
    if type_ != TOUCHPOINT_RECORDED {
        assert_eq!(encoded.payload, golden);
    }
}

#[test]
fn purchase_recorded_v1() {
    let event = PurchaseEvent::PurchaseRecorded(purchase::tests::facts(&[1999, 401]));
    let golden = include_bytes!("../../tests/golden/purchase_recorded.v1.bin");
    is_golden::<Purchase>(&event, PURCHASE_RECORDED, golden);
}

#[test]
fn return_recorded_v1() {
    let event = PurchaseEvent::ReturnRecorded(purchase::tests::facts(&[1999]));
    let golden = include_bytes!("../../tests/golden/return_recorded.v1.bin");
    is_golden::<Purchase>(&event, RETURN_RECORDED, golden);
}

#[test]
fn touchpoint_recorded_v1() {
    let event = TouchpointEvent::TouchpointRecorded(touchpoint::tests::facts());
    let golden = include_bytes!("../../tests/golden/touchpoint_recorded.v1.bin");
    is_golden::<Touchpoint>(&event, TOUCHPOINT_RECORDED, golden);
    let clear = b"parcel";
    assert!(!golden.windows(clear.len()).any(|window| window == clear));
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
