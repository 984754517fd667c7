//! Every message of a stream in order, without its payload: for those who compare it with a log.

use async_nats::jetstream::{
    consumer::pull::{Ordered, OrderedConfig},
    stream::Stream,
};
use event_log::StoredEvent;

use crate::{bus::Bus, envelope::receive, error::BusError};

/// The messages of a stream from its beginning, headers alone.
pub(crate) async fn headers(stream: &Stream) -> Result<Ordered, BusError> {
    let config = OrderedConfig {
        headers_only: true,
        ..OrderedConfig::default()
    };
    stream
        .create_consumer(config)
        .await
        .map_err(BusError::nats("creating an ordered consumer"))?
        .messages()
        .await
        .map_err(BusError::nats("reading the stream"))
}

/// The sequence of a message, and its event without a payload.
///
/// # Errors
/// When the message is not an event.
pub(crate) fn event_of(
    bus: &Bus,
    service: &str,
    message: &async_nats::jetstream::Message,
) -> Result<(u64, StoredEvent), BusError> {
    let sequence = message
        .info()
        .map_err(BusError::nats("reading a message's place"))?
        .stream_sequence;
    let headers = message.headers.as_ref();
    let received =
        receive(&message.subject, headers, message.payload.clone(), sequence).map_err(|error| {
            BusError::Foreign {
                stream: bus.stream_name(service),
                sequence,
                reason: error.to_string(),
            }
        })?;
    Ok((sequence, received.event))
}
