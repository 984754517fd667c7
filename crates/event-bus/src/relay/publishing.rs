//! Atomic batches: sent one after the other, each before the one before it is confirmed, so that the server never waits for us.

use std::collections::VecDeque;

use async_nats::{Message, StatusCode, Subscriber, jetstream::stream::Stream};
use event_log::StoredEvent;
use futures::StreamExt as _;
use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::Relay;
use crate::{
    broken,
    bus::Bus,
    envelope::{headers, subject},
    error::BusError,
    tail::Tail,
};

/// What the relay knows of the stream, and what it has sent.
pub(super) struct Cursor {
    pub(super) stream: Stream,
    pub(super) epoch: i32,
    /// Last sequence of what was sent, if all of it takes effect. A batch expects the one before it to have done so.
    sent_sequence: u64,
    /// Messages that the stream then holds.
    messages: u64,
    unconfirmed: VecDeque<Sent>,
    inbox: String,
    answers: Subscriber,
}

/// A batch that was sent.
struct Sent {
    last_sequence: u64,
    events: usize,
    answer_until: Instant,
}

impl Cursor {
    pub(super) async fn new(
        bus: &Bus,
        stream: Stream,
        epoch: i32,
        tail: &Tail,
    ) -> Result<Self, BusError> {
        let inbox = bus.client().new_inbox();
        let answers = bus
            .client()
            .subscribe(inbox.clone())
            .await
            .map_err(BusError::nats("subscribing to acknowledgements"))?;
        Ok(Self {
            stream,
            epoch,
            sent_sequence: tail.last_sequence,
            messages: tail.messages,
            unconfirmed: VecDeque::new(),
            inbox,
            answers,
        })
    }

    /// Whether a batch was sent and is not confirmed.
    pub(super) fn is_unconfirmed(&self) -> bool {
        !self.unconfirmed.is_empty()
    }

    /// Whether the stream is the one that was opened and holds what it should. One that was deleted, truncated or restored refuses nothing
    /// as long as nothing is sent to it. Only to be asked when all that was sent is confirmed.
    pub(super) async fn is_undisturbed(&self) -> Result<bool, BusError> {
        if broken::undisturbed() {
            return Ok(true);
        }
        let info = self
            .stream
            .get_info()
            .await
            .map_err(BusError::nats("reading the stream's state"))?;
        Ok(info.created == self.stream.cached_info().created
            && info.state.messages == self.messages
            && info.state.last_sequence == self.sent_sequence)
    }
}

impl Relay {
    /// Sends a batch and asks for it to take effect, without waiting for that.
    pub(super) async fn send(
        &self,
        cursor: &mut Cursor,
        batch: &[StoredEvent],
    ) -> Result<(), BusError> {
        let service = self.log.name();
        fail::fail_point!("relay-before-publish", |_| std::process::abort());
        let batch_id = Uuid::now_v7().simple().to_string();
        let client = self.bus.client();
        for (index, event) in batch.iter().enumerate() {
            let mut headers = headers(service, cursor.epoch, event);
            headers.insert("Nats-Batch-Id", batch_id.as_str());
            headers.insert("Nats-Batch-Sequence", (index + 1).to_string());
            if index == 0 && !broken::expected_sequence() {
                headers.insert(
                    "Nats-Expected-Last-Sequence",
                    cursor.sent_sequence.to_string(),
                );
            }
            let subject = subject(&self.bus, service, event);
            let payload = event.payload.clone();
            if index + 1 == batch.len() {
                headers.insert("Nats-Batch-Commit", "1");
                client
                    .publish_with_reply_and_headers(subject, cursor.inbox.clone(), headers, payload)
                    .await
            } else {
                client.publish_with_headers(subject, headers, payload).await
            }
            .map_err(BusError::nats("publishing"))?;
        }
        let sent = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        cursor.sent_sequence += sent;
        cursor.messages += sent;
        cursor.unconfirmed.push_back(Sent {
            last_sequence: cursor.sent_sequence,
            events: batch.len(),
            answer_until: Instant::now() + self.bus.request_timeout(),
        });
        Ok(())
    }

    /// Waits until not more than `unconfirmed` batches wait to be confirmed.
    pub(super) async fn confirm(
        &self,
        cursor: &mut Cursor,
        unconfirmed: usize,
    ) -> Result<(), BusError> {
        while cursor.unconfirmed.len() > unconfirmed {
            let Some(sent) = cursor.unconfirmed.front() else {
                break;
            };
            let refused = |reason: String| BusError::Refused { reason };
            let answer = tokio::time::timeout_at(sent.answer_until, cursor.answers.next())
                .await
                .map_err(BusError::nats("committing a batch"))?
                .ok_or_else(|| refused("the connection was closed".to_owned()))?;
            fail::fail_point!("relay-after-publish", |_| std::process::abort());
            let sequence = sequence(&answer)?;
            if sequence != sent.last_sequence {
                return Err(refused(format!(
                    "the batch ends at sequence {sequence}, expected {}",
                    sent.last_sequence
                )));
            }
            tracing::debug!(
                log = self.log.name(),
                events = sent.events,
                sequence,
                stream = %cursor.stream.cached_info().config.name,
                "relayed"
            );
            self.standing.published(sent.events);
            cursor.unconfirmed.pop_front();
        }
        Ok(())
    }
}

/// The sequence of the last message of the batch that is answered for.
fn sequence(answer: &Message) -> Result<u64, BusError> {
    let refused = |reason: String| BusError::Refused { reason };
    if let Some(status) = answer.status
        && status != StatusCode::OK
    {
        return Err(refused(format!("nobody takes the stream ({status})")));
    }
    let ack: Ack = serde_json::from_slice(&answer.payload)
        .map_err(BusError::nats("reading an acknowledgement"))?;
    match (ack.error, ack.seq) {
        (Some(error), _) => Err(refused(format!(
            "{} ({})",
            error.description, error.err_code
        ))),
        (None, Some(sequence)) => Ok(sequence),
        (None, None) => Err(refused("an acknowledgement without a sequence".to_owned())),
    }
}

#[derive(Deserialize)]
struct Ack {
    error: Option<AckError>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
struct AckError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}
