//! One atomic batch: sent, committed, and counted.

use async_nats::HeaderMap;
use event_log::StoredEvent;
use serde::Deserialize;
use uuid::Uuid;

use super::{Cursor, Relay};
use crate::{
    envelope::{headers, subject},
    error::BusError,
};

impl Relay {
    pub(super) async fn publish(
        &self,
        cursor: &mut Cursor,
        batch: &[StoredEvent],
    ) -> Result<(), BusError> {
        let service = self.log.name();
        let epoch = cursor.epoch;
        let batch_id = Uuid::now_v7().simple().to_string();
        let client = self.bus.client();
        let mut answer = None;
        for (index, event) in batch.iter().enumerate() {
            let mut headers = headers(service, epoch, event);
            headers.insert("Nats-Batch-Id", batch_id.as_str());
            headers.insert("Nats-Batch-Sequence", (index + 1).to_string());
            if index == 0 {
                headers.insert(
                    "Nats-Expected-Last-Sequence",
                    cursor.last_sequence.to_string(),
                );
            }
            let subject = subject(&self.bus, service, event);
            let payload = event.payload.clone();
            if index + 1 == batch.len() {
                headers.insert("Nats-Batch-Commit", "1");
                answer = Some(self.commit(subject, headers, payload).await?);
            } else {
                client
                    .publish_with_headers(subject, headers, payload)
                    .await
                    .map_err(BusError::nats("publishing"))?;
            }
        }
        let Some(sequence) = answer else {
            return Ok(());
        };
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        if sequence != cursor.last_sequence + count {
            return Err(BusError::Refused {
                reason: format!(
                    "the batch ends at sequence {sequence}, expected {}",
                    cursor.last_sequence + count
                ),
            });
        }
        cursor.last_sequence = sequence;
        tracing::debug!(log = service, events = count, sequence, stream = %cursor.stream.cached_info().config.name, "relayed");
        Ok(())
    }

    /// Sends the message that makes the batch take effect; returns the sequence of that message.
    async fn commit(
        &self,
        subject: String,
        headers: HeaderMap,
        payload: bytes::Bytes,
    ) -> Result<u64, BusError> {
        let request = async_nats::Request::new()
            .headers(headers)
            .payload(payload)
            .timeout(Some(self.bus.request_timeout()));
        let answer = self
            .bus
            .client()
            .send_request(subject, request)
            .await
            .map_err(BusError::nats("committing a batch"))?;
        let ack: Ack = serde_json::from_slice(&answer.payload)
            .map_err(BusError::nats("reading an acknowledgement"))?;
        match (ack.error, ack.seq) {
            (Some(error), _) => Err(BusError::Refused {
                reason: format!("{} ({})", error.description, error.err_code),
            }),
            (None, Some(sequence)) => Ok(sequence),
            (None, None) => Err(BusError::Refused {
                reason: "an acknowledgement without a sequence".to_owned(),
            }),
        }
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
