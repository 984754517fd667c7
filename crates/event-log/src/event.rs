//! Events as they are written and read, and the unit in which they are written.

use aggregate::{CustomerId, Partition, StreamId, TenantId};
use bytes::Bytes;
use contracts::common::v1::EventMetadata;
use prost::Message as _;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{command::IdempotencyKey, keys::NewSubjectKey};

/// Names a stream and whose personal data it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stream {
    /// Tenant.
    pub tenant: TenantId,
    /// Partition that the stream lives in.
    pub partition: Partition,
    /// Id.
    pub id: StreamId,
    /// The customer whose data key seals personal fields of the events; none for streams that hold nothing personal.
    pub subject: Option<CustomerId>,
}

impl Stream {
    /// The stream of a customer itself.
    #[must_use]
    pub fn of_customer(tenant: &TenantId, customer: CustomerId) -> Self {
        Self::about_customer(tenant, customer, customer.into())
    }

    /// A stream of something that belongs to a customer: it lives in the customer's partition.
    #[must_use]
    pub fn about_customer(tenant: &TenantId, customer: CustomerId, id: StreamId) -> Self {
        Self {
            tenant: tenant.clone(),
            partition: Partition::of_customer(tenant, customer),
            id,
            subject: Some(customer),
        }
    }

    /// A stream of something that belongs to no customer: it lives in the partition of its own id.
    #[must_use]
    pub fn of_own(tenant: &TenantId, id: StreamId) -> Self {
        Self {
            tenant: tenant.clone(),
            partition: Partition::of_key(tenant, id.0.as_bytes()),
            id,
            subject: None,
        }
    }

    /// The same stream, without personal data.
    #[must_use]
    pub fn without_subject(mut self) -> Self {
        self.subject = None;
        self
    }
}

/// An event that is in a log: this service's own or another's.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Tenant.
    pub tenant: TenantId,
    /// Partition.
    pub partition: Partition,
    /// Gapless position in the partition, from 1.
    pub position: i64,
    /// Stream.
    pub stream_id: StreamId,
    /// Gapless version in the stream, from 1.
    pub version: i64,
    /// Id of the event.
    pub event_id: Uuid,
    /// Full name of the protobuf message in `payload`.
    pub type_: String,
    /// Schema version of the payload.
    pub schema_version: i16,
    /// The encoded message.
    pub payload: Bytes,
    /// The encoded [`EventMetadata`].
    pub metadata: Bytes,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
    /// When the log took it.
    pub recorded_at: OffsetDateTime,
}

impl StoredEvent {
    /// The decoded metadata.
    ///
    /// # Errors
    /// When the bytes are not an `EventMetadata`.
    pub fn metadata(&self) -> Result<EventMetadata, prost::DecodeError> {
        EventMetadata::decode(self.metadata.clone())
    }
}

/// An event that is to be appended.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Id of the event.
    pub event_id: Uuid,
    /// Full name of the protobuf message in `payload`.
    pub type_: &'static str,
    /// Schema version of the payload.
    pub schema_version: i16,
    /// The encoded message.
    pub payload: Bytes,
    /// The encoded [`EventMetadata`].
    pub metadata: Bytes,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
}

/// Events for one stream, at the version at which they were decided.
#[derive(Clone, Debug)]
pub struct Append {
    /// Stream.
    pub stream: Stream,
    /// Version that the stream must have; 0 for a stream that must not exist.
    pub expected_version: i64,
    /// Events; never empty.
    pub events: Vec<NewEvent>,
    /// A data key made for the subject, stored in the same step.
    pub new_key: Option<NewSubjectKey>,
    /// Whether the subject's data key is destroyed in the same step.
    pub erases: bool,
}

/// What one command does to the log: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Write {
    /// The record by which a repeat is recognised, with the tenant it belongs to and the response to repeat.
    pub idempotency: Option<(TenantId, IdempotencyKey, Vec<u8>)>,
    /// Appends to different streams.
    pub appends: Vec<Append>,
}

/// Where a write came to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// For each append, the partition and the position of its last event.
    pub last_positions: Vec<(Partition, i64)>,
    /// When the log took it.
    pub recorded_at: OffsetDateTime,
}
