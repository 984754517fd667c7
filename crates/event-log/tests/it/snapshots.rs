//! Folded state that is kept beside the log: it shortens a load and never changes what is loaded.

use std::{sync::Arc, time::Duration};

use event_log::{EventLog, FileKeyService, Loaded, LogOptions, Request, Stream, verify};
use testing::{TestDatabase, eventually};
use time::{OffsetDateTime, macros::datetime};

use crate::account::{Account, Command, customer, key_service, options, plain, request, tenant};

/// Behind everything that a test records: such a read folds the whole stream.
const FAR: OffsetDateTime = datetime!(2999-01-01 00:00 UTC);
const OWNER: &str = "Ayşe Yılmaz";

#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Kept {
    version: i64,
    schema_version: i16,
    state: Vec<u8>,
}

struct Ground {
    database: TestDatabase,
    keys: Arc<FileKeyService>,
    log: EventLog,
}

impl Ground {
    async fn new(label: &str, snapshot_tail_events_min: usize) -> Self {
        let database = TestDatabase::create(label).await.unwrap();
        let keys = key_service();
        let options = LogOptions {
            snapshot_tail_events_min,
            ..options(&database)
        };
        let log = EventLog::open("accounts", &options, keys.clone())
            .await
            .unwrap();
        Self {
            database,
            keys,
            log,
        }
    }

    /// The log as another process has it.
    async fn again(&self) -> EventLog {
        let options = LogOptions {
            snapshot_tail_events_min: 1,
            ..options(&self.database)
        };
        EventLog::open("accounts", &options, self.keys.clone())
            .await
            .unwrap()
    }

    /// An account to which these amounts were added; with an owner, if it is sealed.
    async fn account(&self, stream: &Stream, amounts: impl IntoIterator<Item = i64>) {
        let first = match stream.subject {
            Some(_) => Command::Open(OWNER),
            None => Command::Open(""),
        };
        let amounts = amounts.into_iter().map(Command::Add);
        for command in [first].into_iter().chain(amounts) {
            self.add(stream, command).await;
        }
    }

    async fn add(&self, stream: &Stream, command: Command) {
        self.log
            .execute::<Account, ()>(&request(), stream, &command, |_| ())
            .await
            .unwrap();
    }

    async fn load(&self, stream: &Stream) -> Loaded<Account> {
        self.log.load(stream).await.unwrap()
    }

    /// A load gives what folding every event gives: state, version and position.
    async fn assert_same(&self, stream: &Stream) {
        let whole = self.log.load_as_of::<Account>(stream, Some(FAR)).await;
        let (whole, loaded) = (whole.unwrap(), self.load(stream).await);
        assert_eq!(
            (loaded.state, loaded.version, loaded.position),
            (whole.state, whole.version, whole.position)
        );
    }

    async fn kept(&self, stream: &Stream) -> Option<Kept> {
        self.kept_in(self.log.pool(), stream).await
    }

    async fn kept_in(&self, pool: &sqlx::PgPool, stream: &Stream) -> Option<Kept> {
        sqlx::query_as("select version, schema_version, state from snapshot where stream_id = $1")
            .bind(stream.id.0)
            .fetch_optional(pool)
            .await
            .unwrap()
    }

    async fn wait_kept(&self, stream: &Stream, version: i64) -> Kept {
        eventually(Duration::from_secs(10), "the snapshot", || async {
            self.kept(stream)
                .await
                .filter(|kept| kept.version == version)
        })
        .await
    }

    /// What is kept when everything that was to be written is.
    async fn kept_at_the_end(self, stream: &Stream) -> Option<Kept> {
        self.log.close().await;
        let other = self.again().await;
        let kept = self.kept_in(other.pool(), stream).await;
        other.close().await;
        self.database.drop().await.unwrap();
        kept
    }

