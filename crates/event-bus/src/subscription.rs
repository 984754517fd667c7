//! Listening to what relays publish, as somebody who may subscribe and nothing else: without JetStream, and so without a second chance.
//! What was not heard is seen by its positions, and read from the origin.

use aggregate::{Partition, TenantId};
use async_nats::Subscriber;
use event_log::StoredEvent;
use futures::StreamExt as _;

use crate::{bus::Bus, envelope::receive, error::BusError};

/// An event that was heard.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The event.
    pub event: StoredEvent,
    /// The epoch of the log when it was published.
    pub epoch: i32,
}

/// A subscription to the events that a service publishes for one tenant, from the moment at which the server has taken it. It outlives the
/// connection: after a loss it is made again, without what was published meanwhile. At most the client's capacity (65,536 messages) waits to
/// be taken; what comes then is dropped.
pub struct Subscription {
    bus: Bus,
    subject: String,
    subscriber: Subscriber,
}

impl Bus {
    /// Subscribes to what `service` publishes for a tenant, of one partition or of all.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn subscribe(
        &self,
        tenant: &TenantId,
        service: &str,
        partition: Option<Partition>,
    ) -> Result<Subscription, BusError> {
        let subject = self.subscription_subject(tenant, service, partition);
        let subscriber = self
            .client()
            .subscribe(subject.clone())
            .await
            .map_err(BusError::nats("subscribing"))?;
        Ok(Subscription {
            bus: self.clone(),
            subject,
            subscriber,
        })
    }
}

impl Subscription {
    /// Returns when the subscription is on its way to the server, which answers nothing that its client tells: an event that is published
    /// at this very moment may still not be heard.
    ///
    /// # Errors
    /// When there is no connection within the time limit of a request.
    pub async fn sent(&self) -> Result<(), BusError> {
        tokio::time::timeout(self.bus.request_timeout(), self.bus.client().flush())
            .await
            .map_err(BusError::nats("waiting for a connection"))?
            .map_err(BusError::nats("sending the subscription"))
    }

    /// Waits for the next event. Nothing is lost when the call is dropped.
    ///
    /// # Errors
    /// When a message is no event, after which others come; and when the client is closed.
    pub async fn next(&mut self) -> Result<Heard, BusError> {
        let message = self.subscriber.next().await;
        let message = message
            .ok_or_else(|| BusError::nats("listening")("the subscription has ended".to_owned()))?;
        let headers = message.headers.as_ref();
        // A subscription has no sequences: they are the stream's.
        let received = receive(&message.subject, headers, message.payload, 0);
        let received = received.map_err(|error| BusError::Unreadable {
            subject: self.subject.clone(),
            reason: error.to_string(),
        })?;
        Ok(Heard {
            event: received.event,
            epoch: received.epoch,
        })
    }
}
