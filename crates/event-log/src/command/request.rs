//! What a command comes with, and what comes of it.

use std::time::Duration;

use aggregate::{Partition, TenantId};
use contracts::common::v1::EventMetadata;
use time::OffsetDateTime;

use crate::{error::LogError, event::Append, token::ConsistencyToken};

/// By what a repeat of a command is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The client's request id, or the natural key of what another system reports. Unique within the tenant.
    pub request_id: String,
    /// Digest of the content: the same id with another fingerprint is refused.
    pub fingerprint: [u8; 32],
    /// How long it is kept; `None` for ever.
    pub retention: Option<Duration>,
}

impl IdempotencyKey {
    pub(crate) fn partition(&self, tenant: &TenantId) -> Partition {
        Partition::of_key(tenant, self.request_id.as_bytes())
    }
}

/// Who asks, when, and how a repeat is recognised.
#[derive(Clone, Debug)]
pub struct Request {
    /// Tenant of the principal.
    pub tenant: TenantId,
    /// Who asks and within what; goes into the metadata of every event. `causation_id` and the like are set here.
    pub metadata: EventMetadata,
    /// The moment of the request: the clock as an input.
    pub now: OffsetDateTime,
    /// Absent for commands that may be repeated freely.
    pub idempotency: Option<IdempotencyKey>,
    /// Decide and append nothing: the answer is what it would be, without a position in the token.
    pub validate_only: bool,
}

impl Request {
    /// The same, if `yes` as a mere question, which no repeat is recognised by.
    #[must_use]
    pub fn validating(mut self, yes: bool) -> Self {
        if yes {
            self.idempotency = None;
        }
        self.validate_only = yes;
        self
    }
}

/// What a command leads to.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Appends to different streams; none when nothing changes.
    pub appends: Vec<Append>,
    /// How many of them, from the first, the consistency token covers. A repeat's covers the first alone: it comes later.
    pub covered: usize,
    /// The encoded response, kept for a repeat. It must hold nothing personal.
    pub response: Vec<u8>,
}

impl Decision {
    /// These appends and this response.
    pub fn new(appends: impl IntoIterator<Item = Append>, response: &impl prost::Message) -> Self {
        Self {
            appends: appends
                .into_iter()
                .filter(|append| !append.events.is_empty())
                .collect(),
            covered: 1,
            response: response.encode_to_vec(),
        }
    }

    /// The same, with a consistency token that covers several appends: for what reads show of all of them.
    #[must_use]
    pub fn covering(self, covered: usize) -> Self {
        Self { covered, ..self }
    }
}

/// A command that has taken effect, now or when it was first sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The encoded response.
    pub response: Vec<u8>,
    /// Makes a read wait until it shows the effect. Empty positions when nothing changed.
    pub token: ConsistencyToken,
    /// True when this is the answer to an earlier request with the same id.
    pub replayed: bool,
}

/// Why a command did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<R> {
    /// The domain said no.
    #[error("the command was refused")]
    Rejected(R),
    /// The request id came before with other content.
    #[error("the request id was used for another request")]
    IdempotencyMismatch,
    /// Others changed the same streams again and again.
    #[error("the streams keep changing")]
    Contended,
    /// The world broke.
    #[error(transparent)]
    Failed(#[from] LogError),
}
