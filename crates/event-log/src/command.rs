//! Commands: load, decide, append at the version that was loaded; on conflict load and decide again.

use std::time::Duration;

use aggregate::{CustomerId, Partition, TenantId};
use bytes::Bytes;
use contracts::common::v1::EventMetadata;
use prost::Message as _;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    EventLog,
    codec::{DecodeError, Stored},
    error::LogError,
    event::{Append, NewEvent, StoredEvent, Stream, Write},
    keys::NewSubjectKey,
    seal::{Seal, SubjectCipher},
    snapshot::{self, Kept, Snapshot, Tail},
    states::Slot,
    token::ConsistencyToken,
    writer::WriteOutcome,
};

/// How often a command is decided anew because somebody else was faster.
const DECISIONS_MAX: u32 = 16;

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
}

/// Fingerprint and response of a command that has taken effect, and where its last event stands.
type StoredCommand = (Vec<u8>, Vec<u8>, Option<i16>, Option<i64>);

/// What a command leads to.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// Appends to different streams; none when nothing changes. The consistency token covers the first one's partition.
    pub appends: Vec<Append>,
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
            response: response.encode_to_vec(),
        }
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

/// An aggregate as it stands in its stream.
#[derive(Clone, Debug)]
pub struct Loaded<A> {
    /// Folded state; the default state when the stream does not exist.
    pub state: A,
    /// Version of the stream; 0 when it does not exist.
    pub version: i64,
    /// Position of the last event in the partition; 0 when the stream does not exist.
    pub position: i64,
    stream: Stream,
    cipher: SubjectCipher,
    new_key: Option<NewSubjectKey>,
}

impl<A: Stored> Loaded<A> {
    fn fold(&mut self, event: &StoredEvent) -> Result<(), DecodeError> {
        self.state.evolve(&A::decode(event, &self.cipher)?);
        self.version = event.version;
        self.position = event.position;
        Ok(())
    }

    /// Takes over the state that was kept behind `last`; false when it cannot be read.
    fn begin_at(&mut self, format: &Snapshot<A>, state: Vec<u8>, last: &StoredEvent) -> bool {
        // Of somebody who was erased it is gone with the key.
        if self.stream.subject.is_some() && self.cipher.is_destroyed() {
            return false;
        }
        let opened = snapshot::open(&self.stream, last.version, state, &self.cipher);
        let Some(state) = opened.and_then(|state| (format.decode)(&state)) else {
            tracing::warn!(
                aggregate = A::TYPE,
                stream_id = %self.stream.id,
                version = last.version,
                "a snapshot cannot be read; the stream is folded from its beginning"
            );
            return false;
        };
        self.state = state;
        self.version = last.version;
        self.position = last.position;
        true
    }

    /// The state as it is to be kept, with the event that it stands behind; none when it cannot be sealed.
    fn kept(&self, format: &Snapshot<A>, last: &StoredEvent) -> Option<Kept> {
        // What a key seals that is not stored opens for nobody.
        if self.new_key.is_some() {
            return None;
        }
        let state = (format.encode)(&self.state);
        Kept::seal(
            &self.stream,
            last,
            format.schema_version,
            state,
            &self.cipher,
        )
    }

    /// Decides `command` on this state, encodes the events that follow, and takes them over into the state.
    ///
    /// # Errors
    /// The domain's rejection, or a failure to seal because the subject was erased.
    pub fn decide(
        &mut self,
        command: &A::Command,
        request: &Request,
    ) -> Result<Append, CommandError<A::Rejection>> {
        let events = self.state.decide(command).map_err(CommandError::Rejected)?;
        Ok(self.append(&events, request)?)
    }

