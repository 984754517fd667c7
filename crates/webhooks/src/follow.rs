//! What an endpoint is to be told of one service's events: a projection that writes them down as they are to be sent, in the transaction that
//! moves its checkpoint. It sends nothing.

use std::sync::Arc;

use event_json::{EventTypes, logged};
use event_log::{DecodeError, Projection, ProjectionError, StoredEvent};
use prost_reflect::DynamicMessage;
use service::{EpochTold, ServiceName};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    endpoint::Endpoint,
    outbox::{self, Queued},
};

/// The events of one service that one endpoint is told.
pub(crate) struct Following {
    pub(crate) name: &'static str,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) service: ServiceName,
    pub(crate) types: EventTypes,
    pub(crate) told: EpochTold,
    /// Nothing that was recorded before.
    pub(crate) since: Option<OffsetDateTime>,
}

/// The name under which an endpoint's checkpoints in a service's log are kept.
pub(crate) fn name(endpoint: &str, service: ServiceName) -> String {
    format!("webhooks.{endpoint}.{service}")
}

impl Following {
    fn wants(&self, event: &StoredEvent) -> bool {
        event.tenant == self.endpoint.tenant
            && self.since.is_none_or(|since| event.recorded_at >= since)
            && (self.endpoint.types.is_empty() || self.endpoint.types.contains(&event.type_))
    }

    /// The event as it is to be sent. One of a type that is not known yet could not be put into a line, and so waits for a newer version.
    fn queued(&self, event: &StoredEvent, epoch: i32) -> Result<Queued, DecodeError> {
        let type_ = &event.type_;
        let Some(descriptor) = self.types.find(type_) else {
            return Err(DecodeError::UnknownType {
                type_: type_.clone(),
                schema_version: event.schema_version,
            });
        };
        let malformed = |source| DecodeError::Malformed {
            type_: type_.clone(),
            source,
        };
        let data = DynamicMessage::decode(descriptor, event.payload.clone()).map_err(malformed)?;
        let logged = logged(event.clone(), u32::try_from(epoch).unwrap_or_default());
        let body = event_json::json(self.service.as_str(), &logged, &self.types);
        Ok(Queued {
            partition: event.partition,
            subject: self.subject(event, &data),
            event_id: event.event_id,
            type_: type_.clone(),
            body: body.map_err(|_| DecodeError::InvalidField {
                type_: type_.clone(),
                field: "a value that JSON cannot say",
            })?,
        })
    }

    /// In whose line the event stands. The streams of the customers service are customers and claims on identifiers; each is a line of its
    /// own, since an event there may name another customer than the one whose stream it is in. Elsewhere a customer has many streams, whose
    /// events name the customer and lie in the customer's partition.
    fn subject(&self, event: &StoredEvent, data: &DynamicMessage) -> Uuid {
        let named = match self.service {
            ServiceName::Customers => None,
            ServiceName::Interactions | ServiceName::Segmentation | ServiceName::Campaigns => data
                .get_field_by_name("customer_id")
                .and_then(|field| field.as_str()?.parse().ok()),
        };
        named.unwrap_or(event.stream_id.0)
    }
}

impl Projection for Following {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        // No follower begins before it was told; should one, the batch comes again.
        let epoch = self.told.get().ok_or(ProjectionError::Overtaken)?;
        let wanted = events.iter().filter(|event| self.wants(event));
        let queued: Vec<Queued> = wanted
            .map(|event| self.queued(event, epoch))
            .collect::<Result<_, _>>()?;
        outbox::queue(connection, self.endpoint.name, &queued).await?;
        Ok(())
    }
}
