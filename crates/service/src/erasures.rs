//! What was destroyed of somebody who was erased: asked of the service itself and of the others.

use contracts::common::v1::{GetErasureRequest, log_service_client::LogServiceClient};
use event_log::{EventLog, Subject, Wiped, timestamp};

use crate::{Peer, ServiceName};

/// A service that can be asked.
#[derive(Clone)]
pub struct Erasures {
    service: ServiceName,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Here(EventLog),
    There(Peer),
}

/// Why it is not known.
type Unanswered = Box<dyn std::error::Error + Send + Sync>;

impl Erasures {
    pub(crate) fn here(service: ServiceName, log: EventLog) -> Self {
        Self {
            service,
            place: Place::Here(log),
        }
    }

    pub(crate) fn there(service: ServiceName, peer: Peer) -> Self {
        Self {
            service,
            place: Place::There(peer),
        }
    }

    /// Which service it is.
    #[must_use]
    pub fn service(&self) -> ServiceName {
        self.service
    }

    /// What it has destroyed of the subject, by name; nothing while it has not. None when it does not answer, which is logged.
    pub async fn of(&self, subject: &Subject) -> Option<Vec<Wiped>> {
        match self.ask(subject).await {
            Ok(wiped) => Some(wiped),
            Err(error) => {
                tracing::warn!(
                    service = %self.service,
                    error = &*error as &dyn std::error::Error,
                    "a service does not tell what it has destroyed"
                );
                None
            }
        }
    }

    async fn ask(&self, subject: &Subject) -> Result<Vec<Wiped>, Unanswered> {
        let peer = match &self.place {
            Place::Here(log) => return Ok(log.wiped(subject).await?),
            Place::There(peer) => peer,
        };
        let request = GetErasureRequest {
            customer_id: subject.customer.to_string(),
        };
        let answer = LogServiceClient::new(peer.for_tenant(&subject.tenant))
            .get_erasure(request)
            .await?;
        answer
            .into_inner()
            .wiped
            .into_iter()
            .map(|wiped| {
                let at = wiped.wiped_time.ok_or("there is no wiped_time")?;
                Ok(Wiped {
                    what: wiped.what,
                    rows: wiped.rows,
                    wiped_at: timestamp::from_proto(&at)?,
                })
            })
            .collect()
    }
}
