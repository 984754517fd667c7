mod conforms;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage as _};
use serde_json::Value;

use super::*;

fn checkout() -> model::Catalogue {
    read::read(workspace::root()).unwrap()
}

fn document() -> Value {
    let yaml = asyncapi::yaml(&checkout()).unwrap();
    serde_saphyr::from_str(&yaml).unwrap()
}

#[test]
fn the_catalogue_in_the_checkout_is_current() {
    assert_eq!(stale(workspace::root()).unwrap(), [""; 0]);
}

/// Found without the catalogue's own reading: services by their folders, events by the names of their files.
fn stored_events() -> BTreeSet<(String, String)> {
    let mut stored = BTreeSet::new();
    for service in fs::read_dir(workspace::root().join("services")).unwrap() {
        let service = service.unwrap();
        let name = service.file_name().into_string().unwrap();
        for file in fs::read_dir(service.path().join("tests/golden")).unwrap() {
            let file = file.unwrap().file_name().into_string().unwrap();
            let (event, _) = file.split_once('.').unwrap();
            stored.insert((name.clone(), event.replace('_', "")));
        }
    }
    stored
}

#[test]
fn it_has_every_event_that_services_store_and_none_besides() {
    let document = document();
    let messages = document["components"]["messages"].as_object().unwrap();
    let told: BTreeSet<(String, String)> = messages
        .keys()
        .map(|name| {
            let words: Vec<&str> = name.split('.').collect();
            (words[1].to_owned(), words[3].to_lowercase())
        })
        .collect();
    assert_eq!(told, stored_events());
}

#[test]
fn an_example_is_the_golden_file_in_another_form() {
    for service in &checkout().services {
        for event in &service.events {
            let json = event.example_json();
            let mut json = serde_json::Deserializer::from_str(&json);
            let read = DynamicMessage::deserialize(event.example.descriptor(), &mut json).unwrap();
            let file = format!(
                "services/{}/tests/golden/{}.v{}.bin",
                service.name,
                golden::snake_case(event.name()),
                event.version
            );
            let golden = fs::read(workspace::root().join(&file)).unwrap();
            assert_eq!(read.encode_to_vec(), golden, "{file}");
        }
    }
}

