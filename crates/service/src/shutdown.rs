//! The operating system's wish that the process end.

use std::future::Future;
use std::io;
use std::pin::pin;

use tokio::signal::unix::{SignalKind, signal as listen};
use tokio_util::sync::CancellationToken;

/// Resolves at the first SIGINT (Ctrl-C) or SIGTERM after the first poll.
///
/// # Errors
/// If the signals cannot be listened for.
pub async fn signal() -> io::Result<()> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let name = tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    };
    tracing::info!(signal = name, "asked to end");
    Ok(())
}

/// Runs `work` to its end, and cancels `shutdown` at the first [`signal`].
///
/// # Errors
/// If the signals cannot be listened for.
pub async fn run_until_signal<F: Future>(
    shutdown: &CancellationToken,
    work: F,
) -> io::Result<F::Output> {
    let mut work = pin!(work);
    tokio::select! {
        output = &mut work => return Ok(output),
        result = signal() => result?,
    }
    shutdown.cancel();
    Ok(work.await)
}
