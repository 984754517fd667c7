//! Personal fields in the log: sealed with the subject's key, gone with it.

use std::sync::Arc;

use event_log::{EventLog, FileKeyService, KeyError, Rewrapped, Stream, rewrap_keys};
use testing::TestDatabase;

use crate::{
    account::{Account, Command, customer, key_service, open, options, request, tenant},
    append::everything,
};

#[tokio::test]
async fn a_sealed_field_is_not_in_the_log_in_clear_and_comes_back() {
    let database = TestDatabase::create("sealed").await.unwrap();
    let keys = key_service();
    let log = EventLog::open("accounts", &options(&database), keys.clone())
        .await
        .unwrap();
    let stream = Stream::of_customer(&tenant(), customer(1));
    log.execute::<Account, ()>(&request(), &stream, &Command::Open("Ayşe Yılmaz"), |_| ())
        .await
        .unwrap();
    let payload = &everything(&log).await[0].payload;
    assert!(!payload.windows(4).any(|window| window == "Ayş".as_bytes()));
    // Another process, which has nothing in memory.
    let other = EventLog::open("accounts", &options(&database), keys)
        .await
        .unwrap();
    let account = other.load::<Account>(&stream).await.unwrap();
    assert_eq!(account.state.owner.as_deref(), Some("Ayşe Yılmaz"));
    database.drop().await.unwrap();
}

#[tokio::test]
async fn another_master_key_opens_nothing() {
    let database = TestDatabase::create("other_master").await.unwrap();
    let stream = Stream::of_customer(&tenant(), customer(1));
    let log = open(&database).await;
    log.execute::<Account, ()>(&request(), &stream, &Command::Open("Ayşe"), |_| ())
        .await
        .unwrap();
    let other = open(&database).await;
    assert!(other.load::<Account>(&stream).await.is_err());
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_destroyed_key_leaves_the_rest_of_the_event() {
    let database = TestDatabase::create("destroyed").await.unwrap();
    let keys = key_service();
    let log = EventLog::open("accounts", &options(&database), keys.clone())
        .await
        .unwrap();
    let stream = Stream::of_customer(&tenant(), customer(1));
    log.execute::<Account, ()>(&request(), &stream, &Command::Open("Ayşe"), |_| ())
        .await
        .unwrap();
    log.execute::<Account, ()>(&request(), &stream, &Command::Add(3), |_| ())
        .await
        .unwrap();
    sqlx::query("update subject_key set wrapped_key = null, destroyed_at = now()")
        .execute(log.pool())
        .await
        .unwrap();
    let other = EventLog::open("accounts", &options(&database), keys)
        .await
        .unwrap();
    let account = other.load::<Account>(&stream).await.unwrap();
    assert_eq!(
        account.state,
        Account {
            balance: 3,
            owner: None
        }
    );
    database.drop().await.unwrap();
}

#[tokio::test]
async fn digests_are_the_same_in_every_process_and_differ_by_tenant_and_purpose() {
    let database = TestDatabase::create("digest").await.unwrap();
    let keys = key_service();
    let first = EventLog::open("accounts", &options(&database), keys.clone())
        .await
        .unwrap();
    let second = EventLog::open("accounts", &options(&database), keys)
        .await
        .unwrap();
    let demo = tenant();
    let (a, b) = tokio::join!(
        first.keys().digest(&demo, "email", b"x"),
        second.keys().digest(&demo, "email", b"x"),
    );
    let a = a.unwrap();
    assert_eq!(a, b.unwrap());
    let other = aggregate::TenantId::parse("other").unwrap();
    assert_ne!(a, first.keys().digest(&other, "email", b"x").await.unwrap());
    assert_ne!(
        a,
        first.keys().digest(&tenant(), "phone", b"x").await.unwrap()
    );
    database.drop().await.unwrap();
}

/// Keys in a file that can be changed.
struct MasterKeys {
    directory: tempfile::TempDir,
    service: Arc<FileKeyService>,
}

impl MasterKeys {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        std::fs::write(&path, FileKeyService::generate().unwrap()).unwrap();
        let service = Arc::new(FileKeyService::open(&path).unwrap());
        Self { directory, service }
    }

    fn change(&self, change: impl FnOnce(&str) -> String) {
        let path = self.directory.path().join("master.key");
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        let text = change(&std::fs::read_to_string(&path).unwrap());
        std::fs::write(&path, text).unwrap();
        // Two writes can be closer than the file system's clock can tell.
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let later = before + std::time::Duration::from_secs(1);
        file.set_modified(later).unwrap();
    }
}

#[tokio::test]
async fn all_keys_come_under_a_new_master_key_and_the_old_one_can_go() {
    let database = TestDatabase::create("rewrapped").await.unwrap();
    let master = MasterKeys::new();
    let opened = async || {
        let keys = master.service.clone();
        EventLog::open("accounts", &options(&database), keys)
            .await
            .unwrap()
    };
    let log = opened().await;
    let stream = |n| Stream::of_customer(&tenant(), customer(n));
    let open = async |n, name| {
        let command = Command::Open(name);
        log.execute::<Account, ()>(&request(), &stream(n), &command, |_| ())
            .await
            .unwrap();
    };
    open(1, "Ayşe").await;
    open(2, "Fatma").await;
    open(3, "Zeynep").await;
    let before = log.keys().digest(&tenant(), "test", b"x").await.unwrap();
    // A destroyed key is none.
    sqlx::query(
        "update subject_key set wrapped_key = null, destroyed_at = now() where subject = $1",
    )
    .bind(customer(3).0)
    .execute(log.pool())
    .await
    .unwrap();
    master.change(|old| format!("{}\n{old}", FileKeyService::generate().unwrap()));
    open(4, "Elif").await;

    let pool = log.pool();
    let run = async |count_only| {
        rewrap_keys(pool, &*master.service, count_only)
            .await
            .unwrap()
    };
    let found = |outdated| Rewrapped { keys: 4, outdated };
    assert_eq!(run(true).await, found(3));
    assert_eq!(run(false).await, found(3));
    assert_eq!(run(true).await, found(0));
    master.change(|both| both.lines().next().unwrap().to_owned());
    // Another process, which has nothing in memory.
    let other = opened().await;
    for (n, name) in [
        (1, Some("Ayşe")),
        (2, Some("Fatma")),
        (3, None),
        (4, Some("Elif")),
    ] {
        let account = other.load::<Account>(&stream(n)).await.unwrap();
        assert_eq!(account.state.owner.as_deref(), name);
    }
    let after = other.keys().digest(&tenant(), "test", b"x").await.unwrap();
    assert_eq!(before, after);
    database.drop().await.unwrap();
}

#[tokio::test]
async fn a_key_that_was_wrapped_by_nobody_known_is_told_and_stays() {
    let database = TestDatabase::create("not_rewrapped").await.unwrap();
    let log = open(&database).await;
    let stream = Stream::of_customer(&tenant(), customer(1));
    log.execute::<Account, ()>(&request(), &stream, &Command::Open("Ayşe"), |_| ())
        .await
        .unwrap();
    let stored = "select wrapped_key from subject_key";
    let before: Vec<u8> = sqlx::query_scalar(stored)
        .fetch_one(log.pool())
        .await
        .unwrap();
    let other = MasterKeys::new();
    let refused = rewrap_keys(log.pool(), &*other.service, false).await;
    assert!(matches!(refused, Err(KeyError::Unwrap)), "{refused:?}");
    let after: Vec<u8> = sqlx::query_scalar(stored)
        .fetch_one(log.pool())
        .await
        .unwrap();
    assert_eq!(before, after);
    database.drop().await.unwrap();
}
