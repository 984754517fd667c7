//! A server that speaks over TLS alone, and asks who comes for a certificate.

use sqlx::{Connection as _, PgConnection};
use testing::{
    Issued, PostgresOptions, PostgresPrograms, PostgresServer, PostgresTls, TestCa, TestDatabase,
};

use crate::account::{Account, Command, open, plain, request};

fn start(certificate: Issued, client_ca: &TestCa) -> PostgresServer {
    let programs = PostgresPrograms::find().unwrap();
    let mut options = PostgresOptions::for_tests(programs.expect("a PostgreSQL to start"));
    options.tls = Some(PostgresTls {
        certificate,
        client_ca: Some(client_ca.file()),
    });
    PostgresServer::start(options).unwrap()
}

/// Its address for a client who believes `ca` and shows `identity`.
fn url(server: &PostgresServer, ca: &TestCa, identity: Option<&Issued>) -> String {
    let (url, root) = (server.url("postgres"), ca.file());
    let url = format!("{url}?sslmode=verify-full&sslrootcert={}", root.display());
    match identity {
        Some(one) => format!(
            "{url}&sslcert={}&sslkey={}",
            one.certificate.display(),
            one.key.display()
        ),
        None => url,
    }
}

/// Why nobody who comes so is let in.
async fn refusal(url: &str) -> String {
    let refused = PgConnection::connect(url).await.err().unwrap();
    let source = std::error::Error::source(&refused).map(ToString::to_string);
    format!("{refused}: {}", source.unwrap_or_default())
}

#[tokio::test]
async fn every_connection_of_a_log_is_over_tls() {
    let (ca, clients) = (TestCa::new().unwrap(), TestCa::new().unwrap());
    let server = start(ca.issue("server").unwrap(), &clients);
    let client = clients.issue("client").unwrap();
    let url = url(&server, &ca, Some(&client));
    let database = TestDatabase::create_on(&url, "tls").await.unwrap();
    let log = open(&database).await;
    log.execute::<Account, ()>(&request(), &plain(1), &Command::Add(7), |_| ())
        .await
        .unwrap();
    let (all, over_tls): (i64, i64) = sqlx::query_as(
        "select count(*), count(*) filter (where ssl) \
         from pg_stat_activity join pg_stat_ssl using (pid) where datname = current_database()",
    )
    .fetch_one(log.pool())
    .await
    .unwrap();
    // That of the pool which asks, and those of the writers.
    assert!(all >= 2, "{all}");
    assert_eq!(over_tls, all);
    log.close().await;
    database.drop().await.unwrap();
}

#[tokio::test]
async fn both_sides_believe_only_certificates_of_the_cas_that_they_know() {
    let (ca, clients, others) = (
        TestCa::new().unwrap(),
        TestCa::new().unwrap(),
        TestCa::new().unwrap(),
    );
    let server = start(ca.issue("server").unwrap(), &clients);
    let known = clients.issue("client").unwrap();
    let foreign = others.issue("client").unwrap();
    for (what, url, reason) in [
        (
            "a server of another CA",
            url(&server, &others, Some(&known)),
            "UnknownIssuer",
        ),
        (
            "a client without a certificate",
            url(&server, &ca, None),
            "valid client certificate",
        ),
        (
            "a client of another CA",
            url(&server, &ca, Some(&foreign)),
            "",
        ),
        (
            "a client in clear",
            format!("{}?sslmode=disable", server.url("postgres")),
            "no encryption",
        ),
    ] {
        let said = refusal(&url).await;
        assert!(said.contains(reason), "{what}: {said}");
    }
    let let_in = PgConnection::connect(&url(&server, &ca, Some(&known))).await;
    let_in.unwrap().close().await.unwrap();
}
