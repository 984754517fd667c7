//! From a gRPC request to a command on the log and back: who asks, how a repeat is recognised, and what each failure is called.

use std::time::Duration;

use aggregate::TenantId;
use contracts::common::v1::EventMetadata;
use event_log::{
    CommandError, ConsistencyToken, EventLog, IdempotencyKey, LogError, Projection, Request,
    WaitError,
};
use prost::Name;
use time::OffsetDateTime;
use tokio::time::Instant;
use tonic::Status;
use uuid::Uuid;

use crate::{auth::Principal, clock, deadline::Deadline, status};

/// Longest request id.
const REQUEST_ID_CHARS_MAX: usize = 128;
/// When a caller may try again what failed for lack of a part of the system.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long a request without a deadline waits for a read model.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Namespace of ids that are derived from what a client sent.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d2c_6f8e_51f5_4be0_9a54_76d4_7a1e_3c10);

/// Who asks, and when.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Tenant whose data is meant.
    pub tenant: TenantId,
    /// Who acts.
    pub actor: String,
    /// For whom the actor acts; empty when for itself.
    pub on_behalf_of: String,
    /// The moment of the request.
    pub now: OffsetDateTime,
    deadline: Instant,
    correlation_id: String,
}

impl Caller {
    /// The caller of a request, who must have `scope`.
    ///
    /// # Errors
    /// UNAUTHENTICATED or PERMISSION_DENIED.
    pub fn of<T>(request: &tonic::Request<T>, scope: &str) -> Result<Self, Status> {
        let principal = Principal::of(request)?;
        principal.require(scope)?;
        let correlation_id = request
            .metadata()
            .get("x-correlation-id")
            .and_then(|value| value.to_str().ok())
            .filter(|value| !value.is_empty() && value.len() <= REQUEST_ID_CHARS_MAX)
            .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let deadline =
            Deadline::of(request).map_or_else(|| Instant::now() + WAIT_MAX, Deadline::instant);
        Ok(Self {
            tenant: principal.tenant.clone(),
            actor: principal.actor.clone(),
            on_behalf_of: principal.on_behalf_of.clone(),
            now: clock::now(),
            deadline,
            correlation_id,
        })
    }

    /// A command with the client's request id: the same id with the same `message` is answered as the first time, for as long as
    /// `retention`. Without an id a repeat is a new command.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when the request id is too long or has control characters; UNAVAILABLE or INTERNAL when the log fails.
    pub async fn command(
        &self,
        log: &EventLog,
        retention: Duration,
        request_id: &str,
        message: &impl Name,
    ) -> Result<Request, Status> {
        if request_id.is_empty() {
            return Ok(self.request(None));
        }
        if request_id.chars().count() > REQUEST_ID_CHARS_MAX {
            let reason = format!("has at most {REQUEST_ID_CHARS_MAX} characters");
            return Err(status::invalid_field("request_id", reason));
        }
        if request_id.chars().any(char::is_control) {
            return Err(status::invalid_field(
                "request_id",
                "has no control characters",
            ));
        }
        // A client's ids and natural keys must never meet.
        let key = format!("request/{request_id}");
        self.idempotent(log, key, Some(retention), message).await
    }

    /// A command whose repeat is recognised for ever by the key that another system has for what it reports.
    ///
    /// # Errors
    /// UNAVAILABLE or INTERNAL when the log fails.
    pub async fn natural(
        &self,
        log: &EventLog,
        key: String,
        message: &impl Name,
    ) -> Result<Request, Status> {
        self.idempotent(log, key, None, message).await
    }

    async fn idempotent(
        &self,
        log: &EventLog,
        request_id: String,
        retention: Option<Duration>,
        message: &impl Name,
    ) -> Result<Request, Status> {
        let content = message.encode_to_vec();
        let purpose = format!("fingerprint/{}", full_name(message));
        let fingerprint = log
            .keys()
            .digest(&self.tenant, &purpose, &content)
            .await
            .map_err(|error| failed(error.into()))?;
        Ok(self.request(Some(IdempotencyKey {
            request_id,
            fingerprint,
            retention,
        })))
    }

    /// A command that the caller's request causes and that may be repeated freely.
    #[must_use]
    pub fn request(&self, idempotency: Option<IdempotencyKey>) -> Request {
        Request {
            tenant: self.tenant.clone(),
            metadata: EventMetadata {
                actor: self.actor.clone(),
                correlation_id: self.correlation_id.clone(),
                causation_id: String::new(),
                traceparent: telemetry::current_traceparent().unwrap_or_default(),
                on_behalf_of: self.on_behalf_of.clone(),
            },
            now: self.now,
            idempotency,
            validate_only: false,
        }
    }

    /// An id for what a command creates: always the same for the same text and purpose within the tenant, a fresh one when the
    /// text is empty.
    #[must_use]
    pub fn derive_id(&self, text: &str, purpose: &str) -> Uuid {
        if text.is_empty() {
            return Uuid::now_v7();
        }
        let name = [self.tenant.as_str(), purpose, text].join("\0");
        Uuid::new_v5(&NAMESPACE, name.as_bytes())
    }

    /// Waits until the projection, which follows the log `source`, shows what the tokens of that log stand for.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when the text holds something else, FAILED_PRECONDITION when the log was restored to an earlier point
    /// meanwhile, DEADLINE_EXCEEDED when the read model does not come that far in time.
    pub async fn wait(
        &self,
        log: &EventLog,
        projection: &impl Projection,
        source: &str,
        tokens: &str,
    ) -> Result<(), Status> {
        let tokens = ConsistencyToken::parse_all(tokens)
            .map_err(|error| status::invalid_field("consistency_token", error.to_string()))?;
        log.wait_for(projection, source, &tokens, self.deadline)
            .await
            .map_err(|error| match error {
                WaitError::TimedOut { .. } => {
                    status::deadline_exceeded("READ_MODEL_BEHIND", &error.to_string())
                }
                WaitError::OtherEpoch { .. } => status::failed_precondition(
                    "OTHER_EPOCH",
                    "consistency_token",
                    &error.to_string(),
                ),
                WaitError::Failed(error) => failed(error),
            })
    }
}

/// Fingerprints are kept, so the name in them must be the contract's, not a path in our code.
fn full_name<M: Name>(_: &M) -> String {
    M::full_name()
}

/// What a command's failure is called. `rejected` names the domain's own refusals.
pub fn refused<R>(error: CommandError<R>, rejected: impl FnOnce(R) -> Status) -> Status {
    match error {
        CommandError::Rejected(rejection) => rejected(rejection),
        CommandError::IdempotencyMismatch => status::already_exists(
            "request",
            "request_id",
            "REQUEST_ID_REUSED_WITH_OTHER_CONTENT",
        ),
        CommandError::Contended => {
            Status::aborted("others keep changing the same thing; try again")
        }
        CommandError::Failed(error) => failed(error),
    }
}

/// What a failure of the log is called.
#[must_use]
pub fn failed(error: LogError) -> Status {
    if error.is_unavailable() {
        tracing::warn!(error = status::chain(&error), "the log is not available");
        status::unavailable(
            "LOG_UNAVAILABLE",
            "the service cannot reach its log just now",
            RETRY_DELAY,
        )
    } else {
        status::internal(&error)
    }
}

/// What a failure of a read model's database is called.
#[must_use]
pub fn database(error: sqlx::Error) -> Status {
    failed(error.into())
}
