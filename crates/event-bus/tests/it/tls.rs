//! A server that speaks over TLS alone, and asks who comes for a certificate.

use std::{path::PathBuf, time::Duration};

use event_bus::{Bus, BusOptions, BusTls};
use testing::{Issued, NatsProgram, NatsServer, TestCa, eventually};

const SOON: Duration = Duration::from_secs(20);

fn start(server: &Issued, client_ca: &TestCa) -> NatsServer {
    let program = NatsProgram::find()
        .unwrap()
        .expect("a NATS server to start");
    let settings = format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {:?}, verify: true }}",
        server.certificate,
        server.key,
        client_ca.file()
    );
    NatsServer::start_with(program, &settings).unwrap()
}

async fn bus(server: &NatsServer, ca: Option<PathBuf>, identity: Option<&Issued>) -> Bus {
    let identity = identity.map(|one| (one.certificate.clone(), one.key.clone()));
    let options = BusOptions {
        url: server.url(),
        stream_prefix: String::new(),
        credentials_file: None,
        login: None,
        tls: ca.map(|ca_file| BusTls { ca_file, identity }),
        request_timeout: Duration::from_secs(5),
        replicas: 1,
    };
    Bus::connect(&options).await.unwrap()
}

async fn connected(bus: &Bus) {
    eventually(SOON, "the server to let us in", || async {
        bus.is_connected().then_some(())
    })
    .await;
}

/// Whoever is let in is so within milliseconds, as the last test of each case shows.
async fn is_refused(bus: &Bus) -> bool {
    let let_in = tokio::time::timeout(Duration::from_secs(1), connected(bus)).await;
    let_in.is_err()
}

#[tokio::test]
async fn both_sides_believe_only_certificates_of_the_cas_that_they_know() {
    let (ca, clients, others) = (
        TestCa::new().unwrap(),
        TestCa::new().unwrap(),
        TestCa::new().unwrap(),
    );
    let server = start(&ca.issue("server").unwrap(), &clients);
    let ours = clients.issue("client").unwrap();
    let foreign = others.issue("client").unwrap();
    for (what, ca_file, identity) in [
        ("a client with no CA but those of the system", None, None),
        ("a server of another CA", Some(others.file()), Some(&ours)),
        ("a client without a certificate", Some(ca.file()), None),
        ("a client of another CA", Some(ca.file()), Some(&foreign)),
    ] {
        let bus = bus(&server, ca_file, identity).await;
        assert!(is_refused(&bus).await, "{what}");
    }
    connected(&bus(&server, Some(ca.file()), Some(&ours)).await).await;
}

#[tokio::test]
async fn a_server_that_speaks_in_clear_is_no_server_for_who_wants_tls() {
    let program = NatsProgram::find()
        .unwrap()
        .expect("a NATS server to start");
    let server = NatsServer::start(program).unwrap();
    let ca = TestCa::new().unwrap();
    let wants_tls = bus(&server, Some(ca.file()), None).await;
    assert!(is_refused(&wants_tls).await);
    connected(&bus(&server, None, None).await).await;
}

#[tokio::test]
async fn a_new_certificate_is_used_at_the_next_attempt() {
    let (ca, clients) = (TestCa::new().unwrap(), TestCa::new().unwrap());
    let server = start(&ca.issue("server").unwrap(), &clients);
    let issued = ca.issue("client").unwrap();
    let bus = bus(&server, Some(ca.file()), Some(&issued)).await;
    assert!(
        is_refused(&bus).await,
        "of a CA that the server does not know"
    );
    let renewed = clients.issue("client").unwrap();
    std::fs::copy(&renewed.key, &issued.key).unwrap();
    std::fs::copy(&renewed.certificate, &issued.certificate).unwrap();
    connected(&bus).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_told_at_once() {
    let options = BusOptions {
        url: "nats://127.0.0.1:1".to_owned(),
        stream_prefix: String::new(),
        credentials_file: None,
        login: None,
        tls: Some(BusTls {
            ca_file: "/nowhere/ca.crt".into(),
            identity: None,
        }),
        request_timeout: Duration::from_secs(5),
        replicas: 1,
    };
    let error = Bus::connect(&options).await.err().unwrap();
    assert_eq!(error.to_string(), "NATS failed: reading the certificates");
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.starts_with("/nowhere/ca.crt: "), "{reason}");
}
