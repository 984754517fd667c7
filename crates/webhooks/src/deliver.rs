//! Sends what waits for one endpoint: a bounded number of lines at once, each of which sends its events one after the other. No connection to
//! the database is held while a request is under way.

use std::{sync::Arc, time::Duration};

use event_log::EventLog;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    endpoint::Endpoint,
    metrics::Attempts,
    outbox::{Left, Line, Outbox},
    receiver::{Answer, Receiver},
    retry::{Next, Patience},
};

/// Events that a line sends before another one gets its place.
const TURN_EVENTS: usize = 16;
/// What it takes, beyond the request, until what came of it is written down; after that, somebody else may try the line.
pub(crate) const RECORD_MAX: Duration = Duration::from_secs(2);
/// Said of an endpoint that answered so.
const GONE: &str = "the receiver answered 410 Gone";

/// A task panicked.
#[derive(Debug, thiserror::Error)]
#[error("a delivery panicked")]
pub(crate) struct Panicked(#[source] JoinError);

/// Sends what waits for one endpoint.
#[derive(Clone)]
pub(crate) struct Deliverer {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) receiver: Arc<Receiver>,
    pub(crate) outbox: Outbox,
    pub(crate) patience: Patience,
    pub(crate) attempts: Attempts,
    pub(crate) poll_interval: Duration,
    /// What a request may take to end by itself once all is to end.
    pub(crate) drain: Duration,
}

impl Deliverer {
    /// Until `stopping`; requests under way may then end. `log` tells when something may have come to wait.
    ///
    /// # Errors
    /// When a delivery panics.
    pub(crate) async fn run(
        self,
        log: EventLog,
        stopping: CancellationToken,
    ) -> Result<(), Panicked> {
        let mut under_way = JoinSet::new();
        let give_up = CancellationToken::new();
        while !stopping.is_cancelled() {
            // Asked for before the look, so that what comes during it is seen.
            let appended = log.appended();
            let places = self.endpoint.in_flight_max - under_way.len();
            let found = self.begin(places, &mut under_way, &give_up).await;
            let full = found == places;
            tokio::select! {
                () = stopping.cancelled() => {}
                Some(ended) = under_way.join_next() => ended.map_err(Panicked)?,
                () = appended, if !full => {}
                () = tokio::time::sleep(self.poll_interval) => {}
            }
        }
        let ending = async {
            while let Some(ended) = under_way.join_next().await {
                ended.map_err(Panicked)?;
            }
            Ok(())
        };
        let cut_short = async {
            tokio::time::sleep(self.drain).await;
            give_up.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = ending => ended,
            () = cut_short => Ok(()),
        }
    }

    /// Begins lines that are due, up to so many; how many.
    async fn begin(
        &self,
        places: usize,
        under_way: &mut JoinSet<()>,
        give_up: &CancellationToken,
    ) -> usize {
        if places == 0 {
            return 0;
        }
        let lines = match self.outbox.claim(places).await {
            Ok(lines) => lines,
            Err(error) => {
                self.tell("what is due cannot be looked up", &error);
                return 0;
            }
        };
        let found = lines.len();
        for line in lines {
            under_way.spawn(self.clone().turn(line, give_up.clone()));
        }
        found
    }

    /// A line's turn. When the database fails, what was not written down is tried again once the claim has run out.
    async fn turn(self, line: Line, give_up: CancellationToken) {
        if let Err(error) = self.send(line, give_up).await {
            self.tell("what came of a request is not written down", &error);
        }
    }

    async fn send(&self, mut line: Line, give_up: CancellationToken) -> Result<(), sqlx::Error> {
        for sent in 1..=TURN_EVENTS {
            let first = self.outbox.first(&line).await?;
            let id = first.event_id.to_string();
            let answer = tokio::select! {
                answer = self.receiver.tell(&self.endpoint, &id, first.body) => answer,
                () = give_up.cancelled() => return self.outbox.put_back(&line).await,
            };
            match answer {
                Answer::Taken => {
                    self.attempts.taken(self.endpoint.name);
                    let keep = sent < TURN_EVENTS;
                    if self.outbox.taken(&line, first.number, keep).await? != Left::More {
                        return Ok(());
                    }
                    (line.attempts, line.age) = (0, Duration::ZERO);
                }
                Answer::Gone => return self.gone(&line).await,
                Answer::Refused { outcome, wait } => {
                    return self.failed(&line, &id, &first.type_, &outcome, wait).await;
                }
            }
        }
        Ok(())
    }

    async fn gone(&self, line: &Line) -> Result<(), sqlx::Error> {
        self.attempts.failed(self.endpoint.name);
        if self.outbox.stop(line, GONE).await? {
            tracing::error!(endpoint = self.endpoint.name, "{GONE}; it is disabled");
        }
        Ok(())
    }

    async fn failed(
        &self,
        line: &Line,
        event: &str,
        type_: &str,
        outcome: &str,
        wait: Option<Duration>,
    ) -> Result<(), sqlx::Error> {
        self.attempts.failed(self.endpoint.name);
        let attempts = line.attempts + 1;
        // A claim is random, and a new one for each try.
        let chance = (line.claim.as_u128() & u128::from(u32::MAX)) as u32;
        let next = self.patience.after(attempts, line.age, wait, chance);
        let again = match next {
            Next::After(wait) => Some(wait),
            Next::Dead => None,
        };
        if !self.outbox.failed(line, outcome, again).await? {
            return Ok(());
        }
        let endpoint = self.endpoint.name;
        match again {
            Some(again) => {
                tracing::debug!(
                    endpoint,
                    event,
                    type_,
                    attempts,
                    outcome,
                    ?again,
                    "not taken"
                );
            }
            None => tracing::error!(
                endpoint,
                event,
                type_,
                subject = %line.subject,
                attempts,
                outcome,
                "the event is dead; it and what comes behind it wait for an operator"
            ),
        }
        Ok(())
    }

    fn tell(&self, what: &str, error: &sqlx::Error) {
        let endpoint = self.endpoint.name;
        let error = error as &(dyn std::error::Error + 'static);
        tracing::warn!(endpoint, error, "{what}");
    }
}
