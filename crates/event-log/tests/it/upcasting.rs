//! An event whose shape has changed: what was stored is brought to the present shape when it is read, and never rewritten.
//!
//! The events of a meter: at version 1 a reading was in litres; at version 2 it is in millilitres, and says who read it.

use aggregate::{Aggregate, Partition, StreamId};
use event_log::{
    Append, DecodeError, Encoded, EventLog, LogError, NewEvent, Seal, SealError, Stored,
    StoredEvent, Stream, SubjectCipher, Write, append_in,
};
use testing::TestDatabase;
use time::macros::datetime;
use uuid::Uuid;

use crate::account::{open, request, tenant};

const READ: &str = "read";
/// 7 litres, as version 1 wrote them.
const GOLDEN_V1: &[u8] = &[0, 0, 0, 7];
/// 1,500 millilitres, read by Ada, as version 2 writes them.
const GOLDEN_V2: &[u8] = &[0, 0, 0, 0, 0, 0, 0x05, 0xDC, b'A', b'd', b'a'];

#[derive(Clone, Debug, Default, PartialEq)]
struct Meter {
    last: Option<Reading>,
    millilitres: i64,
}

#[derive(Clone, Debug, PartialEq)]
struct Reading {
    millilitres: i64,
    /// Version 1 did not say.
    reader: Option<String>,
}

impl Aggregate for Meter {
    const TYPE: &'static str = "meter";
    type Command = Reading;
    type Event = Reading;
    type Rejection = std::convert::Infallible;

    fn decide(&self, reading: &Reading) -> Result<Vec<Reading>, Self::Rejection> {
        Ok(vec![reading.clone()])
    }

    fn evolve(&mut self, reading: &Reading) {
        self.millilitres += reading.millilitres;
        self.last = Some(reading.clone());
    }
}

impl Stored for Meter {
    fn encode(reading: &Reading, _: &Seal<'_>) -> Result<Encoded, SealError> {
        let mut payload = reading.millilitres.to_be_bytes().to_vec();
        payload.extend(reading.reader.iter().flat_map(|reader| reader.bytes()));
        Ok(Encoded {
            type_: READ,
            schema_version: 2,
            payload,
        })
    }

    fn decode(event: &StoredEvent, _: &SubjectCipher) -> Result<Reading, DecodeError> {
        let invalid = |field| DecodeError::invalid(event, field);
        match (event.type_.as_str(), event.schema_version) {
            (READ, 1) => {
                let litres = event.payload.as_ref().try_into();
                Ok(Reading {
                    millilitres: i64::from(i32::from_be_bytes(
                        litres.map_err(|_| invalid("litres"))?,
                    )) * 1000,
                    reader: None,
                })
            }
            (READ, 2) => {
                let (millilitres, reader) = event
                    .payload
                    .split_first_chunk()
                    .ok_or_else(|| invalid("millilitres"))?;
                let reader = std::str::from_utf8(reader).map_err(|_| invalid("reader"))?;
                Ok(Reading {
                    millilitres: i64::from_be_bytes(*millilitres),
                    reader: (!reader.is_empty()).then(|| reader.to_owned()),
                })
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }
}

fn stream() -> Stream {
    Stream {
        tenant: tenant(),
        partition: Partition::parse(3).unwrap(),
        id: StreamId(Uuid::from_u128(3)),
        subject: None,
    }
}

async fn append(
    log: &EventLog,
    expected_version: i64,
    schema_version: i16,
    payload: &'static [u8],
) {
    let event = NewEvent {
        event_id: Uuid::new_v4(),
        type_: READ,
        schema_version,
        payload: payload.into(),
        metadata: bytes::Bytes::new(),
        occurred_at: datetime!(2026-01-01 0:00 UTC),
    };
    let write = Write {
        appends: vec![Append {
            stream: stream(),
            expected_version,
            events: vec![event],
            new_key: None,
            erases: false,
        }],
        ..Write::default()
    };
    let mut transaction = log.pool().begin().await.unwrap();
    assert!(
        append_in(&mut transaction, &[write])
            .await
            .unwrap()
            .is_some()
    );
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_stream_of_two_versions_reads_as_one_and_its_bytes_stay() {
    let database = TestDatabase::create("upcasting").await.unwrap();
    let log = open(&database).await;
    append(&log, 0, 1, GOLDEN_V1).await;
    let present = Reading {
        millilitres: 1500,
        reader: Some("Ada".to_owned()),
    };
    log.execute::<Meter, ()>(&request(), &stream(), &present, |_| ())
        .await
        .unwrap();
    let loaded = log.load::<Meter>(&stream()).await.unwrap();
    assert_eq!(loaded.state.millilitres, 8500);
    assert_eq!(loaded.state.last, Some(present));
    let stored = log.read_stream(&stream()).await.unwrap();
    let stored: Vec<_> = stored
        .iter()
        .map(|event| (event.schema_version, event.payload.as_ref()))
        .collect();
    assert_eq!(stored, [(1, GOLDEN_V1), (2, GOLDEN_V2)]);
}

#[tokio::test]
async fn a_version_from_the_future_is_refused_not_guessed() {
    let database = TestDatabase::create("upcasting_newer").await.unwrap();
    let log = open(&database).await;
    append(&log, 0, 3, GOLDEN_V2).await;
    let error = log.load::<Meter>(&stream()).await.unwrap_err();
    assert!(
        matches!(
            error,
            LogError::Decode(DecodeError::UnknownType {
                schema_version: 3,
                ..
            })
        ),
        "{error}"
    );
}
