//! Deadlines, and handlers that do not end as they should.

use bytes::Bytes;
use http::{HeaderMap, Request};
use tonic::Code;

use crate::stand::{CALL, Stand, authorized, call, reached, reason, stream};

#[tokio::test]
async fn a_call_without_a_deadline_gets_the_default_one() {
    let stand = Stand::start_with(|config| config.limits.request_timeout_ms = 100).await;
    let status = stand.call("hang").await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "DEADLINE")
    );
    reached(&stand.backstage.dropped, 1).await;
}

/// With a raw client, for tonic's own answers a passed deadline itself.
#[tokio::test]
async fn the_caller_s_deadline_is_honoured_with_the_right_status() {
    let stand = Stand::start().await;
    let trailers = raw_call(&stand, "hang", "150m").await;
    assert_eq!(
        trailers["grpc-status"],
        (Code::DeadlineExceeded as i32).to_string()
    );
    reached(&stand.backstage.dropped, 1).await;
}

#[tokio::test]
async fn a_handler_knows_its_deadline_and_no_wish_exceeds_the_longest() {
    let stand = Stand::start_with(|config| config.limits.request_timeout_ms_max = 50_000).await;
    let channel = stand.connect().await;
    for (wish, range) in [("20S", 15_000..=20_000), ("9H", 45_000..=50_000)] {
        let mut request = authorized("deadline", &stand.token(&["*"]));
        request
            .metadata_mut()
            .insert("grpc-timeout", wish.parse().unwrap());
        let left: u64 = call(channel.clone(), request)
            .await
            .unwrap()
            .parse()
            .unwrap();
        assert!(range.contains(&left), "{wish}: {left} ms");
    }
    let default: u64 = stand.call("deadline").await.unwrap().parse().unwrap();
    assert!((25_000..=30_000).contains(&default), "{default} ms");
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline_after_it_has_begun() {
    let stand = Stand::start_with(|config| {
        config.limits.request_timeout_ms = 200;
        config.limits.request_timeout_ms_max = 200;
    })
    .await;
    let request = authorized("", &stand.token(&["*"]));
    let mut answers = stream(stand.connect().await, request).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), "first");
    let status = answers.message().await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DeadlineExceeded, "DEADLINE")
    );
}

#[tokio::test]
async fn a_panic_is_one_call_s_internal_error() {
    let stand = Stand::start().await;
    let channel = stand.connect().await;
    let token = stand.token(&["*"]);
    let status = call(channel.clone(), authorized("panic", &token))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Internal, "INTERNAL")
    );
    assert!(
        !status.message().contains("as asked"),
        "the caller learns the id only"
    );
    assert_eq!(
        call(channel, authorized("still here", &token))
            .await
            .unwrap(),
        "still here"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_call() {
    let stand = Stand::start().await;
    let channel = stand.connect().await;
    let request = authorized("hang", &stand.token(&["*"]));
    tokio::select! {
        _ = call(channel, request) => panic!("a hanging call does not end"),
        () = reached(&stand.backstage.begun, 1) => {}
    }
    reached(&stand.backstage.dropped, 1).await;
}

/// One call as bytes on HTTP/2: the headers or trailers that tell its status.
async fn raw_call(stand: &Stand, text: &str, timeout: &str) -> HeaderMap {
    let socket = tokio::net::TcpStream::connect(stand.address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    let request = Request::post(format!("http://{}{CALL}", stand.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", stand.token(&["*"])))
        .header("grpc-timeout", timeout)
        .body(())
        .unwrap();
    let (response, mut body) = client
        .ready()
        .await
        .unwrap()
        .send_request(request, false)
        .unwrap();
    // A gRPC frame around a protobuf string in field 1.
    let length = u8::try_from(text.len()).unwrap();
    let mut frame = vec![0, 0, 0, 0, length + 2, 0x0a, length];
    frame.extend_from_slice(text.as_bytes());
    body.send_data(Bytes::from(frame), true).unwrap();
    response.await.unwrap().into_parts().0.headers
}