    /// Changes what is kept of a stream.
    async fn change(&self, stream: &Stream, set: &str) {
        let statement = format!("update snapshot set {set} where stream_id = $1");
        let mut transaction = self.log.pool().begin().await.unwrap();
        let changed = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(stream.id.0)
            .execute(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(changed.rows_affected(), 1, "{set}");
        transaction.commit().await.unwrap();
    }

    async fn run(&self, statement: &'static str) {
        let mut transaction = self.log.pool().begin().await.unwrap();
        sqlx::raw_sql(statement)
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    /// What the doctor says of the log.
    async fn findings(&self) -> Vec<String> {
        let mut transaction = self.log.pool().begin().await.unwrap();
        let checks = verify(&mut transaction, Duration::from_secs(3600)).await;
        transaction.rollback().await.unwrap();
        let checks = checks.unwrap();
        let findings = checks.iter().flat_map(|check| {
            let findings = check.findings.iter();
            findings.map(move |finding| format!("{}: {finding}", check.claim))
        });
        findings.collect()
    }

    async fn drop(self) {
        self.log.close().await;
        self.database.drop().await.unwrap();
    }
}

/// The account of customer `n`, whose owner's name is sealed.
fn sealed(n: u128) -> Stream {
    Stream::of_customer(&tenant(), customer(100 + n))
}

#[tokio::test]
async fn at_every_cut_a_snapshot_and_its_tail_are_the_whole_fold() {
    let ground = Ground::new("snapshot-cuts", 1).await;
    for cut in 1..=8 {
        let id = u128::try_from(cut).unwrap();
        for stream in [sealed(id), plain(id)] {
            ground.account(&stream, 1..cut).await;
            ground.load(&stream).await;
            ground.wait_kept(&stream, cut).await;
            for amount in 0..3 {
                ground.assert_same(&stream).await;
                ground.add(&stream, Command::Add(10 + amount)).await;
            }
            ground.assert_same(&stream).await;
            ground.run("delete from snapshot").await;
            ground.assert_same(&stream).await;
            ground.run("delete from snapshot").await;
        }
    }
    ground.drop().await;
}

#[tokio::test]
async fn a_load_that_folded_few_events_keeps_nothing() {
    let ground = Ground::new("snapshot-few", 4).await;
    let stream = plain(1);
    ground.account(&stream, [1, 2]).await;
    ground.load(&stream).await;
    ground.add(&stream, Command::Add(3)).await;
    ground.load(&stream).await;
    ground.wait_kept(&stream, 4).await;
    for _ in 0..3 {
        ground.add(&stream, Command::Add(1)).await;
        ground.load(&stream).await;
    }
    let kept = ground.kept_at_the_end(&stream).await;
    assert_eq!(kept.map(|kept| kept.version), Some(4));
}

#[tokio::test]
async fn a_snapshot_of_another_schema_version_is_passed_over() {
    let ground = Ground::new("snapshot-schema", 1).await;
    let stream = plain(1);
    ground.account(&stream, [1, 2]).await;
    ground.load(&stream).await;
    let kept = ground.wait_kept(&stream, 3).await;
    assert_eq!(kept.schema_version, 2);
    // That a load begins with what is kept is seen by a state that no events make.
    ground
        .change(&stream, "state = set_byte(state, 7, 103)")
        .await;
    assert_eq!(ground.load(&stream).await.state.balance, 103);
    ground.change(&stream, "schema_version = 1").await;
    assert_eq!(ground.load(&stream).await.state.balance, 3);
    let renewed = eventually(Duration::from_secs(10), "a present one", || async {
        ground
            .kept(&stream)
            .await
            .filter(|kept| kept.schema_version == 2)
    })
    .await;
    assert_eq!(renewed, kept);
    // A newer version of the service, which runs beside this one, would have to write it again.
    ground
        .change(
            &stream,
            "schema_version = 3, state = set_byte(state, 7, 104)",
        )
        .await;
    ground.add(&stream, Command::Add(4)).await;
    assert_eq!(ground.load(&stream).await.state.balance, 7);
    let newer = ground.kept_at_the_end(&stream).await.unwrap();
    assert_eq!((newer.version, newer.schema_version), (3, 3));
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_passed_over_and_replaced() {
    let ground = Ground::new("snapshot-unreadable", 1).await;
    for (stream, damage) in [
        (plain(1), r"state = '\x00'"),
        (plain(2), "state = ''"),
        (sealed(3), r"state = '\x00'"),
        (sealed(4), "state = ''"),
        (
            sealed(5),
            "state = set_byte(state, 40, get_byte(state, 40) # 1)",
        ),
        // Of this stream, but of another version.
        (sealed(6), "version = version - 1"),
    ] {
        ground.account(&stream, [1, 2]).await;
        ground.load(&stream).await;
        ground.wait_kept(&stream, 3).await;
        ground.change(&stream, damage).await;
        let damaged = ground.kept(&stream).await;
        ground.assert_same(&stream).await;
        eventually(Duration::from_secs(10), "a readable one", || async {
            let kept = ground.kept(&stream).await;
            (kept != damaged && kept.is_some_and(|kept| kept.version == 3)).then_some(())
        })
        .await;
        ground.add(&stream, Command::Add(4)).await;
        ground.assert_same(&stream).await;
    }
    ground.drop().await;
}

#[tokio::test]
async fn a_moment_before_the_snapshot_is_read_from_the_events() {
    let ground = Ground::new("snapshot-as-of", 1).await;
    let stream = plain(1);
    let day = |day: u8| datetime!(2026-03-01 00:00 UTC).replace_day(day).unwrap();
    // The third was recorded last and happened first.
    for (amount, at) in [(1, 2), (2, 3), (4, 1)] {
        let request = Request {
            now: day(at),
            ..request()
        };
        ground
            .log
            .execute::<Account, ()>(&request, &stream, &Command::Add(amount), |_| ())
            .await
            .unwrap();
    }
    ground.load(&stream).await;
    ground.wait_kept(&stream, 3).await;
    for (at, balance) in [(1, 4), (2, 5), (3, 7)] {
        let then = ground.log.load_as_of::<Account>(&stream, Some(day(at)));
        assert_eq!(then.await.unwrap().state.balance, balance, "on day {at}");
    }
    ground.drop().await;
}

#[tokio::test]
async fn a_snapshot_shows_nothing_personal_and_goes_with_the_key() {
    let ground = Ground::new("snapshot-sealed", 1).await;
    let stream = sealed(1);
    ground.account(&stream, [1, 2]).await;
    assert_eq!(
        ground.load(&stream).await.state.owner.as_deref(),
        Some(OWNER)
    );
    let kept = ground.wait_kept(&stream, 3).await;
    for hidden in ["Ay", "lmaz"] {
        let mut windows = kept.state.windows(hidden.len());
        assert!(
            !windows.any(|window| window == hidden.as_bytes()),
            "{hidden}"
        );
    }
    ground
        .run("update subject_key set wrapped_key = null, destroyed_at = now()")
        .await;
    // Another process, which has no key in memory.
    let other = ground.again().await;
    let erased = other.load::<Account>(&stream).await.unwrap().state;
    assert_eq!((erased.balance, erased.owner), (3, None));
    ground.run("delete from snapshot").await;
    assert_eq!(other.load::<Account>(&stream).await.unwrap().version, 3);
    other.close().await;
    assert_eq!(
        ground.kept(&stream).await,
        None,
        "nothing seals it any more"
    );
    ground.drop().await;
}

#[tokio::test]
async fn the_snapshot_of_a_history_that_was_undone_is_not_written() {
    let ground = Ground::new("snapshot-undone", 1).await;
    let stream = plain(1);
    ground.account(&stream, [1, 2]).await;
    let mut restoring = ground.log.pool().begin().await.unwrap();
    sqlx::raw_sql("lock table snapshot in exclusive mode")
        .execute(&mut *restoring)
        .await
        .unwrap();
    ground.load(&stream).await;
    eventually(
        Duration::from_secs(10),
        "it is about to be written",
        || async {
            let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_locks where relation = 'snapshot'::regclass and not granted",
        )
        .fetch_one(ground.log.pool())
        .await
        .unwrap();
            (waiting == 1).then_some(())
        },
    )
    .await;
    sqlx::raw_sql("update event set event_id = gen_random_uuid() where version = 3")
        .execute(&mut *restoring)
        .await
        .unwrap();
    restoring.commit().await.unwrap();
    assert_eq!(ground.kept_at_the_end(&stream).await, None);
}

#[tokio::test]
async fn a_snapshot_ahead_of_its_stream_is_passed_over_and_found() {
    let ground = Ground::new("snapshot-ahead", 1).await;
    let stream = plain(1);
    ground.account(&stream, [1, 2]).await;
    ground.load(&stream).await;
    ground.wait_kept(&stream, 3).await;
    assert_eq!(ground.findings().await, [""; 0]);
    ground.change(&stream, "version = 99").await;
    let found = ground.findings().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("no snapshot is ahead of its stream: "));
    // Nobody is misled by it meanwhile.
    ground.assert_same(&stream).await;
    ground.add(&stream, Command::Add(4)).await;
    assert_eq!(ground.load(&stream).await.state.balance, 7);
    ground.drop().await;
}
