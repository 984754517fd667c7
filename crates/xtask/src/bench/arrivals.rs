//! What comes to a subscriber of NATS, and when.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use futures::StreamExt as _;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long an event may be under way before the measurement is given up.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);

/// When the events of each stream came to a subscriber, which ends when this is dropped.
pub(super) struct Arrivals {
    seen: Arc<Seen>,
    _subscriber: JoinSet<()>,
}

#[derive(Default)]
struct Seen(Mutex<HashMap<String, OfStream>>);

/// Events of a stream that nobody has asked for yet, or those who wait for one: each of them is woken by its own.
#[derive(Default)]
struct OfStream {
    arrived: VecDeque<Instant>,
    waiting: VecDeque<oneshot::Sender<Instant>>,
}

impl Arrivals {
    /// Of all events from now on whose subject fits.
    pub(super) async fn at(url: &str, subject: &'static str) -> anyhow::Result<Self> {
        let client = async_nats::connect(url)
            .await
            .context("connecting to NATS")?;
        let mut messages = client.subscribe(subject).await.context("subscribing")?;
        client.flush().await.context("subscribing")?;
        let seen = Arc::new(Seen::default());
        let mut subscriber = JoinSet::new();
        let noted = Arc::clone(&seen);
        subscriber.spawn(async move {
            while let Some(message) = messages.next().await {
                let headers = message.headers.unwrap_or_default();
                if let Some(stream) = headers.get("Vefa-Stream") {
                    noted.add(stream.as_str());
                }
            }
        });
        Ok(Self {
            seen,
            _subscriber: subscriber,
        })
    }

    /// When the next event of a stream came, of those that nobody has asked for yet; waits for it.
    pub(super) async fn next_of(&self, stream: &str) -> anyhow::Result<Instant> {
        match tokio::time::timeout(ARRIVAL_LIMIT, self.seen.next(stream)).await {
            Ok(Ok(arrived)) => Ok(arrived),
            Ok(Err(_)) | Err(_) => {
                bail!("the event of {stream} did not come within {ARRIVAL_LIMIT:?}")
            }
        }
    }
}

impl Seen {
    fn add(&self, stream: &str) {
        let now = Instant::now();
        let mut by_stream = self.0.lock().expect("no holder of the lock panics");
        let of_stream = by_stream.entry(stream.to_owned()).or_default();
        match of_stream.waiting.pop_front() {
            // Nobody is there any more when the measurement was given up.
            Some(waiting) => drop(waiting.send(now)),
            None => of_stream.arrived.push_back(now),
        }
    }

    fn next(&self, stream: &str) -> oneshot::Receiver<Instant> {
        let (sender, receiver) = oneshot::channel();
        let mut by_stream = self.0.lock().expect("no holder of the lock panics");
        let of_stream = by_stream.entry(stream.to_owned()).or_default();
        match of_stream.arrived.pop_front() {
            Some(arrived) => drop(sender.send(arrived)),
            None => of_stream.waiting.push_back(sender),
        }
        receiver
    }
}
