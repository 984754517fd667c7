//! Personal fields in the log: sealed with the subject's key, gone with it.

use event_log::{EventLog, Stream};
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
