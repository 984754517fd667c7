//! What a service shows to whoever watches it: Prometheus' text format, over plain HTTP, on an address of its own.
//!
//! What happens is counted where it happens, in aggregates of a fixed size. What stands still is looked up when somebody asks: so a
//! service that nobody scrapes does nothing for it, and one whose scraper is gone neither slows down nor grows. Labels are names out
//! of our own code, of which there are few: never a tenant, a customer, or anything else that a caller chose.

mod calls;
mod endpoint;
mod gauges;
mod past;
mod watch;

use std::{borrow::Cow, sync::Arc};

use event_log::EventLog;
use prometheus_client::{encoding::prometheus_text, registry::Registry};
use tokio::sync::Mutex;

use crate::config::ServiceName;
pub use calls::CallDurations;
pub(crate) use calls::MethodDurations;
pub(crate) use endpoint::Endpoint;
use gauges::Shown;
pub(crate) use watch::{Watch, Watched};

/// All that one service shows.
pub(crate) struct Metrics {
    registry: Registry,
    /// One look at a time, however many scrape.
    watch: Mutex<Watch>,
    shown: Arc<Shown>,
}

impl Metrics {
    pub(crate) fn new(
        name: ServiceName,
        log: &EventLog,
        calls: &CallDurations,
        watch: Watch,
    ) -> Self {
        let service = (Cow::Borrowed("service"), Cow::Borrowed(name.as_str()));
        let mut registry = Registry::with_labels([service].into_iter());
        calls.register(&mut registry);
        log.metrics().register(&mut registry);
        let shown = Arc::new(Shown::default());
        registry.register_collector(Box::new(Arc::clone(&shown)));
        Self {
            registry,
            watch: Mutex::new(watch),
            shown,
        }
    }

    /// Everything as it is now. Takes as long as a look may take, at most.
    pub(crate) async fn scrape(&self) -> String {
        let mut watch = self.watch.lock().await;
        self.shown.show(watch.look().await);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)
            .expect("a String takes whatever is written to it");
        text
    }
}
