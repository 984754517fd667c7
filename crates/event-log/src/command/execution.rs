//! Running commands: what is decided is appended at the version that it was decided on; on conflict it is decided again.

use aggregate::Partition;

use super::{CommandError, Committed, Decision, Loaded, Request};
use crate::{
    EventLog,
    codec::Stored,
    erasure::{Subject, erased_by},
    error::LogError,
    event::{Append, Stream, Write},
    states::Slot,
    token::ConsistencyToken,
    writer::WriteOutcome,
};

/// How often a command is decided anew because somebody else was faster.
const DECISIONS_MAX: u32 = 16;

/// Fingerprint and response of a command that has taken effect, and where its last event stands.
type StoredCommand = (Vec<u8>, Vec<u8>, Option<i16>, Option<i64>);

fn write_of(request: &Request, appends: Vec<Append>, response: Vec<u8>) -> Write {
    let key = request.idempotency.clone();
    Write {
        idempotency: key.map(|key| (request.tenant.clone(), key, response)),
        appends,
    }
}

impl EventLog {
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
            if request.validate_only {
                return Ok(self.committed(decision.response, []));
            }
            if decision.appends.is_empty() {
                if let Some(committed) = self.stored_response(request).await? {
                    return Ok(committed);
                }
                if request.idempotency.is_none() {
                    return Ok(self.committed(decision.response, []));
                }
            }
            let stream = decision.appends.first().map(|append| append.stream.clone());
            let erased = erased_by(&decision.appends);
            let write = write_of(request, decision.appends, decision.response.clone());
            match self.inner.writers.write(write).await? {
                WriteOutcome::Written(written) => {
                    drop(turn);
                    self.forget(&erased).await;
                    let covered = written.last_positions.into_iter().take(decision.covered);
                    return Ok(self.committed(decision.response, covered));
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
            let Decision {
                appends, response, ..
            } = Decision::new([append], &respond(&loaded));
            if request.validate_only {
                // What was decided does not happen: the next command loads what does.
                return Ok(self.committed(response, []));
            }
            if appends.is_empty() {
                if let Some(committed) = self.stored_response(request).await? {
                    return Ok(committed);
                }
                if request.idempotency.is_none() {
                    return Ok(self.committed(response, []));
                }
            }
            let write = write_of(request, appends, response.clone());
            let erased = erased_by(&write.appends);
            let submitted = self.inner.writers.submit(write)?;
            held.keep(loaded);
            // Others may go on from here before this is written; but whoever was caught up in another's conflict finishes alone.
            let mut alone = (attempt > 0).then_some(held);
            let outcome = submitted.outcome().await;
            if let Ok(WriteOutcome::Written(written)) = outcome {
                drop(alone);
                self.forget(&erased).await;
                return Ok(self.committed(response, written.last_positions.into_iter().take(1)));
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

    /// Leaves nothing of those who were erased in the memory of this process.
    async fn forget(&self, erased: &[Subject]) {
        for subject in erased {
            self.keys().forget(&subject.tenant, subject.customer);
            let stream = Stream::of_customer(&subject.tenant, subject.customer);
            self.inner.states.slot(&stream).lock().await.forget();
        }
    }

    fn committed(
        &self,
        response: Vec<u8>,
        positions: impl IntoIterator<Item = (Partition, i64)>,
    ) -> Committed {
        Committed {
            response,
            token: ConsistencyToken::new(self.name(), self.epoch(), positions),
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
        self.metrics().replayed();
        Ok(Some(committed))
    }
}
