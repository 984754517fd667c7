//! Load: closed loops, in which each worker waits for its answer, and open loops, in which calls begin by the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Latencies in microseconds, up to a minute, to three digits.
pub(super) type Latencies = Histogram<u64>;

const LATENCY_US_MAX: u64 = 60_000_000;

pub(super) fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are in order")
}

/// Adds a latency; what is longer than the histogram's end counts as its end.
pub(super) fn record(latencies: &mut Latencies, elapsed: Duration) {
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(LATENCY_US_MAX);
    latencies.saturating_record(micros.max(1));
}

/// What a load has shown.
pub(super) struct Measured {
    /// Answers in a second.
    pub(super) per_second: f64,
    pub(super) latencies: Latencies,
}

/// Keeps `in_flight` calls under way for `duration`, after a warm-up of a quarter of it that does not count. `call` gets the number of its worker and
/// the running number of the call over all workers. The first error ends the load.
pub(super) async fn closed<F, Fut>(
    in_flight: usize,
    duration: Duration,
    call: F,
) -> anyhow::Result<Measured>
where
    F: Fn(usize, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send,
{
    let call = Arc::new(call);
    let next = Arc::new(AtomicU64::new(0));
    let counts_from = Instant::now() + duration / 4;
    let until = counts_from + duration;
    let mut workers = JoinSet::new();
    for worker in 0..in_flight {
        let (call, next) = (Arc::clone(&call), Arc::clone(&next));
        workers.spawn(async move {
            let mut seen = latencies();
            loop {
                let begun = Instant::now();
                if begun >= until {
                    return anyhow::Ok(seen);
                }
                call(worker, next.fetch_add(1, Ordering::Relaxed)).await?;
                let ended = Instant::now();
                if begun >= counts_from && ended <= until {
                    record(&mut seen, ended - begun);
                }
            }
        });
    }
    let mut all = latencies();
    while let Some(worker) = workers.join_next().await {
        all.add(worker.context("a worker panicked")??)?;
    }
    if all.is_empty() {
        bail!("nothing was answered within {duration:?}");
    }
    Ok(Measured {
        per_second: all.len() as f64 / duration.as_secs_f64(),
        latencies: all,
    })
}

/// Begins `per_second` calls in each second for `duration`, whether or not earlier ones were answered. A latency counts from the moment at
/// which its call was to begin, so that a stall shows in all the calls that it held up (Tene, "How not to measure latency", 2013).
/// `call` gets the number of the call and that moment, and tells when it was over.
pub(super) async fn open<F, Fut>(
    per_second: u64,
    duration: Duration,
    call: F,
) -> anyhow::Result<Measured>
where
    F: Fn(u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = anyhow::Result<Instant>> + Send + 'static,
{
    let gap = Duration::from_secs(1) / u32::try_from(per_second).context("calls in a second")?;
    let start = Instant::now();
    let count = per_second * duration.as_secs();
    let mut under_way = JoinSet::new();
    for number in 0..count {
        let intended = start + gap * u32::try_from(number).context("calls")?;
        tokio::time::sleep_until(intended).await;
        let call = call(number);
        under_way.spawn(async move { anyhow::Ok(call.await? - intended) });
    }
    let mut all = latencies();
    while let Some(ended) = under_way.join_next().await {
        record(&mut all, ended.context("a call panicked")??);
    }
    Ok(Measured {
        per_second: all.len() as f64 / start.elapsed().as_secs_f64(),
        latencies: all,
    })
}
