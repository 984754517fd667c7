//! What is shown of webhooks. Labels are names of endpoints, which an operator chose.

use prometheus_client::{
    encoding::prometheus_text,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use sqlx::PgPool;
use std::sync::{Arc, atomic::AtomicU64};

use crate::operate::{Standing, standings};

type Labels = [(&'static str, String); 1];
/// What of an endpoint is shown.
type Amount = fn(&Standing) -> f64;
type Amounts = Family<Labels, Gauge<f64, AtomicU64>>;

/// What came of requests. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    taken: Family<Labels, Counter>,
    failed: Family<Labels, Counter>,
}

impl Attempts {
    /// Shows an endpoint of which nothing has come yet.
    pub(crate) fn begin(&self, endpoint: &str) {
        self.taken.get_or_create_owned(&of(endpoint));
        self.failed.get_or_create_owned(&of(endpoint));
    }

    pub(crate) fn taken(&self, endpoint: &str) {
        self.taken.get_or_create_owned(&of(endpoint)).inc();
    }

    pub(crate) fn failed(&self, endpoint: &str) {
        self.failed.get_or_create_owned(&of(endpoint)).inc();
    }
}

fn of(endpoint: &str) -> Labels {
    [("endpoint", endpoint.to_owned())]
}

/// All that is shown.
pub(crate) struct Metrics {
    pool: PgPool,
    registry: Registry,
    up: Gauge,
    gauges: Vec<(Amounts, Amount)>,
}

impl Metrics {
    pub(crate) fn new(pool: PgPool, attempts: &Attempts) -> Self {
        let mut registry =
            Registry::with_labels(std::iter::once(("service".into(), "webhooks".into())));
        registry.register(
            "vefa_webhook_delivered",
            "Events that were taken",
            attempts.taken.clone(),
        );
        registry.register(
            "vefa_webhook_failed",
            "Requests that were not answered by a yes",
            attempts.failed.clone(),
        );
        let up = Gauge::default();
        registry.register(
            "vefa_database_up",
            "Whether the database answered this look",
            up.clone(),
        );
        let shown: [(&str, &str, Amount); 4] = [
            (
                "vefa_webhook_pending_events",
                "Events that wait, those behind dead ones too; counted up to 10,000 in each partition",
                |one| one.pending as f64,
            ),
            (
                "vefa_webhook_dead_events",
                "Events that are tried no more and hold up their lines",
                |one| one.dead as f64,
            ),
            (
                "vefa_webhook_oldest_seconds",
                "Since when the oldest of the events waits; 0 when none does",
                |one| one.oldest_s,
            ),
            ("vefa_webhook_disabled", "Whether nothing is sent", |one| {
                f64::from(u8::from(one.stopped_at.is_some()))
            }),
        ];
        let gauges = shown.map(|(name, help, value)| {
            let amounts = Amounts::default();
            registry.register(name, help, amounts.clone());
            (amounts, value)
        });
        Self {
            pool,
            registry,
            up,
            gauges: gauges.into(),
        }
    }

    /// Everything as it is now. What cannot be seen is not shown: an old number would lie.
    pub(crate) async fn scrape(self: Arc<Self>) -> String {
        let seen = standings(&self.pool).await;
        self.up.set(i64::from(seen.is_ok()));
        for (amounts, value) in &self.gauges {
            amounts.clear();
            for one in seen.iter().flatten() {
                amounts
                    .get_or_create_owned(&of(&one.endpoint))
                    .set(value(one));
            }
        }
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry)
            .expect("a String takes whatever is written to it");
        text
    }
}
