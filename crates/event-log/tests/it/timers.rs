//! Timers: at most one firing for each key, whatever stops, whoever takes himself for the owner, whatever the clock does.

use std::{
    collections::BTreeMap,
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
const LIMIT: Duration = Duration::from_secs(20);

/// A clock that is set by hand, in seconds since 1970.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

/// Appends an event for each timer and notes it in a row. Neither would keep a second firing from showing.
#[derive(Clone, Default)]
struct Ledger {
    /// Stop for ever between the handler and the commit, and tell that it came there.
    stops: Arc<AtomicBool>,
    stopped: Arc<Notify>,
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
async fn append(
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
        }],
        ..Write::default()
    };
    append_in(connection, &[write])
        .await?
        .map(drop)
        .ok_or(ProjectionError::Overtaken)
}

fn stream_of(key: &TimerKey) -> Stream {
    let id = StreamId(Uuid::new_v5(&Uuid::NAMESPACE_OID, key.key.as_bytes()));
    Stream {
        tenant: tenant(),
        partition: key.partition,
        id,
        subject: None,
    }
}

fn key(name: &str) -> TimerKey {
    TimerKey {
        partition: Partition::of_key(&tenant(), name.as_bytes()),
        tenant: tenant(),
        key: name.to_owned(),
    }
}

fn timer(name: &str, due_at: i64) -> Timer {
    Timer {
        key: key(name),
        due_at: at(due_at),
        command: Vec::new(),
    }
}

fn options() -> TimerOptions {
    TimerOptions {
        batch_timers_max: 16,
        poll_interval: Duration::from_millis(5),
        lease: Duration::from_millis(300),
        retry_delay: Duration::from_millis(10),
    }
}

/// A process that fires timers.
struct Owner {
    task: JoinSet<()>,
    shutdown: CancellationToken,
}

impl Owner {
    async fn stop(mut self) {
        self.shutdown.cancel();
        self.task.join_next().await.unwrap().unwrap();
    }

    /// As by kill -9: it gives up no lease, and its transaction ends with its connection.
    async fn kill(mut self) {
        self.task.shutdown().await;
    }
}

struct Ground {
    _database: TestDatabase,
    log: EventLog,
    clock: Clock,
}

