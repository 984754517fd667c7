//! Folded state of long streams, kept beside the log so that loading stays short.
//!
//! A snapshot is what folding gave, and never more than that: one that is missing, of another schema version, unreadable or of another history is
//! passed over, and the events answer. So the table can be emptied at any time. Nothing waits for a snapshot to be written, and
//! nothing fails because of it.
//!
//! The state is sealed as a whole with the key of the stream's subject, so that no field can be left out by mistake, and is gone with the key.

use std::sync::Mutex;

use sqlx::{PgPool, Row as _};
use tokio::{sync::mpsc, task::JoinSet};
use uuid::Uuid;

use crate::{
    EventLog,
    error::LogError,
    event::{StoredEvent, Stream},
    read::event_of_row,
    seal::SubjectCipher,
};

/// Snapshots that wait to be written; more are dropped, since the next load of a long stream makes them again.
const WAITING_MAX: usize = 64;

/// How an aggregate's state becomes bytes and comes back.
///
/// Neither function sees a key: the log seals the bytes when the stream has a subject.
#[derive(Debug)]
pub struct Snapshot<A> {
    /// Raised whenever the bytes come to mean something else, and whenever events are folded in another way: a snapshot of any other version is
    /// passed over.
    pub schema_version: i16,
    /// The bytes of a state.
    pub encode: fn(&A) -> Vec<u8>,
    /// The state that gave these bytes; none when there is no such state.
    pub decode: fn(&[u8]) -> Option<A>,
}

/// What is read of a stream whose state may have been kept.
pub(crate) struct Tail {
    /// The state, as it is stored, with the event that it was taken behind.
    pub(crate) kept: Option<(Vec<u8>, StoredEvent)>,
    /// The events behind it, or all.
    pub(crate) events: Vec<StoredEvent>,
}

/// A state that is to be kept.
pub(crate) struct Kept {
    stream: Stream,
    version: i64,
    /// Of the event at that version.
    event_id: Uuid,
    schema_version: i16,
    state: Vec<u8>,
}

impl Kept {
    /// Seals `state`, to which the events up to `last` have been folded. None when it cannot be sealed: the subject was erased.
    pub(crate) fn seal(
        stream: &Stream,
        last: &StoredEvent,
        schema_version: i16,
        state: Vec<u8>,
        cipher: &SubjectCipher,
    ) -> Option<Self> {
        let state = match stream.subject {
            Some(_) => cipher
                .seal_bytes(stream.id.0, &place(last.version), &state)
                .ok()?,
            None => state,
        };
        Some(Self {
            stream: stream.clone(),
            version: last.version,
            event_id: last.event_id,
            schema_version,
            state,
        })
    }
}

/// Opens what [`Kept::seal`] sealed. None when it was not sealed for this place, or when the subject was erased.
pub(crate) fn open(
    stream: &Stream,
    version: i64,
    state: Vec<u8>,
    cipher: &SubjectCipher,
) -> Option<Vec<u8>> {
    match stream.subject {
        Some(_) => cipher.open_bytes(stream.id.0, &place(version), &state),
        None => Some(state),
    }
}

/// What a sealed state is bound to beside its stream: no event has a field of this name.
fn place(version: i64) -> String {
    format!("snapshot at {version}")
}

/// Writes snapshots, one after the other, and nobody waits for it.
pub(crate) struct Snapshots {
    sender: Mutex<Option<mpsc::Sender<Kept>>>,
    task: Mutex<JoinSet<()>>,
}

impl Snapshots {
    pub(crate) fn start(pool: PgPool) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Kept>(WAITING_MAX);
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(kept) = receiver.recv().await {
                if let Err(error) = write(&pool, &kept).await {
                    let error = &error as &(dyn std::error::Error + 'static);
                    tracing::warn!(error, "a snapshot was not written");
                }
            }
        });
        Self {
            sender: Mutex::new(Some(sender)),
            task: Mutex::new(task),
        }
    }

    /// Has a state written, unless too many wait already.
    pub(crate) fn keep(&self, kept: Kept) {
        let sender = self.sender.lock().expect("no holder of the lock panics");
        if let Some(sender) = &*sender {
            // A full queue takes no more, and none is lost by it: the next load makes the snapshot again.
            drop(sender.try_send(kept));
        }
    }

    /// Takes no more and waits for those that were taken.
    pub(crate) async fn close(&self) {
        self.sender
            .lock()
            .expect("no holder of the lock panics")
            .take();
        let mut task =
            std::mem::take(&mut *self.task.lock().expect("no holder of the lock panics"));
        while task.join_next().await.is_some() {}
    }
}

/// Writes a snapshot over an older one. Whoever was faster with a newer one wins, and a version of the service that knows only older
/// formats does not take back what a newer one has written.
///
/// It is written only where the event stands that it was taken behind. So the snapshot of a history that a restore of the database
/// has undone is not written, though this process may still hold it; and one that is in the database goes back with it.
async fn write(pool: &PgPool, kept: &Kept) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query(
        "insert into snapshot (partition, tenant, stream_id, version, schema_version, state)
         select e.partition, e.tenant, e.stream_id, e.version, $6, $7 from event e
         where e.partition = $1 and e.tenant = $2 and e.stream_id = $3 and e.version = $4 and e.event_id = $5
         on conflict (partition, tenant, stream_id) do update
            set version = excluded.version, schema_version = excluded.schema_version, state = excluded.state
            where (excluded.schema_version, excluded.version) >= (snapshot.schema_version, snapshot.version)",
    )
    .bind(i16::from(kept.stream.partition.number()))
    .bind(kept.stream.tenant.as_str())
    .bind(kept.stream.id.0)
    .bind(kept.version)
    .bind(kept.event_id)
    .bind(kept.schema_version)
    .bind(&kept.state)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}

impl EventLog {
    /// What is kept of a stream in this schema version, and the events behind it, oldest first; all of them when nothing is kept. The
    /// event that a snapshot was taken behind must be there: what is ahead of its stream is passed over.
    pub(crate) async fn read_tail(
        &self,
        stream: &Stream,
        schema_version: i16,
    ) -> Result<Tail, LogError> {
        let rows = sqlx::query(
            "with kept as materialized (
                select s.version, s.state from snapshot s
                join event at on at.partition = s.partition and at.tenant = s.tenant and at.stream_id = s.stream_id
                    and at.version = s.version
                where s.partition = $1 and s.tenant = $2 and s.stream_id = $3 and s.schema_version = $4
             )
             select e.partition, e.position, e.tenant, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.payload,
                e.metadata, e.occurred_at, e.recorded_at, (select state from kept where kept.version = e.version)
             from event e
             where e.partition = $1 and e.tenant = $2 and e.stream_id = $3
                and e.version >= coalesce((select version from kept), 1)
             order by e.version",
        )
        .bind(i16::from(stream.partition.number()))
        .bind(stream.tenant.as_str())
        .bind(stream.id.0)
        .bind(schema_version)
        .fetch_all(self.pool())
        .await?;
        let mut events = rows.iter().map(event_of_row);
        let state: Option<Vec<u8>> = match rows.first() {
            Some(first) => first.try_get(12)?,
            None => None,
        };
        let kept = match state {
            Some(state) => events.next().transpose()?.map(|event| (state, event)),
            None => None,
        };
        Ok(Tail {
            kept,
            events: events.collect::<Result<_, sqlx::Error>>()?,
        })
    }
}
