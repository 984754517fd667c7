//! An event on a line for people to look at.

use contracts::common::v1::LoggedEvent;
use event_bus::event_type_token;
use event_json::moment;
use service::ServiceName;

pub(super) const TABLE_HEADER: &str = "recorded                    service       at         type                     stream                               version actor";

/// As a line of the table that [`TABLE_HEADER`] begins. Values are never cut: one that is too long moves the rest of its line.
pub(super) fn table(service: ServiceName, event: &LoggedEvent) -> String {
    let metadata = event.metadata.as_ref();
    format!(
        "{:<27} {service:<13} {:<10} {:<24} {:<36} {:>7} {}",
        moment(event.recorded_time.as_ref()),
        format!("{:02}/{}", event.partition, event.position),
        event_type_token(&event.r#type),
        event.stream_id,
        event.version,
        metadata.map_or("", |metadata| &metadata.actor)
    )
}