#[test]
fn every_example_conforms_to_its_schema() {
    let document = document();
    let messages = document["components"]["messages"].as_object().unwrap();
    for (name, message) in messages {
        let example = &message["examples"][0];
        for part in ["headers", "payload"] {
            let wrong = conforms::wrong(&document, &message[part], &example[part]);
            assert_eq!(wrong, [""; 0], "{part} of {name}");
        }
    }
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(entries) => {
                found.extend(entries.get("$ref").and_then(Value::as_str));
                entries.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

#[test]
fn the_page_needs_nothing_else_and_its_links_lead_somewhere() {
    let page = html::page(&checkout());
    for outside in ["http:", "https:", "src=", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let after = |start: &str| -> Vec<String> {
        let pieces = page.split(start).skip(1);
        pieces
            .map(|piece| piece.split('"').next().unwrap().to_owned())
            .collect()
    };
    let ids = after(" id=\"");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    for link in after(" href=\"") {
        let leads = link
            .strip_prefix('#')
            .map_or(link == "asyncapi.yaml", |id| {
                ids.iter().any(|known| known == id)
            });
        assert!(leads, "{link}");
    }
    for (service, event) in stored_events() {
        let id = |id: &String| id.replace('.', "").to_lowercase() == format!("{service}{event}");
        assert!(ids.iter().any(id), "{service}: {event}");
    }
}

/// A checkout of protos and golden files alone, to be changed.
struct Altered(tempfile::TempDir);

impl Altered {
    fn make() -> Self {
        let copy = tempfile::tempdir().unwrap();
        copy_files(&workspace::root().join("proto"), &copy.path().join("proto"));
        for service in fs::read_dir(workspace::root().join("services")).unwrap() {
            let golden = service.unwrap().path().join("tests/golden");
            let place = golden.strip_prefix(workspace::root()).unwrap();
            copy_files(&golden, &copy.path().join(place));
        }
        Self(copy)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.file(name)).unwrap();
        assert_eq!(text.matches(from).count(), 1, "{from} in {name}");
        fs::write(self.file(name), text.replace(from, to)).unwrap();
    }

    /// What is said to be wrong with it.
    fn wrong(&self) -> Vec<String> {
        let error = read::read(self.0.path()).err().unwrap().to_string();
        error
            .lines()
            .skip(1)
            .map(|line| line.trim().to_owned())
            .collect()
    }
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_files(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

const CUSTOMERS: &str = "proto/vefa/customers/v1/events.proto";
const SEGMENTATION: &str = "proto/vefa/segmentation/v1/events.proto";
const CAMPAIGNS: &str = "proto/vefa/campaigns/v1/events.proto";

#[test]
fn whatever_has_no_comment_is_named_all_at_once() {
    let altered = Altered::make();
    altered.replace(CUSTOMERS, "  // New BCP 47 language tag.\n", "");
    altered.replace(SEGMENTATION, "  // Time passed: a window ran out.\n", "");
    altered.replace(SEGMENTATION, "// Why a membership changed.\n", "");
    altered.replace(CAMPAIGNS, "// What the gate saw when it decided.\n", "");
    assert_eq!(
        altered.wrong(),
        [
            "vefa.customers.v1.ProfileUpdated.locale: it has no comment",
            "vefa.segmentation.v1.MEMBERSHIP_CAUSE_TIME: it has no comment",
            "vefa.segmentation.v1.MembershipCause: it has no comment",
            "vefa.campaigns.v1.GateEvidence: it has no comment",
        ]
    );
}

#[test]
fn an_event_says_when_it_is_sent_and_what_it_guarantees() {
    let altered = Altered::make();
    altered.replace(
        CAMPAIGNS,
        "// Sent: when `CreateCampaign` takes effect.\n",
        "",
    );
    altered.replace(
        CUSTOMERS,
        "// Guaranteed: processing was restricted;",
        "// Processing was restricted;",
    );
    assert_eq!(
        altered.wrong(),
        [
            "vefa.customers.v1.RestrictionLifted: its comment lacks a paragraph `Guaranteed: `",
            "vefa.campaigns.v1.CampaignCreated: its comment lacks a paragraph `Sent: `",
        ]
    );
}

#[test]
fn an_event_has_a_golden_file_and_a_golden_file_an_event() {
    let altered = Altered::make();
    let golden = "services/campaigns/tests/golden";
    fs::rename(
        altered.file(&format!("{golden}/campaign_started.v1.bin")),
        altered.file(&format!("{golden}/campaign_stopped.v1.bin")),
    )
    .unwrap();
    assert_eq!(
        altered.wrong(),
        [
            "vefa.campaigns.v1.CampaignStarted: there is no golden file of it",
            "campaigns: the golden file campaign_stopped is of no event in the contract",
        ]
    );
}

#[test]
fn a_number_is_not_without_a_unit_by_oversight() {
    let altered = Altered::make();
    altered.replace(CAMPAIGNS, "uint32 audience = 2;", "uint32 crowd = 2;");
    let wrong = altered.wrong();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(
        wrong[0].starts_with("vefa.campaigns.v1.AudienceDecided.crowd: "),
        "{wrong:?}"
    );
}

#[test]
fn what_is_sealed_is_bytes_and_bytes_are_sealed() {
    let altered = Altered::make();
    altered.replace(CUSTOMERS, "bytes value_sealed = 3;", "bytes value = 3;");
    altered.replace(CUSTOMERS, "string system = 4;", "string system_sealed = 4;");
    let of = |field| {
        format!(
            "vefa.customers.v1.IdentifierAdded.{field}: a field of a kind that the catalogue cannot show"
        )
    };
    assert_eq!(altered.wrong(), [of("value"), of("system_sealed")]);
}

#[test]
fn a_file_that_was_changed_by_hand_is_stale() {
    let altered = Altered::make();
    assert_eq!(
        stale(altered.0.path()).unwrap(),
        ["asyncapi.yaml", "index.html"]
    );
    let folder = altered.file(FOLDER);
    fs::create_dir_all(&folder).unwrap();
    for file in files(altered.0.path()).unwrap() {
        fs::write(folder.join(file.name), file.text).unwrap();
    }
    assert_eq!(stale(altered.0.path()).unwrap(), [""; 0]);
    altered.replace("docs/events/index.html", "<h1>", "<h1> ");
    assert_eq!(stale(altered.0.path()).unwrap(), ["index.html"]);
}
