//! Ctrl-C and SIGTERM: the step that runs is asked to end, and servers are stopped on the way out. A
//! second one ends us at once; what we started then ends with us.

use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};

/// What shells report for a program that Ctrl-C ended.
const EXIT_CODE: i32 = 130;
const POLL: Duration = Duration::from_millis(50);

static HAPPENED: AtomicBool = AtomicBool::new(false);

/// From now on an interruption is noted, rather than the end of us.
pub(crate) fn watch() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting a runtime for signals")?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt()).context("listening to Ctrl-C")?,
            signal(SignalKind::terminate()).context("listening to SIGTERM")?,
        )
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if HAPPENED.swap(true, Ordering::SeqCst) {
                    exit(EXIT_CODE);
                }
            }
        });
    });
    Ok(())
}

/// Whether there was one.
pub(crate) fn happened() -> bool {
    HAPPENED.load(Ordering::SeqCst)
}

/// Fails when there was one.
pub(crate) fn check() -> anyhow::Result<()> {
    if happened() {
        bail!("interrupted");
    }
    Ok(())
}

/// Returns when there is one.
pub(crate) fn wait() {
    while !happened() {
        std::thread::sleep(POLL);
    }
}
