//! An aggregate as its stream makes it, from a snapshot or from the beginning, and what is decided on it.

use aggregate::{CustomerId, TenantId};
use bytes::Bytes;
use prost::Message as _;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{CommandError, Request};
use crate::{
    EventLog,
    codec::{DecodeError, Stored},
    error::LogError,
    event::{Append, NewEvent, StoredEvent, Stream},
    keys::NewSubjectKey,
    seal::{Seal, SubjectCipher},
    snapshot::{self, Kept, Snapshot, Tail},
};

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
        let erases = encoded.iter().any(|event| Some(event.type_) == A::ERASURE);
        Ok(Append {
            stream: self.stream.clone(),
            expected_version,
            events: encoded,
            new_key: self.new_key.take(),
            erases,
        })
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
            return self.fold_whole(stream, |_| true).await;
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

    /// Loads and folds what had happened in a stream by a moment (inclusive), or all when there is none. What had happened by a moment is folded
    /// from the first event: what is recorded late may have happened early, so that what a snapshot holds need not have happened by then.
    ///
    /// # Errors
    /// As for [`EventLog::load`].
    pub async fn load_as_of<A: Stored>(
        &self,
        stream: &Stream,
        as_of: Option<OffsetDateTime>,
    ) -> Result<Loaded<A>, LogError> {
        match as_of {
            None => self.load(stream).await,
            Some(as_of) => {
                self.fold_whole(stream, |event| event.occurred_at <= as_of)
                    .await
            }
        }
    }

    /// Folds the events that count, from the first.
    async fn fold_whole<A: Stored>(
        &self,
        stream: &Stream,
        counts: impl Fn(&StoredEvent) -> bool,
    ) -> Result<Loaded<A>, LogError> {
        let events = self.read_stream(stream).await?;
        let mut loaded = self.fresh::<A>(stream).await?;
        for event in events.iter().filter(|event| counts(event)) {
            loaded.fold(event)?;
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
}
