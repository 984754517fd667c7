//! Golden events: bytes of every type and schema version that was ever stored, which must decode for ever.
#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

mod complete;

use std::fmt::Debug;

use aggregate::{Partition, StreamId};
use event_log::{Seal, Stored, StoredEvent, SubjectCipher};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::stack::tenant;

pub use complete::assert_complete;

/// The id of every golden event.
pub const EVENT_ID: Uuid = Uuid::from_u128(0xE);

/// An event of the test's tenant as a log hands it out.
pub fn stored(type_: &str, schema_version: i16, payload: &[u8], at: OffsetDateTime) -> StoredEvent {
    StoredEvent {
        tenant: tenant(),
        partition: Partition::parse(0).unwrap(),
        position: 1,
        stream_id: StreamId(Uuid::from_u128(1)),
        version: 1,
        event_id: EVENT_ID,
        type_: type_.to_owned(),
        schema_version,
        payload: payload.to_vec().into(),
        metadata: bytes::Bytes::new(),
        occurred_at: at,
        recorded_at: at,
    }
}

/// Asserts that a stored event means `event`, and that `event` is stored as these bytes to this day.
#[track_caller]
pub fn assert_golden<A: Stored>(event: &A::Event, stored: &StoredEvent, cipher: &SubjectCipher)
where
    A::Event: Debug + PartialEq,
{
    let payload = encoded_as_golden::<A>(event, stored, cipher);
    assert_eq!(payload, stored.payload);
}

/// The same for an event with sealed fields. A seal is never the same twice, so that the bytes of today are compared
/// by what they mean, and that none of `hidden` stands in clear is asserted of both.
#[track_caller]
pub fn assert_golden_sealed<A: Stored>(
    event: &A::Event,
    stored: &StoredEvent,
    cipher: &SubjectCipher,
    hidden: &[&str],
) where
    A::Event: Debug + PartialEq,
{
    let today = StoredEvent {
        payload: encoded_as_golden::<A>(event, stored, cipher),
        ..stored.clone()
    };
    assert_eq!(&A::decode(&today, cipher).unwrap(), event);
    for bytes in [&stored.payload, &today.payload] {
        for text in hidden {
            let mut windows = bytes.windows(text.len());
            let shows = windows.any(|window| window == text.as_bytes());
            assert!(!shows, "{text} stands in clear");
        }
    }
}

#[track_caller]
fn encoded_as_golden<A: Stored>(
    event: &A::Event,
    stored: &StoredEvent,
    cipher: &SubjectCipher,
) -> bytes::Bytes
where
    A::Event: Debug + PartialEq,
{
    assert_eq!(&A::decode(stored, cipher).unwrap(), event);
    let encoded = A::encode(event, &Seal::new(cipher, stored.event_id)).unwrap();
    assert_eq!(
        (encoded.type_, encoded.schema_version),
        (stored.type_.as_str(), stored.schema_version)
    );
    encoded.payload.into()
}
