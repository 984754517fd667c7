//! The catalogue from the protos, their comments and the golden files. What is missing is told all at once.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind as ProtoKind,
    MessageDescriptor,
};

use super::comments::{Comments, Told, line};
use super::golden::{self, Golden, snake_case};
use super::model::{Catalogue, Enumeration, Event, Field, Kind, Message, Service, Value};
use super::protos::{api_file, compile, events, events_file, services};
use super::units;

const TIMESTAMP: &str = "google.protobuf.Timestamp";
/// Ends the names of fields that identify a person.
const SEALED: &str = "_sealed";
/// An id that another system gave, in that system's form.
const FOREIGN_ID: &str = "source_id";

/// Reads the catalogue of a checkout.
pub(super) fn read(root: &Path) -> anyhow::Result<Catalogue> {
    let names = services(root)?;
    let pool = compile(root, &names)?;
    let mut reader = Reader {
        comments: Comments::of(&pool),
        parts: BTreeMap::new(),
        enumerations: BTreeMap::new(),
        wrong: Vec::new(),
    };
    let mut services = Vec::new();
    for name in names {
        let file = pool
            .get_file_by_name(&events_file(&name))
            .with_context(|| format!("{name} has no events file"))?;
        let golden = golden::read(&root.join(format!("services/{name}/tests/golden")))?;
        services.push(reader.service(name, &file, golden));
    }
    if !reader.wrong.is_empty() {
        bail!(
            "the catalogue of events cannot be written:\n  {}",
            reader.wrong.join("\n  ")
        );
    }
    Ok(Catalogue {
        services,
        parts: reader.parts.into_values().collect(),
        enumerations: reader.enumerations.into_values().collect(),
    })
}

struct Reader {
    comments: Comments,
    parts: BTreeMap<String, Message>,
    enumerations: BTreeMap<String, Enumeration>,
    /// What is missing or contradicts itself, in words.
    wrong: Vec<String>,
}

impl Reader {
    fn service(&mut self, name: String, file: &FileDescriptor, mut golden: Golden) -> Service {
        let events = events(file)
            .into_iter()
            .filter_map(|message| self.event(&message, &mut golden))
            .collect();
        for event in golden.keys() {
            let wrong = format!("{name}: the golden file {event} is of no event in the contract");
            self.wrong.push(wrong);
        }
        let about = line(self.comments.of_package(&api_file(&name)));
        let about = self.told(&api_file(&name), about);
        Service {
            about,
            name,
            events,
        }
    }

    /// `None`, and the reason among what is wrong, where an event is not fully described.
    fn event(&mut self, message: &MessageDescriptor, golden: &mut Golden) -> Option<Event> {
        let name = message.full_name();
        let told = Told::parse(
            self.comments
                .at(message.parent_file().name(), message.path()),
        );
        let stored = golden.remove(&snake_case(message.name()));
        let newest = stored.and_then(|mut versions| versions.pop_last());
        let fields = self.fields(message);
        let told = told.map_err(|missing| {
            self.wrong
                .push(format!("{name}: its comment lacks {missing}"))
        });
        let Some((version, bytes)) = newest else {
            self.wrong
                .push(format!("{name}: there is no golden file of it"));
            return None;
        };
        let example = DynamicMessage::decode(message.clone(), &*bytes).map_err(|error| {
            self.wrong.push(format!(
                "{name}: its golden file of version {version} does not decode: {error}"
            ));
        });
        let (told, example) = (told.ok()?, example.ok()?);
        Some(Event {
            message: Message {
                full_name: name.to_owned(),
                meaning: told.happened,
                fields,
            },
            sent: told.sent,
            stream: told.stream,
            guaranteed: told.guaranteed,
            version,
            example,
        })
    }

    fn fields(&mut self, message: &MessageDescriptor) -> Vec<Field> {
        message.fields().map(|field| self.field(&field)).collect()
    }

