//! What the catalogue holds, however it is shown.

use prost_reflect::DynamicMessage;

/// All events of all services.
pub(crate) struct Catalogue {
    /// In the order in which they are told of.
    pub(crate) services: Vec<Service>,
    /// Messages that are part of events, by name.
    pub(crate) parts: Vec<Message>,
    /// Enumerations that fields of events take their values from, by name.
    pub(crate) enumerations: Vec<Enumeration>,
}

/// A service and what it publishes.
pub(crate) struct Service {
    pub(crate) name: String,
    /// What the service is for.
    pub(crate) about: String,
    /// In the order of the contract.
    pub(crate) events: Vec<Event>,
}

/// A type of event.
pub(crate) struct Event {
    /// Its message; what is told of that is what happened.
    pub(crate) message: Message,
    /// When it is sent.
    pub(crate) sent: String,
    /// On which stream it stands.
    pub(crate) stream: String,
    /// What whoever reads it can rely on.
    pub(crate) guaranteed: String,
    /// Schema version that is written today.
    pub(crate) version: u16,
    /// What a golden file of that version holds.
    pub(crate) example: DynamicMessage,
}

/// A message with its fields.
pub(crate) struct Message {
    /// With its package.
    pub(crate) full_name: String,
    pub(crate) meaning: String,
    pub(crate) fields: Vec<Field>,
}

/// A field of a message.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) json_name: String,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) repeated: bool,
    /// Whether absent is not the same as zero or empty.
    pub(crate) presence: bool,
    pub(crate) meaning: String,
    pub(crate) unit: Option<&'static str>,
}

impl Field {
    /// Whether it identifies a person, and is ciphertext.
    pub(crate) fn is_sealed(&self) -> bool {
        self.kind == Kind::Sealed
    }

    /// Full name of the message that it holds, if it holds one of ours.
    pub(crate) fn message(&self) -> Option<&str> {
        if let Kind::Message(name) = &self.kind {
            return Some(name);
        }
        None
    }

    /// Full name of the enumeration that it has its values from, if there is one.
    pub(crate) fn enumeration(&self) -> Option<&str> {
        if let Kind::Enumeration(name) = &self.kind {
            return Some(name);
        }
        None
    }
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Uuid,
    /// Bytes that only who has the subject's key can read.
    Sealed,
    Boolean,
    Double,
    Unsigned32,
    Unsigned64,
    Signed64,
    Moment,
    /// Full name of the message.
    Message(String),
    /// Full name of the enumeration.
    Enumeration(String),
}

/// An enumeration.
pub(crate) struct Enumeration {
    /// With its package.
    pub(crate) full_name: String,
    pub(crate) meaning: String,
    /// In the order of the contract, the one that means nothing first.
    pub(crate) values: Vec<Value>,
}

/// A value of an enumeration.
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) meaning: String,
}

impl Catalogue {
    pub(crate) fn part(&self, full_name: &str) -> Option<&Message> {
        let mut parts = self.parts.iter();
        parts.find(|part| part.full_name == full_name)
    }

    pub(crate) fn enumeration(&self, full_name: &str) -> Option<&Enumeration> {
        let mut enumerations = self.enumerations.iter();
        enumerations.find(|enumeration| enumeration.full_name == full_name)
    }

    /// The messages that a message consists of, at any depth, each once.
    pub(crate) fn parts_of<'a>(&'a self, message: &'a Message) -> Vec<&'a Message> {
        let mut found: Vec<&Message> = Vec::new();
        let mut open = vec![message];
        while let Some(message) = open.pop() {
            let parts = message
                .fields
                .iter()
                .filter_map(|field| self.part(field.message()?));
            for part in parts {
                if !found.iter().any(|known| known.full_name == part.full_name) {
                    found.push(part);
                    open.push(part);
                }
            }
        }
        found
    }
}

impl Service {
    /// Name of its stream in JetStream.
    pub(crate) fn stream(&self) -> String {
        self.name.to_uppercase()
    }
}

impl Event {
    /// Its name, as the last token of its subject has it.
    pub(crate) fn name(&self) -> &str {
        self.message.name()
    }

    /// The example in protobuf's JSON, as it is read by people.
    pub(crate) fn example_json(&self) -> String {
        serde_json::to_string_pretty(&self.example)
            .expect("a message whose bytes decoded has a JSON form")
    }
}

impl Message {
    /// Its name without the package.
    pub(crate) fn name(&self) -> &str {
        short(&self.full_name)
    }

    /// Whether any of its own fields is sealed.
    pub(crate) fn has_sealed(&self) -> bool {
        self.fields.iter().any(Field::is_sealed)
    }
}

/// A name without its package.
pub(crate) fn short(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}