    /// Encodes events and takes them over into the state.
    ///
    /// # Errors
    /// When a personal field cannot be sealed because the subject was erased.
    pub fn append(&mut self, events: &[A::Event], request: &Request) -> Result<Append, LogError> {
        let metadata = Bytes::from(request.metadata.encode_to_vec());
        let expected_version = self.version;
        let mut encoded = Vec::with_capacity(events.len());
        for event in events {
            let event_id = Uuid::now_v7();
            let body = A::encode(event, &Seal::new(&self.cipher, event_id))?;
            encoded.push(NewEvent {
                event_id,
                type_: body.type_,
                schema_version: body.schema_version,
                payload: body.payload.into(),
                metadata: metadata.clone(),
                occurred_at: A::occurred_at(event).unwrap_or(request.now),
            });
            self.state.evolve(event);
            self.version += 1;
        }
        Ok(Append {
            stream: self.stream.clone(),
            expected_version,
            events: encoded,
            new_key: self.new_key.take(),
        })
    }
}

fn write_of(request: &Request, appends: Vec<Append>, response: Vec<u8>) -> Write {
    let key = request.idempotency.clone();
    Write {
        idempotency: key.map(|key| (request.tenant.clone(), key, response)),
        appends,
    }
}

impl EventLog {
    /// Loads and folds a stream. One that does not exist is the default state at version 0; if it is about a subject
    /// without a key, a key is made that is stored with the first event.
    ///
    /// # Errors
    /// When the database or the key service fails, or an event cannot be read.
    pub async fn load<A: Stored>(&self, stream: &Stream) -> Result<Loaded<A>, LogError> {
        let Some(format) = A::SNAPSHOT else {
            return self.load_as_of(stream, None).await;
        };
        // The events before the key: a key that is made because there is none must not meet events that another has sealed.
        let Tail { kept, mut events } = self.read_tail(stream, format.schema_version).await?;
        let mut loaded = self.fresh::<A>(stream).await?;
        if let Some((state, last)) = kept
            && !loaded.begin_at(&format, state, &last)
        {
            events = self.read_stream(stream).await?;
        }
        for event in &events {
            loaded.fold(event)?;
        }
        if events.len() >= self.inner.snapshot_tail_events_min
            && let Some(last) = events.last()
            && let Some(kept) = loaded.kept(&format, last)
        {
            self.inner.snapshots.keep(kept);
        }
        Ok(loaded)
    }

    /// Loads and folds what had happened in a stream by a moment (inclusive), or all when there is none. Always from the first event: what
    /// is recorded late may have happened early, so that what a snapshot holds need not have happened by then.
    ///
    /// # Errors
    /// As for [`EventLog::load`].
    pub async fn load_as_of<A: Stored>(
        &self,
        stream: &Stream,
        as_of: Option<OffsetDateTime>,
    ) -> Result<Loaded<A>, LogError> {
        let events = self.read_stream(stream).await?;
        let mut loaded = self.fresh::<A>(stream).await?;
        for event in &events {
            if as_of.is_none_or(|as_of| event.occurred_at <= as_of) {
                loaded.fold(event)?;
            }
        }
        Ok(loaded)
    }

    /// The beginning of a stream that is expected not to exist, without asking whether it does: an append to one that does
    /// is a conflict, and the command is then to be decided on what [`EventLog::load`] finds. Asks the database for the
    /// subject's key only, and nothing for a stream that has no subject.
    ///
    /// # Errors
    /// When the database or the key service fails.
    pub async fn fresh<A: Stored>(&self, stream: &Stream) -> Result<Loaded<A>, LogError> {
        let (cipher, new_key) = match stream.subject {
            Some(subject) => self.subject_cipher(&stream.tenant, subject).await?,
            None => (SubjectCipher::none(&stream.tenant), None),
        };
        Ok(Loaded {
            state: A::default(),
            version: 0,
            position: 0,
            stream: stream.clone(),
            cipher,
            new_key,
        })
    }

    /// The beginning of a stream whose subject, too, is expected to be new: a key is made without asking whether there is one. It
    /// asks the database for nothing; should there be a stream or a key, the append is a conflict.
    ///
    /// # Errors
    /// When the key service fails.
    pub async fn fresh_subject<A: Stored>(&self, stream: &Stream) -> Result<Loaded<A>, LogError> {
        let Some(subject) = stream.subject else {
            return self.fresh(stream).await;
        };
        let (new_key, cipher) = self.keys().new_key(&stream.tenant, subject).await?;
        Ok(Loaded {
            state: A::default(),
            version: 0,
            position: 0,
            stream: stream.clone(),
            cipher,
            new_key: Some(new_key),
        })
    }

