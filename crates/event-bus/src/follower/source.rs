//! The stream that a follower reads: where to begin, and what comes.

use std::collections::BTreeSet;

use async_nats::jetstream::{
    self,
    consumer::{
        DeliverPolicy,
        pull::{Ordered, OrderedConfig},
    },
    stream::{State, Stream},
};

use super::Checkpoints;
use crate::{
    bus::Bus,
    envelope::{EnvelopeError, Received, receive},
    error::BusError,
};

/// Another service's stream.
pub(super) struct Source {
    stream: Stream,
    name: String,
}

/// Where to begin reading a stream.
pub(super) struct Start {
    pub(super) sequence: u64,
    /// The stream begins behind that.
    pub(super) lacks_older: bool,
}

impl Source {
    pub(super) async fn open(bus: &Bus, service: &str) -> Result<Self, BusError> {
        Ok(Self {
            stream: bus.stream(service).await?,
            name: bus.stream_name(service),
        })
    }

    /// Whether the stream is the one that was opened, and none that was made in its place.
    pub(super) async fn is_the_same(&self) -> Result<bool, BusError> {
        let info = self
            .stream
            .get_info()
            .await
            .map_err(BusError::nats("reading the stream's state"))?;
        Ok(info.created == self.stream.cached_info().created)
    }

    /// From where to read the stream so that nothing new for one of the partitions held is missed.
    pub(super) async fn start(&self, held: &Checkpoints) -> Result<Start, BusError> {
        let info = self
            .stream
            .get_info()
            .await
            .map_err(BusError::nats("reading the stream's state"))?;
        let seen: BTreeSet<u64> = held
            .values()
            .map(|checkpoint| u64::try_from(checkpoint.source_sequence).unwrap_or(0))
            .collect();
        let mut sequence = seen.first().map_or(1, |first| first + 1);
        for seen in seen {
            if !self.still_holds(&info.state, held, seen).await? {
                // The stream was made anew; what is known of its sequences means nothing.
                sequence = 1;
            }
        }
        Ok(Start {
            sequence,
            lacks_older: sequence < info.state.first_sequence,
        })
    }

    /// Whether the stream has at `sequence` what it had there when it was seen.
    async fn still_holds(
        &self,
        state: &State,
        held: &Checkpoints,
        sequence: u64,
    ) -> Result<bool, BusError> {
        if sequence == 0 || sequence < state.first_sequence {
            // Nothing was seen, or it is gone with all before it; then the origin is read.
            return Ok(true);
        }
        if sequence > state.last_sequence {
            return Ok(false);
        }
        let message = self
            .stream
            .get_raw_message(sequence)
            .await
            .map_err(BusError::nats("reading what was seen last"))?;
        let headers = Some(&message.headers);
        let received = receive(&message.subject, headers, message.payload.clone(), sequence)
            .map_err(|error| self.foreign(sequence, &error))?;
        Ok(held
            .get(&received.event.partition)
            .is_some_and(|checkpoint| {
                checkpoint.position == received.event.position
                    && checkpoint.source_epoch == received.epoch
            }))
    }

    /// The messages from a sequence on, in order.
    pub(super) async fn messages(&self, start_sequence: u64) -> Result<Ordered, BusError> {
        let config = OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
            ..OrderedConfig::default()
        };
        self.stream
            .create_consumer(config)
            .await
            .map_err(BusError::nats("creating an ordered consumer"))?
            .messages()
            .await
            .map_err(BusError::nats("reading the stream"))
    }

    /// The events in messages of the stream.
    pub(super) fn receive_all<E>(
        &self,
        chunk: Vec<Result<jetstream::Message, E>>,
    ) -> Result<Vec<Received>, BusError>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        chunk
            .into_iter()
            .map(|message| {
                let message = message.map_err(BusError::nats("reading the stream"))?;
                let sequence = message
                    .info()
                    .map_err(BusError::nats("reading a message's place"))?
                    .stream_sequence;
                receive(
                    &message.subject,
                    message.headers.as_ref(),
                    message.payload.clone(),
                    sequence,
                )
                .map_err(|error| self.foreign(sequence, &error))
            })
            .collect()
    }

    fn foreign(&self, sequence: u64, error: &EnvelopeError) -> BusError {
        BusError::Foreign {
            stream: self.name.clone(),
            sequence,
            reason: error.to_string(),
        }
    }
}
