//! A small aggregate to try the log with: an account whose balance must not go below zero, and whose owner's name is sealed.

use std::sync::Arc;

use aggregate::{Aggregate, CustomerId, TenantId};
use event_log::{
    DecodeError, Encoded, EventLog, FileKeyService, IdempotencyKey, LogOptions, Request, Seal,
    SealError, Snapshot, Stored, StoredEvent, Stream, SubjectCipher,
};
use testing::TestDatabase;
use time::macros::datetime;
use uuid::Uuid;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Account {
    pub(crate) balance: i64,
    pub(crate) owner: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Open(&'static str),
    Add(i64),
    Close,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Opened(Option<String>),
    Added(i64),
    /// The owner is erased with it.
    Closed,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the balance would be {0}")]
pub(crate) struct Overdrawn(pub(crate) i64);

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Command;
    type Event = Event;
    type Rejection = Overdrawn;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Overdrawn> {
        match command {
            Command::Open(owner) => Ok(vec![Event::Opened(Some((*owner).to_owned()))]),
            Command::Add(0) => Ok(Vec::new()),
            Command::Add(amount) if self.balance + amount < 0 => {
                Err(Overdrawn(self.balance + amount))
            }
            Command::Add(amount) => Ok(vec![Event::Added(*amount)]),
            Command::Close => Ok(vec![Event::Closed]),
        }
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::Opened(owner) => self.owner.clone_from(owner),
            Event::Added(amount) => self.balance += amount,
            Event::Closed => self.owner = None,
        }
    }
}

impl Stored for Account {
    const ERASURE: Option<&'static str> = Some("closed");
    const SNAPSHOT: Option<Snapshot<Self>> = Some(Snapshot {
        schema_version: 2,
        encode: |account| {
            let owner = account.owner.as_deref();
            let owner = owner.map(|owner| [b"=", owner.as_bytes()].concat());
            [
                &account.balance.to_be_bytes(),
                owner.unwrap_or_default().as_slice(),
            ]
            .concat()
        },
        decode: |bytes| {
            let (balance, owner) = bytes.split_first_chunk()?;
            let owner = match owner.split_first() {
                None => None,
                Some((_, owner)) => Some(String::from_utf8(owner.to_vec()).ok()?),
            };
            Some(Self {
                balance: i64::from_be_bytes(*balance),
                owner,
            })
        },
    });

    fn encode(event: &Event, seal: &Seal<'_>) -> Result<Encoded, SealError> {
        let (type_, payload) = match event {
            Event::Opened(owner) => (
                "opened",
                seal.text("owner", owner.as_deref().unwrap_or_default())?
                    .to_vec(),
            ),
            Event::Added(amount) => ("added", amount.to_be_bytes().to_vec()),
            Event::Closed => ("closed", Vec::new()),
        };
        Ok(Encoded {
            type_,
            schema_version: 1,
            payload,
        })
    }

    fn decode(event: &StoredEvent, cipher: &SubjectCipher) -> Result<Event, DecodeError> {
        match event.type_.as_str() {
            "opened" => Ok(Event::Opened(cipher.open(
                event.event_id,
                "owner",
                &event.payload,
            )?)),
            "added" => amount_of(event).map(Event::Added),
            "closed" => Ok(Event::Closed),
            _ => Err(DecodeError::unknown(event)),
        }
    }
}

pub(crate) fn amount_of(event: &StoredEvent) -> Result<i64, DecodeError> {
    let bytes = event.payload.as_ref().try_into();
    bytes
        .map(i64::from_be_bytes)
        .map_err(|_| DecodeError::invalid(event, "amount"))
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("demo").unwrap()
}

pub(crate) fn customer(n: u128) -> CustomerId {
    CustomerId(Uuid::from_u128(n))
}

/// The account of customer `n`, without sealed fields.
pub(crate) fn plain(n: u128) -> Stream {
    Stream::of_customer(&tenant(), customer(n)).without_subject()
}

/// A request that may be repeated freely.
pub(crate) fn request() -> Request {
    Request {
        tenant: tenant(),
        metadata: contracts::common::v1::EventMetadata {
            actor: "test".to_owned(),
            ..Default::default()
        },
        now: datetime!(2026-01-02 03:04:05 UTC),
        idempotency: None,
        validate_only: false,
    }
}

/// A request with an id.
pub(crate) fn request_id(id: &str, content: u8) -> Request {
    Request {
        idempotency: Some(IdempotencyKey {
            request_id: id.to_owned(),
            fingerprint: [content; 32],
            retention: Some(std::time::Duration::from_secs(3600)),
        }),
        ..request()
    }
}

pub(crate) fn key_service() -> Arc<FileKeyService> {
    let file = std::env::temp_dir().join(format!("vefa-test-key-{}", Uuid::new_v4()));
    std::fs::write(&file, FileKeyService::generate().unwrap()).unwrap();
    let service = FileKeyService::open(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    Arc::new(service)
}

pub(crate) fn options(database: &TestDatabase) -> LogOptions {
    LogOptions {
        database_url: database.url().to_owned(),
        ..LogOptions::default()
    }
}

pub(crate) async fn open(database: &TestDatabase) -> EventLog {
    EventLog::open("accounts", &options(database), key_service())
        .await
        .unwrap()
}
