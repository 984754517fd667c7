//! Group append: commands that arrive while a commit is in flight share the next transaction.
//!
//! Each writer task owns a range of partitions and appends what its mailbox holds in one statement. A command's conflict never
//! fails its neighbours, and a caller that goes away changes nothing: the task owns the write.

mod connection;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use aggregate::{PARTITIONS, Partition};
use sqlx::Connection as _;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use xxhash_rust::xxh3::Xxh3;

use crate::{
    LogOptions,
    append::{Appended, OnConflict, append, is_conflict, was_overtaken},
    erasure::{erase, erased_by},
    error::{LogError, is_serialization_failure},
    event::{Write, Written},
    metrics::LogMetrics,
    recent::Recent,
};
use connection::WriterConnection;

/// How often a transaction is tried again that PostgreSQL gave up for its own reasons.
const ATTEMPTS_MAX: u32 = 5;

/// How a write fared.
#[derive(Debug)]
pub(crate) enum WriteOutcome {
    Written(Written),
    /// A stream, a request id or a key is not as the write expected. Nothing was written.
    Conflict,
}

type Reply = oneshot::Sender<Result<WriteOutcome, LogError>>;

struct Job {
    write: Write,
    reply: Reply,
}

/// What all writers of a log have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) appended: Arc<Notify>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) metrics: LogMetrics,
}

pub(crate) struct Writers {
    mailboxes: Mutex<Vec<mpsc::Sender<Job>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Writers {
    pub(crate) fn start(
        connect: &sqlx::postgres::PgConnectOptions,
        options: &LogOptions,
        shared: &Shared,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let mailboxes = (0..options.writers.max(1))
            .map(|_| {
                let (sender, receiver) = mpsc::channel(options.mailbox_commands_max);
                let writer = Writer {
                    connection: WriterConnection::new(
                        connect,
                        options.acquire_timeout,
                        Arc::clone(&shared.recent),
                    ),
                    receiver,
                    waiting: VecDeque::new(),
                    met_conflict: false,
                    batch_commands_max: options.batch_commands_max,
                    shared: shared.clone(),
                };
                tasks.spawn(writer.run());
                sender
            })
            .collect();
        Self {
            mailboxes: Mutex::new(mailboxes),
            tasks: Mutex::new(tasks),
        }
    }

    pub(crate) async fn write(&self, write: Write) -> Result<WriteOutcome, LogError> {
        self.submit(write)?.outcome().await
    }

    /// Hands a write over. Writes to one stream take effect in the order in which they were handed over.
    pub(crate) fn submit(&self, write: Write) -> Result<Submitted, LogError> {
        let (reply, outcome) = oneshot::channel();
        let mailbox = self.mailbox(&write)?;
        mailbox
            .try_send(Job { write, reply })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => LogError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => LogError::Closed,
            })?;
        Ok(Submitted(outcome))
    }

    fn mailbox(&self, write: &Write) -> Result<mpsc::Sender<Job>, LogError> {
        let mailboxes = self.mailboxes.lock().expect("no holder of the lock panics");
        let partition = home(write).map_or(0, Partition::number);
        let index = usize::from(partition) * mailboxes.len() / usize::from(PARTITIONS);
        mailboxes.get(index).cloned().ok_or(LogError::Closed)
    }

    /// Takes no more writes and waits for those that were taken.
    pub(crate) async fn close(&self) {
        self.mailboxes
            .lock()
            .expect("no holder of the lock panics")
            .clear();
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().expect("no holder of the lock panics"));
        while tasks.join_next().await.is_some() {}
    }
}

/// A write that a writer has taken.
pub(crate) struct Submitted(oneshot::Receiver<Result<WriteOutcome, LogError>>);

impl Submitted {
    pub(crate) async fn outcome(self) -> Result<WriteOutcome, LogError> {
        self.0.await.map_err(|_| LogError::OutcomeUnknown {
            reason: "the writer stopped".to_owned(),
        })?
    }
}