    fn field(&mut self, field: &FieldDescriptor) -> Field {
        let kind = self.kind(field);
        let unit = match kind {
            Some(Kind::Double | Kind::Unsigned32 | Kind::Unsigned64 | Kind::Signed64) => {
                units::of_number(field.name()).unwrap_or_else(|| {
                    let wrong = "it is not known what it counts; say so in `catalogue/units.rs`";
                    self.wrong.push(format!("{}: {wrong}", field.full_name()));
                    None
                })
            }
            Some(Kind::Moment) => Some("UTC"),
            _ => None,
        };
        let kind = kind.unwrap_or_else(|| {
            let wrong = format!(
                "{}: a field of a kind that the catalogue cannot show",
                field.full_name()
            );
            self.wrong.push(wrong);
            Kind::Text
        });
        let meaning = self.comment(field.full_name(), field.parent_file().name(), field.path());
        Field {
            name: field.name().to_owned(),
            json_name: field.json_name().to_owned(),
            number: field.number(),
            repeated: field.is_list(),
            presence: field.supports_presence(),
            kind,
            meaning,
            unit,
        }
    }

    fn kind(&mut self, field: &FieldDescriptor) -> Option<Kind> {
        let name = field.name();
        let is_sealed = name.ends_with(SEALED);
        Some(match field.kind() {
            ProtoKind::Bytes if is_sealed => Kind::Sealed,
            _ if is_sealed => return None,
            ProtoKind::String if name.ends_with("_id") && name != FOREIGN_ID => Kind::Uuid,
            ProtoKind::String => Kind::Text,
            ProtoKind::Bool => Kind::Boolean,
            ProtoKind::Double => Kind::Double,
            ProtoKind::Uint32 => Kind::Unsigned32,
            ProtoKind::Uint64 => Kind::Unsigned64,
            ProtoKind::Int64 => Kind::Signed64,
            ProtoKind::Message(message) if message.full_name() == TIMESTAMP => Kind::Moment,
            ProtoKind::Message(message) if !field.is_map() => {
                self.part(&message);
                Kind::Message(message.full_name().to_owned())
            }
            ProtoKind::Enum(enumeration) => {
                self.enumeration(&enumeration);
                Kind::Enumeration(enumeration.full_name().to_owned())
            }
            ProtoKind::Message(_)
            | ProtoKind::Bytes
            | ProtoKind::Float
            | ProtoKind::Int32
            | ProtoKind::Sint32
            | ProtoKind::Sint64
            | ProtoKind::Fixed32
            | ProtoKind::Fixed64
            | ProtoKind::Sfixed32
            | ProtoKind::Sfixed64 => return None,
        })
    }

    fn part(&mut self, message: &MessageDescriptor) {
        let name = message.full_name();
        if !self.parts.contains_key(name) {
            let meaning = self.comment(name, message.parent_file().name(), message.path());
            // Known before its fields are read, since they may lead back to it.
            let known = Message {
                full_name: name.to_owned(),
                meaning,
                fields: Vec::new(),
            };
            self.parts.insert(name.to_owned(), known);
            let fields = self.fields(message);
            if let Some(part) = self.parts.get_mut(name) {
                part.fields = fields;
            }
        }
    }

    fn enumeration(&mut self, enumeration: &EnumDescriptor) {
        let name = enumeration.full_name();
        if self.enumerations.contains_key(name) {
            return;
        }
        let file = enumeration.parent_file();
        let values = enumeration
            .values()
            .map(|value| Value {
                name: value.name().to_owned(),
                meaning: self.comment(value.full_name(), file.name(), value.path()),
            })
            .collect();
        let described = Enumeration {
            full_name: name.to_owned(),
            meaning: self.comment(name, file.name(), enumeration.path()),
            values,
        };
        self.enumerations.insert(name.to_owned(), described);
    }

    fn comment(&mut self, name: &str, file: &str, path: &[i32]) -> String {
        let comment = line(self.comments.at(file, path));
        self.told(name, comment)
    }

    fn told(&mut self, name: &str, comment: String) -> String {
        if comment.is_empty() {
            self.wrong.push(format!("{name}: it has no comment"));
        }
        comment
    }
}
