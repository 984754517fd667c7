//! What payloads mean: the descriptors that all services publish.

use contracts::common::v1::LoggedEvent;
use event_bus::event_type_token;
use prost_reflect::{DescriptorError, DescriptorPool, DynamicMessage, MessageDescriptor};

/// No type has this short name.
#[derive(Debug, thiserror::Error)]
#[error("there is no event type {name}; there are {}", known.join(", "))]
pub struct UnknownType {
    /// What was asked for.
    pub name: String,
    /// The short names that there are.
    pub known: Vec<String>,
}

/// The types of events that this program knows.
#[derive(Clone)]
pub struct EventTypes(DescriptorPool);

impl EventTypes {
    /// Those that the contracts publish.
    ///
    /// # Errors
    /// Never in a program that was built from a contract that compiles.
    pub fn published() -> Result<Self, DescriptorError> {
        Ok(Self(DescriptorPool::decode(
            contracts::FILE_DESCRIPTOR_SET,
        )?))
    }

    /// The messages of all files of events, but for those that are parts of others.
    pub fn all(&self) -> impl Iterator<Item = MessageDescriptor> {
        let files = self.0.files();
        let of_events = files.filter(|file| file.name().ends_with("/events.proto"));
        let messages: Vec<MessageDescriptor> = of_events
            .flat_map(|file| file.messages().collect::<Vec<_>>())
            .collect();
        let fields = messages.iter().flat_map(MessageDescriptor::fields);
        let parts: Vec<MessageDescriptor> = fields
            .filter_map(|field| field.kind().as_message().cloned())
            .collect();
        let whole = messages.into_iter();
        whole.filter(move |message| !parts.contains(message))
    }

    /// The type of this name; none when an event of it is newer than this program.
    #[must_use]
    pub fn find(&self, full_name: &str) -> Option<MessageDescriptor> {
        self.0.get_message_by_name(full_name)
    }

    /// The payload of an event; none when its type is not known, or its bytes are none of that type.
    #[must_use]
    pub fn decode(&self, event: &LoggedEvent) -> Option<DynamicMessage> {
        let descriptor = self.find(&event.r#type)?;
        DynamicMessage::decode(descriptor, event.payload.clone()).ok()
    }

    /// The full name of a type that somebody asks for, be it short. A full name that is not known may be that of a newer type.
    ///
    /// # Errors
    /// When no type has this short name.
    pub fn full_name(&self, name: &str) -> Result<String, UnknownType> {
        if name.contains('.') {
            return Ok(name.to_owned());
        }
        let mut names: Vec<String> = self.all().map(|one| one.full_name().to_owned()).collect();
        if let Some(found) = names.iter().find(|full| event_type_token(full) == name) {
            return Ok(found.clone());
        }
        names.sort();
        let known = names.iter().map(|name| event_type_token(name).to_owned());
        Err(UnknownType {
            name: name.to_owned(),
            known: known.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_type_has_a_short_name_of_its_own() {
        let types = EventTypes::published().unwrap();
        let all: Vec<String> = types.all().map(|one| one.full_name().to_owned()).collect();
        let short: BTreeSet<&str> = all.iter().map(|name| event_type_token(name)).collect();
        assert!(all.len() >= 33, "{all:?}");
        assert_eq!(short.len(), all.len(), "{all:?}");
        for name in &all {
            let found = types.full_name(event_type_token(name)).unwrap();
            assert_eq!(found, *name);
        }
    }

    #[test]
    fn says_which_types_there_are() {
        let types = EventTypes::published().unwrap();
        let refused = types.full_name("PurchaseRecord").unwrap_err().to_string();
        assert!(
            refused.starts_with("there is no event type PurchaseRecord; there are AudienceDecided"),
            "{refused}"
        );
        assert_eq!(types.full_name("some.v9.Newer").unwrap(), "some.v9.Newer");
    }
}