impl Ground {
    async fn new(label: &str) -> Self {
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

    fn run(&self, handler: &Ledger, options: TimerOptions) -> Owner {
        let clock = self.clock.clone();
        let now = move || at(clock.0.load(Ordering::SeqCst));
        let timers = Timers::new(self.log.clone(), handler.clone(), now, options);
        let shutdown = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(timers.run(shutdown.clone()));
        Owner { task, shutdown }
    }

    async fn schedule(&self, timers: &[Timer]) {
        let mut transaction = self.log.pool().begin().await.unwrap();
        schedule_in(&mut transaction, timers).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn cancel(&self, name: &str) -> u64 {
        let mut transaction = self.log.pool().begin().await.unwrap();
        let gone = cancel_in(&mut transaction, &[key(name)]).await.unwrap();
        transaction.commit().await.unwrap();
        gone
    }

    /// Keys in the order of their firing.
    async fn fired(&self) -> Vec<String> {
        sqlx::query_scalar("select key from fired order by place")
            .fetch_all(self.log.pool())
            .await
            .unwrap()
    }

    async fn left(&self) -> i64 {
        sqlx::query_scalar("select count(*) from timer")
            .fetch_one(self.log.pool())
            .await
            .unwrap()
    }

    async fn all_gone(&self) {
        eventually(LIMIT, "no timer is left", async || {
            (self.left().await == 0).then_some(())
        })
        .await;
    }

    /// How many events the streams of the timers have.
    async fn events(&self) -> i64 {
        sqlx::query_scalar("select count(*) from event")
            .fetch_one(self.log.pool())
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn fires_what_is_due_in_order_and_leaves_the_rest() {
    let ground = Ground::new("timers_order").await;
    ground
        .schedule(&[
            timer("c", 30),
            timer("a", 10),
            timer("b", 20),
            timer("late", 1000),
        ])
        .await;
    ground.clock.set(500);
    let owner = ground.run(&Ledger::default(), options());
    eventually(LIMIT, "one is left", async || {
        (ground.left().await == 1).then_some(())
    })
    .await;
    assert_eq!(ground.fired().await, ["a", "b", "c"]);
    assert_eq!(ground.events().await, 3);
    owner.stop().await;
}

#[tokio::test]
async fn a_timer_goes_with_the_transaction_that_sets_or_cancels_it() {
    let ground = Ground::new("timers_transaction").await;
    let mut transaction = ground.log.pool().begin().await.unwrap();
    schedule_in(&mut transaction, &[timer("never", 1)])
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    ground
        .schedule(&[timer("cancelled", 1), timer("moved", 1)])
        .await;
    ground.schedule(&[timer("moved", 100)]).await;
    assert_eq!(ground.cancel("cancelled").await, 1);
    assert_eq!(ground.cancel("cancelled").await, 0);
    let mut transaction = ground.log.pool().begin().await.unwrap();
    cancel_in(&mut transaction, &[key("moved")]).await.unwrap();
    transaction.rollback().await.unwrap();
    ground.schedule(&[timer("last", 50)]).await;
    ground.clock.set(50);
    let owner = ground.run(&Ledger::default(), options());
    eventually(LIMIT, "the last has fired", async || {
        (ground.fired().await == ["last"]).then_some(())
    })
    .await;
    ground.clock.set(100);
    ground.all_gone().await;
    assert_eq!(ground.fired().await, ["last", "moved"]);
    owner.stop().await;
}

#[tokio::test]
async fn an_owner_that_is_gone_between_handler_and_commit_has_fired_nothing() {
    let ground = Ground::new("timers_killed").await;
    ground.schedule(&[timer("once", 1)]).await;
    ground.clock.set(1);
    let ledger = Ledger::default();
    ledger.stops.store(true, Ordering::SeqCst);
    let owner = ground.run(&ledger, options());
    ledger.stopped.notified().await;
    assert_eq!(
        ground.events().await,
        0,
        "nothing is visible before the commit"
    );
    owner.kill().await;
    // The next owner has to wait for the leases to run out.
    let owner = ground.run(&ledger, options());
    ground.all_gone().await;
    assert_eq!(ground.fired().await, ["once"]);
    assert_eq!(ground.events().await, 1);
    owner.stop().await;
}

#[tokio::test]
async fn two_owners_fire_each_timer_once() {
    let ground = Ground::new("timers_owners").await;
    let timers: Vec<Timer> = (0..400).map(|n| timer(&n.to_string(), n)).collect();
    ground.schedule(&timers).await;
    ground.clock.set(1000);
    // Leases that run out while they are used, so that both hold the same partitions in turn.
    let options = TimerOptions {
        lease: Duration::from_millis(2),
        ..options()
    };
    let owners: Vec<_> = (0..2)
        .map(|_| ground.run(&Ledger::default(), options))
        .collect();
    ground.all_gone().await;
    for owner in owners {
        owner.stop().await;
    }
    let mut times = BTreeMap::new();
    for name in ground.fired().await {
        *times.entry(name).or_insert(0) += 1;
    }
    assert_eq!(times.len(), 400);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
    assert_eq!(ground.events().await, 400);
}

#[tokio::test]
async fn a_clock_that_jumps_fires_all_it_passes_and_nothing_again() {
    let ground = Ground::new("timers_clock").await;
    ground
        .schedule(&[timer("a", 10), timer("b", 20), timer("c", 3000)])
        .await;
    ground.clock.set(10);
    let owner = ground.run(&Ledger::default(), options());
    eventually(LIMIT, "a has fired", async || {
        (ground.fired().await == ["a"]).then_some(())
    })
    .await;
    // Back: what has fired stays so, and what is set for then fires.
    ground.clock.set(5);
    ground.schedule(&[timer("early", 4)]).await;
    eventually(LIMIT, "it fires", async || {
        (ground.fired().await == ["a", "early"]).then_some(())
    })
    .await;
    // Far ahead: all of it, earliest first.
    ground.clock.set(1_000_000);
    ground.all_gone().await;
    assert_eq!(ground.fired().await, ["a", "early", "b", "c"]);
    owner.stop().await;
}

#[tokio::test]
async fn one_that_cannot_be_fired_holds_up_no_other() {
    let ground = Ground::new("timers_failing").await;
    let failing = Timer {
        command: b"fail".to_vec(),
        ..timer("failing", 0)
    };
    let mut timers: Vec<Timer> = (1..40).map(|n| timer(&n.to_string(), n)).collect();
    timers.push(failing.clone());
    ground.schedule(&timers).await;
    ground.clock.set(100);
    let owner = ground.run(&Ledger::default(), options());
    eventually(LIMIT, "only it is left", async || {
        (ground.left().await == 1).then_some(())
    })
    .await;
    assert_eq!(ground.fired().await.len(), 39);
    // It comes again; once it can be fired, it is.
    ground.schedule(&[timer("failing", 0)]).await;
    ground.all_gone().await;
    assert_eq!(ground.fired().await.len(), 40);
    owner.stop().await;
}