fn home(write: &Write) -> Option<Partition> {
    let appended = write.appends.first().map(|append| append.stream.partition);
    appended.or_else(|| {
        let (tenant, key, _) = write.idempotency.as_ref()?;
        Some(key.partition(tenant))
    })
}

struct Writer {
    connection: WriterConnection,
    receiver: mpsc::Receiver<Job>,
    waiting: VecDeque<Job>,
    batch_commands_max: usize,
    shared: Shared,
    /// Whether the last batch did: then the next one, too, is asked to tell which of its writes do.
    met_conflict: bool,
}

impl Writer {
    async fn run(mut self) {
        loop {
            if self.waiting.is_empty() {
                match self.receiver.recv().await {
                    Some(job) => self.waiting.push_back(job),
                    None => return,
                }
            }
            while self.waiting.len() < self.batch_commands_max {
                match self.receiver.try_recv() {
                    Ok(job) => self.waiting.push_back(job),
                    Err(_) => break,
                }
            }
            let batch = self.next_batch();
            self.write(batch).await;
            self.shared.appended.notify_waiters();
        }
    }

    /// Takes waiting writes in order. One that touches what an earlier one of the batch touches is left for later, since one statement
    /// cannot see its own effects; but one that was decided on the effect of the one before it goes along with that.
    fn next_batch(&mut self) -> Vec<Job> {
        let mut touched = HashSet::new();
        let mut versions = HashMap::new();
        let mut batch = Vec::new();
        let mut later = VecDeque::new();
        while let Some(job) = self.waiting.pop_front() {
            let keys = unique_keys(&job.write);
            let streams = streams(&job.write);
            let fits = batch.len() < self.batch_commands_max
                && keys.iter().all(|key| !touched.contains(key))
                && streams.iter().all(|(stream, expected, _)| {
                    versions
                        .get(stream)
                        .is_none_or(|version| *version == Some(*expected))
                });
            touched.extend(keys);
            for (stream, _, version) in streams {
                // Whatever comes behind one that waits has to wait, too.
                versions.insert(stream, fits.then_some(version));
            }
            if fits {
                batch.push(job);
            } else {
                later.push_back(job);
            }
        }
        self.waiting = later;
        batch
    }

    async fn write(&mut self, mut batch: Vec<Job>) {
        let mut attempt = 1;
        while !batch.is_empty() {
            let writes: Vec<&Write> = batch.iter().map(|job| &job.write).collect();
            match self.transaction(&writes).await {
                Ok(Appended::All(written)) => {
                    fail::fail_point!("writer-after-commit", |_| std::process::abort());
                    let now = Instant::now();
                    self.shared.metrics.appended(batch.len());
                    for (job, written) in batch.into_iter().zip(written) {
                        self.shared.recent.note(&job.write, &written, now);
                        answer(job.reply, Ok(WriteOutcome::Written(written)));
                    }
                    return;
                }
                Ok(Appended::Conflicts(conflicts)) => {
                    // What was decided on the effect of one of them is in conflict the next time round.
                    debug_assert!(!conflicts.is_empty(), "a conflict of nothing");
                    self.shared.metrics.in_conflict(conflicts.len());
                    for index in conflicts.into_iter().rev() {
                        answer(batch.remove(index).reply, Ok(WriteOutcome::Conflict));
                    }
                }
                Err(Failed::Before(error))
                    if (is_serialization_failure(&error) || was_overtaken(&error))
                        && attempt < ATTEMPTS_MAX =>
                {
                    attempt += 1;
                }
                Err(failed) => {
                    for job in batch {
                        answer(job.reply, Err(failed.to_error()));
                    }
                    return;
                }
            }
        }
    }

