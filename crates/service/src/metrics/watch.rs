//! The look at what stands still: one statement in the database, one call to each service whose log is followed, and what this process
//! knows by itself. Each replica sees the same of what is stored.

use std::{collections::BTreeMap, time::Duration};

use event_bus::{Origin as _, RelayStanding};
use event_log::{EventLog, Standing, control::Target};
use futures::future::join_all;
use tokio::time::{Instant, timeout};

use super::{
    gauges::{Gauge, Labels},
    past::Past,
};
use crate::{clock, config::ServiceName, log_service::PeerLog, tls::ServerTls};

/// How long one answer may take. What has not come by then is left out.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// A projection that is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pub(crate) target: Target,
    /// Whose log it follows.
    pub(crate) source: ServiceName,
}

/// What is looked at, and what was seen of logs before.
pub(crate) struct Watch {
    name: ServiceName,
    log: EventLog,
    projections: Vec<Watched>,
    relay: RelayStanding,
    origins: Vec<(ServiceName, PeerLog)>,
    tls: Option<ServerTls>,
    pasts: BTreeMap<ServiceName, Past>,
}

impl Watch {
    /// `origins` are the other services whose logs the projections follow.
    pub(crate) fn new(
        name: ServiceName,
        log: EventLog,
        projections: Vec<Watched>,
        relay: RelayStanding,
        origins: Vec<(ServiceName, PeerLog)>,
        tls: Option<ServerTls>,
    ) -> Self {
        Self {
            name,
            log,
            projections,
            relay,
            origins,
            tls,
            pasts: BTreeMap::new(),
        }
    }

    pub(super) async fn look(&mut self) -> Vec<Gauge> {
        // Before our own statement takes one of them.
        let mut seen = self.connections();
        seen.extend(self.certificate());
        // Before what follows them, so that nobody seems to be behind what came a moment later.
        self.look_at_origins().await;
        let targets: Vec<Target> = self.projections.iter().map(|one| one.target).collect();
        let standing = timeout(ANSWER_WAIT_MAX, self.log.standing(&targets, clock::now())).await;
        let standing = match standing {
            Ok(Ok(standing)) => Some(standing),
            Ok(Err(error)) => {
                let error = &error as &(dyn std::error::Error + 'static);
                tracing::debug!(error, "the log could not be looked at");
                None
            }
            Err(_) => None,
        };
        let published = self.relay.published_events();
        seen.push(Gauge::one(
            "vefa_relay_working",
            "Whether this process is the one that publishes the log, and can",
            f64::from(u8::from(published.is_some())),
        ));
        seen.push(Gauge::one(
            "vefa_database_up",
            "Whether the database answered the last look",
            f64::from(u8::from(standing.is_some())),
        ));
        if let Some(standing) = standing {
            seen.extend(self.log_and_timers(&standing, published));
            seen.extend(self.followers(standing));
        }
        seen
    }

    async fn look_at_origins(&mut self) {
        let asked = self.origins.iter().map(async |(name, origin)| {
            let history = timeout(ANSWER_WAIT_MAX, origin.history()).await;
            (*name, history.ok().and_then(Result::ok))
        });
        for (name, history) in join_all(asked).await {
            // One that does not answer is taken to be where it was.
            if let Some(history) = history {
                self.note(name, history.heads);
            }
        }
    }

    fn note(&mut self, name: ServiceName, heads: super::past::Positions) {
        self.pasts
            .entry(name)
            .or_default()
            .note(heads, Instant::now());
    }

    fn certificate(&self) -> [Gauge; 2] {
        let tls = self.tls.as_ref();
        let stale = tls.map(|tls| f64::from(u8::from(tls.is_stale())));
        [
            Gauge::one(
                "vefa_tls_certificate_expiry_timestamp_seconds",
                "When the certificate that the server shows is good no more",
                tls.map(|tls| tls.expires_unix_s() as f64),
            ),
            Gauge::one(
                "vefa_tls_certificate_stale",
                "Whether its files have become of no use, so that what they held before is shown",
                stale,
            ),
        ]
    }

    fn connections(&self) -> Vec<Gauge> {
        let pool = self.log.pool();
        let (all, idle) = (pool.size(), pool.num_idle());
        let idle = u32::try_from(idle).unwrap_or(all).min(all);
        let state = |state, count: u32| {
            let labels = vec![("db_client_connection_state", state)];
            (labels, f64::from(count))
        };
        vec![
            Gauge::several(
                "db_client_connection_count",
                "Connections of the pool to the database",
                [state("idle", idle), state("used", all - idle)],
            ),
            Gauge::one(
                "db_client_connection_max",
                "Connections that the pool may have",
                f64::from(pool.options().get_max_connections()),
            ),
        ]
    }

    fn log_and_timers(&self, standing: &Standing, published: Option<i64>) -> Vec<Gauge> {
        let heads: i64 = standing.heads.values().sum();
        let overdue = standing
            .timers_due_since
            .map_or(0.0, |since| (clock::now() - since).as_seconds_f64());
        vec![
            Gauge::one(
                "vefa_log_position_events",
                "Events in the log",
                number(heads),
            ),
            Gauge::one(
                "vefa_relay_lag_events",
                "Events of the log that are not published, as far as this process publishes it",
                published.map(|published| number((heads - published).max(0))),
            ),
            Gauge::one(
                "vefa_timers_due",
                "Timers that are due and have not fired",
                number(standing.timers_due),
            ),
            Gauge::one(
                "vefa_timers_overdue_seconds",
                "How long the first of the timers that are due has been so",
                overdue.max(0.0),
            ),
        ]
    }

    fn followers(&mut self, standing: Standing) -> Vec<Gauge> {
        let Standing {
            heads, projections, ..
        } = standing;
        self.note(self.name, heads);
        let now = Instant::now();
        let (mut positions, mut events, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
        let (mut paused, mut parked) = (Vec::new(), Vec::new());
        for (watched, of) in self.projections.iter().zip(projections) {
            let labels: Labels = vec![
                ("projection", watched.target.projection),
                ("source", watched.source.as_str()),
            ];
            positions.push((labels.clone(), number(of.positions.values().sum())));
            paused.push((labels.clone(), number(of.paused_partitions)));
            parked.push((labels.clone(), number(of.parked_streams)));
            let past = self.pasts.get(&watched.source);
            if let Some(behind) = past.and_then(|past| past.behind(&of.positions)) {
                events.push((labels.clone(), number(behind)));
            }
            if let Some(lag) = past.and_then(|past| past.behind_for(&of.positions, now)) {
                seconds.push((labels, lag.as_secs_f64()));
            }
        }
        vec![
            Gauge::several(
                "vefa_projection_position_events",
                "Events that a projection has applied or parked",
                positions,
            ),
            Gauge::several(
                "vefa_projection_lag_events",
                "Events of its log that a projection has not applied",
                events,
            ),
            Gauge::several(
                "vefa_projection_lag_seconds",
                "How long ago the first event was seen that a projection has not applied",
                seconds,
            ),
            Gauge::several(
                "vefa_projection_paused_partitions",
                "Partitions in which a projection stands still",
                paused,
            ),
            Gauge::several(
                "vefa_projection_parked_streams",
                "Streams that a projection cannot apply",
                parked,
            ),
        ]
    }
}

/// Prometheus has no other numbers.
fn number(count: i64) -> f64 {
    count as f64
}
