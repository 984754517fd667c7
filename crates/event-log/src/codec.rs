//! How an aggregate's events become bytes and come back.

use aggregate::Aggregate;
use time::OffsetDateTime;

use crate::{
    event::StoredEvent,
    seal::{Seal, SealError, SubjectCipher},
    snapshot::Snapshot,
};

/// An event as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Full name of the protobuf message.
    pub type_: &'static str,
    /// Schema version of the message.
    pub schema_version: i16,
    /// The encoded message.
    pub payload: Vec<u8>,
}

impl Encoded {
    /// Encodes a message at schema version 1.
    pub fn v1<M: prost::Message + prost::Name>(type_: &'static str, message: &M) -> Self {
        debug_assert_eq!(M::full_name(), type_);
        Self {
            type_,
            schema_version: 1,
            payload: message.encode_to_vec(),
        }
    }
}

/// An aggregate whose events can be stored.
pub trait Stored: Aggregate {
    /// How the folded state is kept, for streams that grow so long that folding them takes its time; none for those that stay short.
    const SNAPSHOT: Option<Snapshot<Self>> = None;
    /// Type of the event with which the data key of the stream's subject is destroyed; none where there is no such event.
    const ERASURE: Option<&'static str> = None;

    /// Encodes an event, sealing its personal fields.
    ///
    /// # Errors
    /// When the subject's key was destroyed.
    fn encode(event: &Self::Event, seal: &Seal<'_>) -> Result<Encoded, SealError>;

    /// Decodes an event of any schema version that was ever stored, bringing it to the present shape. Personal fields whose key
    /// was destroyed come back as missing.
    ///
    /// # Errors
    /// When the type or schema version is not known, or the bytes are not such a message.
    fn decode(event: &StoredEvent, cipher: &SubjectCipher) -> Result<Self::Event, DecodeError>;

    /// When the event happened, where that is not the moment of its recording.
    fn occurred_at(event: &Self::Event) -> Option<OffsetDateTime> {
        let _ = event;
        None
    }
}

/// A stored event that this version cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer version, or by something else.
    #[error("event type {type_} version {schema_version} is not known")]
    UnknownType {
        /// Type of the event.
        type_: String,
        /// Schema version of the event.
        schema_version: i16,
    },
    /// The bytes are not such a message.
    #[error("the payload of {type_} is not valid protobuf")]
    Malformed {
        /// Type of the event.
        type_: String,
        /// What protobuf says.
        #[source]
        source: prost::DecodeError,
    },
    /// A field has a value that the type never had.
    #[error("{type_}: field {field} is not valid")]
    InvalidField {
        /// Type of the event.
        type_: String,
        /// The field.
        field: &'static str,
    },
    /// A sealed field was not sealed for this place.
    #[error("a sealed field cannot be opened")]
    Seal(#[from] SealError),
}

impl DecodeError {
    /// For the last arm of a match over event types.
    #[must_use]
    pub fn unknown(event: &StoredEvent) -> Self {
        Self::UnknownType {
            type_: event.type_.clone(),
            schema_version: event.schema_version,
        }
    }

    /// For a field whose value the type never had.
    #[must_use]
    pub fn invalid(event: &StoredEvent, field: &'static str) -> Self {
        Self::InvalidField {
            type_: event.type_.clone(),
            field,
        }
    }
}

impl StoredEvent {
    /// Decodes the payload as the message `M`.
    ///
    /// # Errors
    /// When the bytes are not such a message.
    pub fn message<M: prost::Message + Default>(&self) -> Result<M, DecodeError> {
        M::decode(self.payload.clone()).map_err(|source| DecodeError::Malformed {
            type_: self.type_.clone(),
            source,
        })
    }
}
