//! Private servers, killed and restarted: what they confirmed must be there again.

use std::time::Duration;

use anyhow::Context;
use async_nats::jetstream::{self, stream};
use sqlx::{Connection, PgConnection};
use testing::{
    NatsProgram, NatsServer, PostgresOptions, PostgresPrograms, PostgresServer, TestDatabase,
    TestServers, eventually,
};

const LIMIT: Duration = Duration::from_secs(20);

fn postgres() -> anyhow::Result<PostgresServer> {
    let programs = PostgresPrograms::find()?.context("run the tests with `cargo xtask test`")?;
    Ok(PostgresServer::start(PostgresOptions::for_tests(programs))?)
}

#[tokio::test]
async fn postgres_has_what_it_committed_after_kill_9() -> anyhow::Result<()> {
    let mut server = postgres()?;
    let first_process = server.process_id();
    let database = TestDatabase::create_on(&server.url("postgres"), "kill").await?;
    let mut before = PgConnection::connect(database.url()).await?;
    sqlx::query("create table kept (number int)")
        .execute(&mut before)
        .await?;
    sqlx::query("insert into kept values (42)")
        .execute(&mut before)
        .await?;

    server.kill()?;
    eventually(LIMIT, "the open connection to break", || async {
        PgConnection::connect(database.url()).await.err()
    })
    .await;
    server.restart()?;

    assert_ne!(server.process_id(), first_process);
    assert!(
        before.ping().await.is_err(),
        "the old connection cannot have survived"
    );
    let mut after = PgConnection::connect(database.url()).await?;
    let number: i32 = sqlx::query_scalar("select number from kept")
        .fetch_one(&mut after)
        .await?;
    assert_eq!(number, 42);
    Ok(())
}

#[tokio::test]
async fn postgres_asks_for_its_password() -> anyhow::Result<()> {
    let server = postgres()?;
    let url = server.url("postgres");
    PgConnection::connect(&url).await?.close().await?;
    let (scheme_and_user, host) = url.split_once('@').context("a user in the address")?;
    let user = scheme_and_user.rsplit_once(':').context("a password")?.0;
    let error = PgConnection::connect(&format!("{user}:guessed@{host}"))
        .await
        .expect_err("a wrong password must be refused");
    assert!(
        error.to_string().contains("password authentication failed"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn nats_has_what_it_confirmed_after_kill_9() -> anyhow::Result<()> {
    let program = NatsProgram::find()?.context("run the tests with `cargo xtask test`")?;
    let mut server = NatsServer::start(program)?;
    let context = jetstream::new(async_nats::connect(server.url()).await?);
    context
        .create_stream(stream::Config {
            name: "KEPT".into(),
            subjects: vec!["kept.>".into()],
            allow_atomic_publish: true,
            ..stream::Config::default()
        })
        .await?;
    for number in 1..=3 {
        let confirmed = context
            .publish("kept.a", number.to_string().into())
            .await?
            .await?;
        assert_eq!(confirmed.sequence, number);
    }

    server.kill()?;
    assert!(async_nats::connect(server.url()).await.is_err());
    server.restart()?;

    let context = jetstream::new(async_nats::connect(server.url()).await?);
    let state = context
        .get_stream("KEPT")
        .await?
        .cached_info()
        .state
        .clone();
    assert_eq!((state.messages, state.last_sequence), (3, 3));
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_dropped_leaves_neither_process_nor_port() -> anyhow::Result<()> {
    let server = postgres()?;
    let (url, process) = (
        server.url("postgres"),
        server.process_id().context("it runs")?,
    );
    drop(server);
    assert!(PgConnection::connect(&url).await.is_err());
    assert!(!std::path::Path::new(&format!("/proc/{process}")).exists());
    Ok(())
}

#[tokio::test]
async fn a_test_database_is_empty_its_own_and_goes_when_dropped() -> anyhow::Result<()> {
    let (one, two) = (
        TestDatabase::create("one").await?,
        TestDatabase::create("two").await?,
    );
    let mut connection = PgConnection::connect(one.url()).await?;
    sqlx::query("create table mine (number int)")
        .execute(&mut connection)
        .await?;
    let mut other = PgConnection::connect(two.url()).await?;
    let tables: i64 =
        sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'public'")
            .fetch_one(&mut other)
            .await?;
    assert_eq!(tables, 0);

    let (name, url) = (one.name().to_owned(), one.url().to_owned());
    one.drop().await?;
    assert!(PgConnection::connect(&url).await.is_err());
    two.drop().await?;
    let mut admin = PgConnection::connect(&TestServers::from_env()?.postgres_url).await?;
    let left: i64 = sqlx::query_scalar("select count(*) from pg_database where datname = $1")
        .bind(name)
        .fetch_one(&mut admin)
        .await?;
    assert_eq!(left, 0);
    Ok(())
}