    async fn subject_cipher(
        &self,
        tenant: &TenantId,
        subject: CustomerId,
    ) -> Result<(SubjectCipher, Option<NewSubjectKey>), LogError> {
        if let Some(cipher) = self.keys().cipher(tenant, subject).await? {
            return Ok((cipher, None));
        }
        let (new_key, cipher) = self.keys().new_key(tenant, subject).await?;
        Ok((cipher, Some(new_key)))
    }

    /// The events of one stream, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_stream(&self, stream: &Stream) -> Result<Vec<StoredEvent>, LogError> {
        let rows = sqlx::query(
            "select partition, position, tenant, stream_id, version, event_id, type, schema_version, payload, metadata,
                occurred_at, recorded_at
             from event where partition = $1 and tenant = $2 and stream_id = $3 order by version",
        )
        .bind(i16::from(stream.partition.number()))
        .bind(stream.tenant.as_str())
        .bind(stream.id.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows
            .iter()
            .map(crate::read::event_of_row)
            .collect::<Result<_, sqlx::Error>>()?)
    }

    /// Runs one command: `decide` loads and decides; what it returns is appended at the versions that it loaded. On conflict
    /// it is asked again. A repeat of a request that has taken effect gets the stored response and decides nothing.
    ///
    /// # Errors
    /// The domain's rejection, a request id that came with other content, contention, or a failure of the world.
    pub async fn transact<F, Fut, R>(
        &self,
        request: &Request,
        decide: F,
    ) -> Result<Committed, CommandError<R>>
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Result<Decision, CommandError<R>>>,
    {
        // Who met a conflict once takes turns with the others of this process that did.
        let mut turn = None;
        for _ in 0..DECISIONS_MAX {
            let decision = match decide().await {
                Ok(decision) => decision,
                Err(CommandError::Rejected(rejection)) => {
                    // The state may refuse because this very request has already changed it.
                    return match self.stored_response(request).await? {
                        Some(committed) => Ok(committed),
                        None => Err(CommandError::Rejected(rejection)),
                    };
                }
                Err(other) => return Err(other),
            };
            if decision.appends.is_empty() {
                if let Some(committed) = self.stored_response(request).await? {
                    return Ok(committed);
                }
                if request.idempotency.is_none() {
                    return Ok(self.committed(decision.response, []));
                }
            }
            let stream = decision.appends.first().map(|append| append.stream.clone());
            let write = write_of(request, decision.appends, decision.response.clone());
            match self.inner.writers.write(write).await? {
                WriteOutcome::Written(written) => {
                    return Ok(self.committed(decision.response, written.last_positions));
                }
                WriteOutcome::Conflict => {
                    if let Some(committed) = self.stored_response(request).await? {
                        return Ok(committed);
                    }
                    if let (None, Some(stream)) = (&turn, stream) {
                        let mut slot = self.inner.states.slot(&stream).lock_owned().await;
                        slot.forget();
                        turn = Some(slot);
                    }
                }
            }
        }
        Err(CommandError::Contended)
    }

    /// One command on one aggregate; `respond` makes the response from the state and version after it. Commands on one stream
    /// are decided one after the other, each on the effect of the one before it, and share commits all the same.
    ///
    /// # Errors
    /// As for [`EventLog::transact`].
    pub async fn execute<A, M>(
        &self,
        request: &Request,
        stream: &Stream,
        command: &A::Command,
        respond: impl Fn(&Loaded<A>) -> M,
    ) -> Result<Committed, CommandError<A::Rejection>>
    where
        A: Stored,
        M: prost::Message,
    {
        let slot = self.inner.states.slot(stream);
        for attempt in 0..DECISIONS_MAX {
            let mut held = slot.lock().await;
            let decided = self
                .decide_on::<A>(&mut held, request, stream, command)
                .await;
            let (loaded, append) = match decided {
                Ok(decided) => decided,
                Err(CommandError::Rejected(rejection)) => {
                    drop(held);
                    // The state may refuse because this very request has already changed it.
                    return match self.stored_response(request).await? {
                        Some(committed) => Ok(committed),
                        None => Err(CommandError::Rejected(rejection)),
                    };
                }
                Err(other) => return Err(other),
            };
            let Decision { appends, response } = Decision::new([append], &respond(&loaded));
            if appends.is_empty() {
                if let Some(committed) = self.stored_response(request).await? {
                    return Ok(committed);
                }
                if request.idempotency.is_none() {
                    return Ok(self.committed(response, []));
                }
            }
            let write = write_of(request, appends, response.clone());
            let submitted = self.inner.writers.submit(write)?;
            held.keep(loaded);
            // Others may go on from here before this is written; but whoever was caught up in another's conflict finishes alone.
            let mut alone = (attempt > 0).then_some(held);
            let outcome = submitted.outcome().await;
            if let Ok(WriteOutcome::Written(written)) = outcome {
                return Ok(self.committed(response, written.last_positions));
            }
            match &mut alone {
                Some(held) => held.forget(),
                None => slot.lock().await.forget(),
            }
            outcome?;
            if let Some(committed) = self.stored_response(request).await? {
                return Ok(committed);
            }
        }
        Err(CommandError::Contended)
    }

    /// Decides on what is remembered of the stream, if that leads to an append, and else on what is stored.
    async fn decide_on<A: Stored>(
        &self,
        remembered: &mut Slot,
        request: &Request,
        stream: &Stream,
        command: &A::Command,
    ) -> Result<(Loaded<A>, Append), CommandError<A::Rejection>> {
        if let Some(mut loaded) = remembered.take::<A>()
            && let Ok(append) = loaded.decide(command, request)
            && !append.events.is_empty()
        {
            return Ok((loaded, append));
        }
        let mut loaded = self.load::<A>(stream).await?;
        match loaded.decide(command, request) {
            Ok(append) => Ok((loaded, append)),
            Err(error) => {
                if matches!(error, CommandError::Rejected(_)) {
                    // A refusal has changed nothing: the next command may go on from here.
                    remembered.keep(loaded);
                }
                Err(error)
            }
        }
    }

    fn committed(
        &self,
        response: Vec<u8>,
        positions: impl IntoIterator<Item = (Partition, i64)>,
    ) -> Committed {
        let first = positions.into_iter().next();
        Committed {
            response,
            token: ConsistencyToken::new(self.name(), self.epoch(), first),
            replayed: false,
        }
    }

    async fn stored_response<R>(
        &self,
        request: &Request,
    ) -> Result<Option<Committed>, CommandError<R>> {
        let Some(key) = &request.idempotency else {
            return Ok(None);
        };
        let row: Option<StoredCommand> = sqlx::query_as(
            "select c.fingerprint, c.response, e.partition, e.position
             from command_log c
             left join event e on e.partition = c.stream_partition and e.tenant = c.tenant
                and e.stream_id = c.stream_id and e.version = c.stream_version
             where c.partition = $1 and c.tenant = $2 and c.request_id = $3
                and (c.expires_at is null or c.expires_at > now())",
        )
        .bind(i16::from(key.partition(&request.tenant).number()))
        .bind(request.tenant.as_str())
        .bind(&key.request_id)
        .fetch_optional(self.pool())
        .await
        .map_err(LogError::from)?;
        let Some((fingerprint, response, partition, position)) = row else {
            return Ok(None);
        };
        if fingerprint != key.fingerprint {
            return Err(CommandError::IdempotencyMismatch);
        }
        let at = partition
            .and_then(|partition| u32::try_from(partition).ok())
            .and_then(|partition| Partition::parse(partition).ok());
        let mut committed = self.committed(response, at.zip(position));
        committed.replayed = true;
        Ok(Some(committed))
    }
}
