//! How a server ends.

use std::time::Instant;

use service::server::ServeError;
use service::tasks::TaskError;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::stand::{LIMIT, Stand, authorized, call, reached, reason};

#[tokio::test]
async fn calls_under_way_may_end_and_no_new_ones_come_in() {
    let stand = Stand::start().await;
    let mut health = HealthClient::new(stand.connect().await);
    let request = HealthCheckRequest {
        service: "vefa.test.v1.Test".into(),
    };
    let mut watched = health.watch(request).await.unwrap().into_inner();
    assert_eq!(
        watched.message().await.unwrap().unwrap().status,
        1,
        "SERVING"
    );

    let channel = stand.connect().await;
    let under_way = call(channel, authorized("wait", &stand.token(&["*"])));
    let end = async {
        reached(&stand.backstage.begun, 1).await;
        stand.shutdown.cancel();
        assert_eq!(
            watched.message().await.unwrap().unwrap().status,
            2,
            "NOT_SERVING"
        );
        // The watch ends too: it must not hold the server up.
        let last = watched.message().await.unwrap_err();
        assert_eq!(
            (last.code(), reason(&last).as_str()),
            (Code::Unavailable, "SHUTTING_DOWN")
        );
        let refused = async { while TcpStream::connect(stand.address).await.is_ok() {} };
        tokio::time::timeout(LIMIT, refused)
            .await
            .expect("the port is closed");
        stand.backstage.go_on.add_permits(1);
    };
    let (answer, ()) = tokio::join!(under_way, end);
    assert_eq!(answer.unwrap(), "waited");
    stand.ended().await.unwrap();
}

#[tokio::test]
async fn a_call_that_does_not_end_is_ended_at_the_limit() {
    let stand = Stand::start_with(|config| config.shutdown.drain_ms_max = 200).await;
    let channel = stand.connect().await;
    let under_way = call(channel, authorized("hang", &stand.token(&["*"])));
    let begun = Instant::now();
    let end = async {
        reached(&stand.backstage.begun, 1).await;
        stand.shutdown.cancel();
    };
    let (answer, ()) = tokio::join!(under_way, end);
    let status = answer.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "SHUTTING_DOWN")
    );
    stand.ended().await.unwrap();
    assert!(begun.elapsed() < LIMIT / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn tasks_are_stopped_after_the_calls() {
    let stand = Stand::start().await;
    let stopping = stand.tasks.stopping();
    let task_stopping = stopping.clone();
    stand.tasks.spawn("relay", async move {
        task_stopping.cancelled().await;
        Ok::<_, ServeError>(())
    });
    let channel = stand.connect().await;
    let under_way = call(channel, authorized("wait", &stand.token(&["*"])));
    let end = async {
        reached(&stand.backstage.begun, 1).await;
        stand.shutdown.cancel();
        let refused = async { while TcpStream::connect(stand.address).await.is_ok() {} };
        tokio::time::timeout(LIMIT, refused)
            .await
            .expect("the port is closed");
        assert!(!stopping.is_cancelled(), "a call may still need the tasks");
        stand.backstage.go_on.add_permits(1);
    };
    let (answer, ()) = tokio::join!(under_way, end);
    answer.unwrap();
    stand.ended().await.unwrap();
    assert!(stopping.is_cancelled());
}

#[tokio::test]
async fn the_failure_of_a_task_brings_the_service_down_with_its_reason() {
    let stand = Stand::start().await;
    assert_eq!(stand.call("hello").await.unwrap(), "hello");
    stand
        .tasks
        .spawn("projection", async { Err("the table is gone") });
    let error = stand.ended().await.unwrap_err();
    assert!(matches!(
        error,
        ServeError::Task(TaskError::Failed {
            name: "projection",
            ..
        })
    ));
    let chain = service::status::chain(&error);
    assert_eq!(
        chain,
        "background task projection failed: the table is gone"
    );
}
