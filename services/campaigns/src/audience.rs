//! Decides for the audiences of started campaigns, in the background.
//!
//! What is to be done is found in the read model and every decision stands on the customer's stream, so that it may end at any
//! point and begin again: who has been decided on is not decided on twice.

mod decide;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use event_log::{ConsistencyToken, EventLog, InvalidToken, LogError, WaitError};
use service::{Peer, status};
use tokio::{
    sync::Notify,
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::read_model::{CampaignsProjection, DecidingCampaign, deciding};

/// Campaigns that are worked on at the same time.
const CAMPAIGNS_MAX: usize = 4;
/// How often to look for campaigns that another process has started. What this process starts wakes it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long to wait for a read model before the attempt counts as failed.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// How long to wait after a first failure; doubled with each further one.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(10);

/// Works on all campaigns whose decisions are still to be made.
#[derive(Clone)]
pub(crate) struct Audiences {
    pub(crate) log: EventLog,
    pub(crate) customers: Peer,
    pub(crate) segmentation: Peer,
    /// Told when a campaign was started.
    pub(crate) started: Arc<Notify>,
}

/// Why a campaign's decisions could not all be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AudienceError {
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// A read model is behind.
    #[error("a read model does not show what is needed")]
    Behind(#[from] WaitError),
    /// The database failed.
    #[error("the read model's database failed")]
    Database(#[from] sqlx::Error),
    /// Another service does not answer, or does not answer such a question.
    #[error("the {service} service was asked in vain")]
    Peer {
        /// The service.
        service: &'static str,
        /// What it said.
        #[source]
        source: Box<Status>,
    },
    /// The customers service gave something that is no token.
    #[error("the customers service gave a wrong token")]
    Token(#[from] InvalidToken),
    /// The segmentation service gave something that is no customer.
    #[error("the segmentation service gave a member that is no customer")]
    Member(#[from] aggregate::InvalidId),
    /// Others changed the same stream again and again.
    #[error("the streams keep changing")]
    Contended,
}

/// When a campaign that could not go on is tried again.
struct Retry {
    at: Instant,
    delay: Duration,
}

impl Retry {
    fn after(before: Option<&Self>) -> Self {
        let delay = before.map_or(RETRY_DELAY_MIN, |before| {
            (before.delay * 2).min(RETRY_DELAY_MAX)
        });
        Self {
            at: Instant::now() + delay,
            delay,
        }
    }
}

impl Audiences {
    /// Runs until `shutdown`; what is under way then is left as it is, to be gone on with later.
    ///
    /// # Errors
    /// When a task panicked.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<(), JoinError> {
        let mut working = JoinSet::new();
        let mut busy = HashSet::new();
        let mut retries: HashMap<DecidingCampaign, Retry> = HashMap::new();
        loop {
            // Registered before looking, so that no start in between is missed.
            let started = self.started.notified();
            tokio::pin!(started);
            started.as_mut().enable();
            let Some(found) = shutdown.run_until_cancelled(self.find()).await else {
                return Ok(());
            };
            for campaign in found {
                let due = retries
                    .get(&campaign)
                    .is_none_or(|retry| retry.at <= Instant::now());
                if due && busy.len() < CAMPAIGNS_MAX && busy.insert(campaign.clone()) {
                    let worker = self.clone();
                    working.spawn(async move {
                        let decided = worker.decide(&campaign).await;
                        (campaign, decided)
                    });
                }
            }
            // Those that are due and find no place are looked at when a place becomes free.
            let now = Instant::now();
            let later = retries
                .values()
                .map(|retry| retry.at)
                .filter(|at| *at > now);
            let next = later.fold(now + LOOK_AGAIN, Instant::min);
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(ended) = working.join_next() => {
                    let (campaign, decided) = ended?;
                    busy.remove(&campaign);
                    let before = retries.remove(&campaign);
                    if let Err(error) = decided {
                        let retry = Retry::after(before.as_ref());
                        warn(&campaign, &error, &retry);
                        retries.insert(campaign, retry);
                    }
                }
                () = &mut started => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
    }

    /// The campaigns to work on, as far as they can be found out.
    async fn find(&self) -> Vec<DecidingCampaign> {
        let found = async {
            self.catch_up().await?;
            Ok::<_, AudienceError>(deciding(self.log.pool()).await?)
        };
        found.await.unwrap_or_else(|error| {
            tracing::warn!(
                error = status::chain(&error),
                "started campaigns cannot be found; trying again"
            );
            Vec::new()
        })
    }

    /// Waits until the read model shows all that is in the log by now.
    async fn catch_up(&self) -> Result<(), AudienceError> {
        let (name, epoch) = (self.log.name(), self.log.epoch());
        let heads = ConsistencyToken::new(name, epoch, self.log.heads().await?);
        let deadline = Instant::now() + WAIT_MAX;
        Ok(self
            .log
            .wait_for(&CampaignsProjection, name, &[heads], deadline)
            .await?)
    }
}

fn warn(campaign: &DecidingCampaign, error: &AudienceError, retry: &Retry) {
    tracing::warn!(
        campaign_id = %campaign.id,
        error = status::chain(error),
        retry_delay_ms = retry.delay.as_millis(),
        "the audience is not decided yet; trying again"
    );
}
