//! A signal to this process, hence in a test binary of its own.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn sigterm_cancels_and_the_work_ends_in_its_own_way() {
    let shutdown = CancellationToken::new();
    let work = async {
        // Polled first; the signals are listened for right after.
        tokio::task::yield_now().await;
        let me = std::process::id().to_string();
        let status = tokio::process::Command::new("kill")
            .args(["-TERM", &me])
            .status()
            .await;
        assert!(status.unwrap().success());
        shutdown.cancelled().await;
        "drained"
    };
    let run = service::shutdown::run_until_signal(&shutdown, work);
    let output = tokio::time::timeout(Duration::from_secs(10), run)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(output, "drained");
}

#[tokio::test]
async fn work_that_ends_by_itself_needs_no_signal() {
    let shutdown = CancellationToken::new();
    let output = service::shutdown::run_until_signal(&shutdown, async { 7 })
        .await
        .unwrap();
    assert_eq!(output, 7);
    assert!(!shutdown.is_cancelled());
}
