//! A server that asks who connects.

use std::time::Duration;

use event_bus::{Bus, BusOptions, Login};
use testing::{NatsProgram, NatsServer, eventually};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_new_password_in_the_file_is_used_at_the_next_attempt() {
    let program = NatsProgram::find()
        .unwrap()
        .expect("a NATS server to start");
    let users = "authorization { users: [{user: services, password: \"the new one\"}] }";
    let server = NatsServer::start_with(program, users).unwrap();
    let secrets = tempfile::tempdir().unwrap();
    let password_file = secrets.path().join("password");
    let options = BusOptions {
        url: server.url(),
        stream_prefix: String::new(),
        credentials_file: None,
        login: Some(Login {
            user: "services".to_owned(),
            password_file: password_file.clone(),
        }),
        tls: None,
        request_timeout: Duration::from_secs(5),
        replicas: 1,
    };
    let error = Bus::connect(&options).await.err().unwrap();
    assert_eq!(error.to_string(), "NATS failed: reading the password");

    std::fs::write(&password_file, "the old one").unwrap();
    let bus = Bus::connect(&options).await.unwrap();
    // Whoever is let in is so within milliseconds; the server answers a wrong password by closing the connection.
    let let_in = tokio::time::timeout(Duration::from_secs(1), connected(&bus)).await;
    assert!(let_in.is_err(), "nobody is let in with another password");

    std::fs::write(&password_file, "the new one\n").unwrap();
    connected(&bus).await;
}

async fn connected(bus: &Bus) {
    eventually(SOON, "the server to let us in", || async {
        bus.is_connected().then_some(())
    })
    .await;
}
