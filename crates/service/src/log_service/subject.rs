//! What a log says of one customer, with what is personal in clear.

use std::sync::LazyLock;

use aggregate::{CustomerId, Partition, TenantId};
use contracts::common::v1::{ExportSubjectResponse, OpenedField};
use event_log::{EventLog, LogError, StoredEvent, SubjectCipher};
use futures::{Stream, TryStreamExt as _, future, stream};
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use tonic::Status;
use uuid::Uuid;

use super::{Reading, to_proto};
use crate::command::failed;

/// What the names of sealed fields end in. What they are sealed for is the name without it.
const SEALED: &str = "_sealed";

static TYPES: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(contracts::FILE_DESCRIPTOR_SET).expect("the contracts are compiled")
});

/// All events on the customer's own stream, and those that name the customer. They lie in one partition, which is read as a whole.
pub(super) async fn export(
    log: &EventLog,
    tenant: TenantId,
    customer: CustomerId,
) -> Result<impl Stream<Item = Result<ExportSubjectResponse, Status>> + Send + use<>, Status> {
    let cipher = log.keys().cipher(&tenant, customer).await;
    let cipher = cipher.map_err(|error| failed(LogError::from(error)))?;
    let cipher = cipher.unwrap_or_else(|| SubjectCipher::none(&tenant));
    let partition = Partition::of_customer(&tenant, customer);
    let reading = Reading::begin(log, partition, 0, 0, Some(tenant)).await?;
    let epoch = log.epoch();
    let events = stream::try_unfold(reading, Reading::next)
        .try_filter(move |event| future::ready(is_about(event, customer)))
        .map_ok(move |event| ExportSubjectResponse {
            opened: opened(&event, &cipher),
            event: Some(to_proto(event, epoch)),
        });
    Ok(events)
}

/// An id stands in a payload as the text that it is, which nothing else contains by chance.
fn is_about(event: &StoredEvent, customer: CustomerId) -> bool {
    let id = customer.to_string();
    event.stream_id.0 == customer.0
        || event
            .payload
            .windows(id.len())
            .any(|window| window == id.as_bytes())
}

/// The sealed fields of an event that the cipher opens, those of others not. Of a type that is newer than this program nothing is known.
fn opened(event: &StoredEvent, cipher: &SubjectCipher) -> Vec<OpenedField> {
    let mut found = Vec::new();
    if let Some(descriptor) = TYPES.get_message_by_name(&event.type_)
        && let Ok(message) = DynamicMessage::decode(descriptor, event.payload.clone())
    {
        open(&message, "", event.event_id, cipher, &mut found);
    }
    found
}

fn open(
    message: &DynamicMessage,
    path: &str,
    event_id: Uuid,
    cipher: &SubjectCipher,
    found: &mut Vec<OpenedField>,
) {
    for (field, value) in message.fields() {
        match (value, field.name().strip_suffix(SEALED)) {
            (Value::Bytes(sealed), Some(name)) => {
                let opened = cipher.open_bytes(event_id, name, sealed);
                found.extend(opened.map(|value| OpenedField {
                    path: format!("{path}{name}"),
                    value: value.into(),
                }));
            }
            (Value::Message(part), _) => {
                let path = format!("{path}{}.", field.name());
                open(part, &path, event_id, cipher, found);
            }
            _ => {}
        }
    }
}
