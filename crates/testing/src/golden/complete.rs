//! That no event type and no schema version is without its golden file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use event_log::{DecodeError, StoredEvent};
use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};
use time::OffsetDateTime;

use super::stored;

/// Asserts that the golden files of a service are complete: each event of the contract's package (`vefa.customers.v1`) has one for every
/// schema version from 1 on, each of them decodes, and `decode` knows no version beyond them. A file is named after its event:
/// `CustomerRegistered` at version 1 is `customer_registered.v1.bin`.
#[track_caller]
pub fn assert_complete(
    package: &str,
    golden: &Path,
    at: OffsetDateTime,
    decode: impl Fn(&StoredEvent) -> Result<(), DecodeError>,
) {
    let mut files = files(golden);
    for event in events(package) {
        let versions = files.remove(&snake_case(&event)).unwrap_or_default();
        let expected: BTreeSet<i16> = (1..=i16::try_from(versions.len()).unwrap().max(1)).collect();
        let found: BTreeSet<i16> = versions.keys().copied().collect();
        assert_eq!(found, expected, "golden files of {event}");
        let type_ = format!("{package}.{event}");
        for (version, payload) in &versions {
            decode(&stored(&type_, *version, payload, at))
                .unwrap_or_else(|error| panic!("{event} v{version}: {error}"));
        }
        let (newest, payload) = versions.last_key_value().unwrap();
        let beyond = decode(&stored(&type_, newest + 1, payload, at));
        assert!(
            matches!(beyond, Err(DecodeError::UnknownType { .. })),
            "{event} v{} is known and has no golden file",
            newest + 1
        );
    }
    assert!(files.is_empty(), "of no event: {:?}", files.keys());
}

/// The golden files by event and version.
fn files(golden: &Path) -> BTreeMap<String, BTreeMap<i16, Vec<u8>>> {
    let mut files: BTreeMap<String, BTreeMap<i16, Vec<u8>>> = BTreeMap::new();
    for entry in fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let parts = name
            .strip_suffix(".bin")
            .and_then(|name| name.rsplit_once(".v"));
        let (event, version) = parts.unwrap_or_else(|| panic!("{name} names no event and version"));
        files
            .entry(event.to_owned())
            .or_default()
            .insert(version.parse().unwrap(), fs::read(&path).unwrap());
    }
    files
}

/// The messages of the package's events file that are no part of another message.
fn events(package: &str) -> Vec<String> {
    let set = FileDescriptorSet::decode(contracts::FILE_DESCRIPTOR_SET).unwrap();
    let is_events = |file: &&FileDescriptorProto| {
        file.package() == package && file.name().ends_with("/events.proto")
    };
    let file = set
        .file
        .iter()
        .find(is_events)
        .unwrap_or_else(|| panic!("{package} has no events.proto"));
    let parts: BTreeSet<&str> = file
        .message_type
        .iter()
        .flat_map(|message: &DescriptorProto| &message.field)
        .map(|field| field.type_name())
        .collect();
    let events: Vec<String> = file
        .message_type
        .iter()
        .map(|message| message.name().to_owned())
        .filter(|name| !parts.contains(format!(".{package}.{name}").as_str()))
        .collect();
    assert!(!events.is_empty(), "{package} has no events");
    events
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
