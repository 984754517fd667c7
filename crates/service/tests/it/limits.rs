//! What a caller may ask of a server ends somewhere.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::stand::{LIMIT, Stand, authorized, call, reached};

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let stand = Stand::start_with(|config| config.limits.message_bytes_max = 1_000).await;
    let mut health = HealthClient::new(stand.connect().await);
    let request = |bytes| HealthCheckRequest {
        service: "x".repeat(bytes),
    };
    let status = health.check(request(1_001)).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    // One that just fits is read, and its service is not found.
    let status = health.check(request(900)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status}");
}

#[tokio::test]
async fn headers_that_are_too_long_are_refused() {
    let stand = Stand::start_with(|config| config.limits.header_list_bytes_max = 2_000).await;
    let mut request = authorized("hello", &stand.token(&["*"]));
    request
        .metadata_mut()
        .insert("x-long", "x".repeat(3_000).parse().unwrap());
    let refused = call(stand.connect().await, request).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(stand.call("hello").await.unwrap(), "hello");
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_its_place_is_given_again() {
    let stand = Stand::start_with(|config| {
        config.limits.connections_max = 1;
        // Not this limit is to close the connection.
        config.limits.handshake_timeout_ms = 60_000;
    })
    .await;
    let first = stand.connect().await;
    let token = stand.token(&["*"]);
    assert_eq!(
        call(first.clone(), authorized("one", &token))
            .await
            .unwrap(),
        "one"
    );
    let mut second = TcpStream::connect(stand.address).await.unwrap();
    assert!(closed(&mut second).await);
    drop(first);
    let third = async {
        while stand.endpoint().connect().await.is_err() || stand.call("again").await.is_err() {}
    };
    tokio::time::timeout(LIMIT, third)
        .await
        .expect("the place is free again");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let stand = Stand::start_with(|config| config.limits.handshake_timeout_ms = 100).await;
    let mut silent = TcpStream::connect(stand.address).await.unwrap();
    assert!(closed(&mut silent).await);
    // One that has spoken in time stays, long after.
    let channel = stand.connect().await;
    let token = stand.token(&["*"]);
    assert_eq!(
        call(channel.clone(), authorized("one", &token))
            .await
            .unwrap(),
        "one"
    );
    // Nothing can be waited for here: the claim is that nothing happens.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        call(channel, authorized("two", &token)).await.unwrap(),
        "two"
    );
}

#[tokio::test]
async fn requests_beyond_the_limit_of_a_connection_wait() {
    let stand = Stand::start_with(|config| config.limits.concurrent_requests_max = 1).await;
    let channel = stand.connect().await;
    let token = stand.token(&["*"]);
    let both = async {
        tokio::join!(
            call(channel.clone(), authorized("wait", &token)),
            call(channel.clone(), authorized("wait", &token)),
        )
    };
    let watch = async {
        reached(&stand.backstage.begun, 1).await;
        // A call on another connection is answered meanwhile; the second one has not begun.
        assert_eq!(stand.call("hello").await.unwrap(), "hello");
        assert_eq!(*stand.backstage.begun.borrow(), 1);
        stand.backstage.go_on.add_permits(2);
    };
    let ((first, second), ()) = tokio::join!(both, watch);
    assert_eq!(
        (first.unwrap().as_str(), second.unwrap().as_str()),
        ("waited", "waited")
    );
}

/// Whether the other side closes the connection.
async fn closed(socket: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    // What it says before, such as its settings, does not matter.
    let read = tokio::time::timeout(LIMIT, socket.read_to_end(&mut bytes)).await;
    read.expect("closed in time").is_ok()
}
