//! Timers by a clock that is set by hand, and a handler that notes each firing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use aggregate::{Partition, StreamId};
use event_log::{
    Append, EventLog, NewEvent, ProjectionError, Stream, Timer, TimerHandler, TimerKey,
    TimerOptions, Timers, Write, append_in, cancel_in, schedule_in,
};
use sqlx::PgConnection;
use testing::{TestDatabase, eventually};
use time::OffsetDateTime;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::account::{open, tenant};

/// How long anything here may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A clock that is set by hand, in seconds since 1970.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

/// Appends an event for each timer and notes it in a row. Neither would keep a second firing from showing.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    /// Stop for ever between the handler and the commit, and tell that it came there.
    pub(crate) stops: Arc<AtomicBool>,
    pub(crate) stopped: Arc<Notify>,
}

impl TimerHandler for Ledger {
    async fn fire(
        &self,
        connection: &mut PgConnection,
        timers: &[Timer],
        now: OffsetDateTime,
    ) -> Result<(), ProjectionError> {
        for timer in timers {
            if timer.command == b"fail" {
                return Err(ProjectionError::Database(sqlx::Error::RowNotFound));
            }
            sqlx::query("insert into fired (key, due_at, fired_at) values ($1, $2, $3)")
                .bind(&timer.key.key)
                .bind(timer.due_at)
                .bind(now)
                .execute(&mut *connection)
                .await?;
            append(&mut *connection, timer, now).await?;
        }
        if self.stops.swap(false, Ordering::SeqCst) {
            self.stopped.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// Appends to the stream of the timer, at whatever version it is.
pub(crate) async fn append(
    connection: &mut PgConnection,
    timer: &Timer,
    now: OffsetDateTime,
) -> Result<(), ProjectionError> {
    let stream = stream_of(&timer.key);
    let version: Option<i64> = sqlx::query_scalar(
        "select max(version) from event where partition = $1 and tenant = $2 and stream_id = $3",
    )
    .bind(i16::from(stream.partition.number()))
    .bind(stream.tenant.as_str())
    .bind(stream.id.0)
    .fetch_one(&mut *connection)
    .await?;
    let event = NewEvent {
        event_id: Uuid::new_v4(),
        type_: "added",
        schema_version: 1,
        payload: 1_i64.to_be_bytes().to_vec().into(),
        metadata: bytes::Bytes::new(),
        occurred_at: now,
    };
    let write = Write {
        appends: vec![Append {
            stream,
            expected_version: version.unwrap_or(0),
            events: vec![event],
            new_key: None,
            erases: false,
        }],
        ..Write::default()
    };
    append_in(connection, &[write])
        .await?
        .map(drop)
        .ok_or(ProjectionError::Overtaken)
}

pub(crate) fn stream_of(key: &TimerKey) -> Stream {
    let id = StreamId(Uuid::new_v5(&Uuid::NAMESPACE_OID, key.key.as_bytes()));
    Stream {
        tenant: tenant(),
        partition: key.partition,
        id,
        subject: None,
    }
}

pub(crate) fn key(name: &str) -> TimerKey {
    TimerKey {
        partition: Partition::of_key(&tenant(), name.as_bytes()),
        tenant: tenant(),
        key: name.to_owned(),
    }
}

pub(crate) fn timer(name: &str, due_at: i64) -> Timer {
    Timer {
        key: key(name),
        due_at: at(due_at),
        command: Vec::new(),
    }
}

pub(crate) fn options() -> TimerOptions {
    TimerOptions {
        batch_timers_max: 16,
        poll_interval: Duration::from_millis(5),
        lease: Duration::from_millis(300),
        retry_delay: Duration::from_millis(10),
    }
}

/// A process that fires timers.
pub(crate) struct Owner {
    task: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Owner {
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        self.task.join_next().await.unwrap().unwrap();
    }

    /// As by kill -9: it gives up no lease, and its transaction ends with its connection.
    pub(crate) async fn kill(mut self) {
        self.task.shutdown().await;
    }
}

pub(crate) struct Ground {
    _database: TestDatabase,
    pub(crate) log: EventLog,
    pub(crate) clock: Clock,
}

impl Ground {
    pub(crate) async fn new(label: &str) -> Self {
        let database = TestDatabase::create(label).await.unwrap();
        let log = open(&database).await;
        sqlx::query(
            "create table fired (key text not null, due_at timestamptz not null, fired_at timestamptz not null,
                place bigint generated always as identity)",
        )
        .execute(log.pool())
        .await
        .unwrap();
        Self {
            _database: database,
            log,
            clock: Clock::default(),
        }
    }

    pub(crate) fn run(&self, handler: &Ledger, options: TimerOptions) -> Owner {
        let clock = self.clock.clone();
        let now = move || at(clock.0.load(Ordering::SeqCst));
        let timers = Timers::new(self.log.clone(), handler.clone(), now, options);
        let shutdown = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(timers.run(shutdown.clone()));
        Owner { task, shutdown }
    }

    pub(crate) async fn schedule(&self, timers: &[Timer]) {
        let mut transaction = self.log.pool().begin().await.unwrap();
        schedule_in(&mut transaction, timers).await.unwrap();
        transaction.commit().await.unwrap();
    }

    pub(crate) async fn cancel(&self, name: &str) -> u64 {
        let mut transaction = self.log.pool().begin().await.unwrap();
        let gone = cancel_in(&mut transaction, &[key(name)]).await.unwrap();
        transaction.commit().await.unwrap();
        gone
    }

    /// Keys in the order of their firing.
    pub(crate) async fn fired(&self) -> Vec<String> {
        sqlx::query_scalar("select key from fired order by place")
            .fetch_all(self.log.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn left(&self) -> i64 {
        sqlx::query_scalar("select count(*) from timer")
            .fetch_one(self.log.pool())
            .await
            .unwrap()
    }

    pub(crate) async fn all_gone(&self) {
        eventually(LIMIT, "no timer is left", async || {
            (self.left().await == 0).then_some(())
        })
        .await;
    }

    /// How many events the streams of the timers have.
    pub(crate) async fn events(&self) -> i64 {
        sqlx::query_scalar("select count(*) from event")
            .fetch_one(self.log.pool())
            .await
            .unwrap()
    }
}
