//! Group append: commands that arrive while a commit is in flight share the next transaction.
//!
//! Each writer task owns a range of partitions and appends what its mailbox holds in one statement. A command's conflict never
//! fails its neighbours, and a caller that goes away changes nothing: the task owns the write.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use aggregate::{PARTITIONS, Partition};
use sqlx::PgPool;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};

use crate::{
    LogOptions,
    append::{Appended, append},
    error::{LogError, is_serialization_failure},
    event::{Write, Written},
};

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

pub(crate) struct Writers {
    mailboxes: Mutex<Vec<mpsc::Sender<Job>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Writers {
    pub(crate) fn start(pool: &PgPool, options: &LogOptions, appended: &Arc<Notify>) -> Self {
        let mut tasks = JoinSet::new();
        let mailboxes = (0..options.writers.max(1))
            .map(|_| {
                let (sender, receiver) = mpsc::channel(options.mailbox_commands_max);
                let writer = Writer {
                    pool: pool.clone(),
                    receiver,
                    waiting: VecDeque::new(),
                    batch_commands_max: options.batch_commands_max,
                    appended: Arc::clone(appended),
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
        let (reply, outcome) = oneshot::channel();
        let mailbox = self.mailbox(&write)?;
        mailbox
            .try_send(Job { write, reply })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => LogError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => LogError::Closed,
            })?;
        outcome.await.map_err(|_| LogError::OutcomeUnknown {
            reason: "the writer stopped".to_owned(),
        })?
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

fn home(write: &Write) -> Option<Partition> {
    let appended = write.appends.first().map(|append| append.stream.partition);
    appended.or_else(|| {
        let (tenant, key, _) = write.idempotency.as_ref()?;
        Some(key.partition(tenant))
    })
}

struct Writer {
    pool: PgPool,
    receiver: mpsc::Receiver<Job>,
    waiting: VecDeque<Job>,
    batch_commands_max: usize,
    appended: Arc<Notify>,
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
            self.appended.notify_waiters();
        }
    }

    /// Takes waiting writes in order, leaving for later those that touch what an earlier one of the batch touches: one statement
    /// cannot see its own effects.
    fn next_batch(&mut self) -> Vec<Job> {
        let mut touched = HashSet::new();
        let mut batch = Vec::new();
        let mut later = VecDeque::new();
        while let Some(job) = self.waiting.pop_front() {
            let keys = touched_by(&job.write);
            if batch.len() < self.batch_commands_max
                && keys.iter().all(|key| !touched.contains(key))
            {
                touched.extend(keys);
                batch.push(job);
            } else {
                // Whatever comes behind it for the same stream has to stay behind it.
                touched.extend(keys);
                later.push_back(job);
            }
        }
        self.waiting = later;
        batch
    }

    async fn write(&self, mut batch: Vec<Job>) {
        let mut attempt = 1;
        while !batch.is_empty() {
            let writes: Vec<&Write> = batch.iter().map(|job| &job.write).collect();
            match self.transaction(&writes).await {
                Ok(Appended::All(written)) => {
                    for (job, written) in batch.into_iter().zip(written) {
                        answer(job.reply, Ok(WriteOutcome::Written(written)));
                    }
                    return;
                }
                Ok(Appended::Conflicts(conflicts)) => {
                    for index in conflicts.into_iter().rev() {
                        answer(batch.remove(index).reply, Ok(WriteOutcome::Conflict));
                    }
                }
                Err(Failed::Before(error))
                    if is_serialization_failure(&error) && attempt < ATTEMPTS_MAX =>
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

    async fn transaction(&self, writes: &[&Write]) -> Result<Appended, Failed> {
        let mut transaction = self.pool.begin().await.map_err(Failed::Before)?;
        match append(&mut transaction, writes)
            .await
            .map_err(Failed::Before)?
        {
            Appended::All(written) => {
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

#[derive(Clone, PartialEq, Eq, Hash)]
enum Touched {
    Stream(crate::event::Stream),
    Request(aggregate::TenantId, String),
    Key(aggregate::TenantId, uuid::Uuid),
}

fn touched_by(write: &Write) -> Vec<Touched> {
    let mut touched = Vec::with_capacity(write.appends.len() + 2);
    for append in &write.appends {
        touched.push(Touched::Stream(append.stream.clone()));
        if let Some(key) = &append.new_key {
            touched.push(Touched::Key(key.tenant.clone(), key.subject));
        }
    }
    if let Some((tenant, key, _)) = &write.idempotency {
        touched.push(Touched::Request(tenant.clone(), key.request_id.clone()));
    }
    touched
}