    /// Appends all of `writes` or none. The statement is its own transaction, which saves two round trips, unless there were
    /// conflicts lately or somebody is to be erased.
    async fn transaction(&mut self, writes: &[&Write]) -> Result<Appended, Failed> {
        let erases = writes
            .iter()
            .flat_map(|write| &write.appends)
            .any(|append| append.erases);
        if !self.met_conflict && !erases {
            let connection = self.connection.get().await.map_err(Failed::Before)?;
            match append(connection, writes, OnConflict::Fail).await {
                Ok(appended) => return Ok(appended),
                Err(error) if is_conflict(&error) => self.met_conflict = true,
                // PostgreSQL's own refusal takes the statement back; anything else leaves open what became of it.
                Err(error @ sqlx::Error::Database(_)) => return Err(Failed::Before(error)),
                Err(error) => {
                    self.connection.discard();
                    return Err(Failed::Commit(error));
                }
            }
        }
        let told = self.transaction_that_tells(writes).await;
        match &told {
            Ok(Appended::All(_)) => self.met_conflict = false,
            Ok(Appended::Conflicts(_)) => {}
            Err(_) => self.connection.discard(),
        }
        told
    }

    async fn transaction_that_tells(&mut self, writes: &[&Write]) -> Result<Appended, Failed> {
        let connection = self.connection.get().await.map_err(Failed::Before)?;
        let mut transaction = connection.begin().await.map_err(Failed::Before)?;
        match append(&mut transaction, writes, OnConflict::Tell)
            .await
            .map_err(Failed::Before)?
        {
            Appended::All(written) => {
                let erased = erased_by(writes.iter().flat_map(|write| &write.appends));
                erase(&mut transaction, &erased)
                    .await
                    .map_err(Failed::Before)?;
                fail::fail_point!("writer-before-commit", |_| std::process::abort());
                transaction.commit().await.map_err(Failed::Commit)?;
                Ok(Appended::All(written))
            }
            conflicts @ Appended::Conflicts(_) => {
                transaction.rollback().await.map_err(Failed::Before)?;
                Ok(conflicts)
            }
        }
    }
}

/// A client that went away does not wait for its answer.
fn answer(reply: Reply, outcome: Result<WriteOutcome, LogError>) {
    drop(reply.send(outcome));
}

enum Failed {
    /// Nothing was written.
    Before(sqlx::Error),
    /// The commit was sent and not answered: it may have taken place.
    Commit(sqlx::Error),
}

impl Failed {
    fn to_error(&self) -> LogError {
        match self {
            Self::Before(sqlx::Error::PoolTimedOut) => LogError::Overloaded,
            Self::Before(error) => LogError::WriteFailed {
                reason: error.to_string(),
                unavailable: crate::error::is_unavailable(error),
            },
            Self::Commit(error) => LogError::OutcomeUnknown {
                reason: error.to_string(),
            },
        }
    }
}

/// Request ids and subjects' keys that a write stores, as digests: a chance equality only makes a write wait for the next batch.
fn unique_keys(write: &Write) -> Vec<u128> {
    let keys = write
        .appends
        .iter()
        .filter_map(|append| append.new_key.as_ref())
        .map(|key| digest(b"key", key.tenant.as_str(), key.subject.as_bytes()));
    let request = write
        .idempotency
        .iter()
        .map(|(tenant, key, _)| digest(b"request", tenant.as_str(), key.request_id.as_bytes()));
    keys.chain(request).collect()
}

/// Streams that a write appends to, as digests, with the versions before and after.
fn streams(write: &Write) -> Vec<(u128, i64, i64)> {
    write
        .appends
        .iter()
        .map(|append| {
            let stream = &append.stream;
            let digest = digest(b"stream", stream.tenant.as_str(), stream.id.0.as_bytes());
            let events = i64::try_from(append.events.len()).unwrap_or(i64::MAX);
            let before = append.expected_version;
            (digest, before, before + events)
        })
        .collect()
}

fn digest(kind: &[u8], tenant: &str, id: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    for part in [kind, &[0], tenant.as_bytes(), &[0], id] {
        hasher.update(part);
    }
    hasher.digest128()
}
