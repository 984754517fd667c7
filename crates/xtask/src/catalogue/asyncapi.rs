//! `asyncapi.yaml`: the catalogue for tools, as AsyncAPI 3.0.

use anyhow::Context;
use serde::Serialize;
use serde_json::{Value, json};

use super::entries::Entries;
use super::envelope::{CONTENT_TYPE, HEADERS, PARTITIONS, TENANT, partition_token};
use super::model::{Catalogue, Event, Service};
use super::schema::{self, Schema};

/// Name of the schema that the headers of all events share.
const HEADERS_SCHEMA: &str = "Headers";

const ABOUT: &str = "\
Every event of every service, as it is stored and as it is published: the payload on the bus is the payload in the log, byte for byte.

The payload is protobuf; its schema here is that of protobuf's JSON form, in which fields that have their default are left out. \
Every event is published at least once and, within a partition, in order. Positions in a partition, which tenants share, have no gaps (`Vefa-Epoch`, \
`Vefa-Position`): one that was seen before is a repeat, one that is skipped was missed or is another tenant's. What is missed, and all history, is read from \
`vefa.common.v1.LogService/ReadLog` of the service.

Fields with `x-sealed: true` identify a person. They are ciphertext under the customer's own key; when the key is destroyed they are gone for everyone.";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    asyncapi: &'static str,
    info: Value,
    default_content_type: &'static str,
    servers: Value,
    channels: Entries<Channel>,
    operations: Entries<Value>,
    components: Components<'a>,
}

#[derive(Serialize)]
struct Channel {
    address: String,
    title: String,
    description: String,
    servers: Value,
    parameters: Parameters,
    messages: Entries<Value>,
}

/// What stands for the braces of an address.
#[derive(Serialize)]
struct Parameters {
    tenant: Value,
    partition: Value,
    event_type: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Components<'a> {
    parameters: Value,
    messages: Entries<Message<'a>>,
    schemas: Entries<Schema>,
    security_schemes: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    name: &'a str,
    title: &'a str,
    summary: &'a str,
    description: String,
    content_type: &'static str,
    headers: Schema,
    payload: Schema,
    #[serde(rename = "x-stream")]
    stream: &'a str,
    #[serde(rename = "x-schema-version")]
    version: u16,
    examples: [Example<'a>; 1],
}

#[derive(Serialize)]
struct Example<'a> {
    name: &'a str,
    headers: Entries<String>,
    payload: &'a prost_reflect::DynamicMessage,
}

/// The document.
pub(super) fn yaml(catalogue: &Catalogue) -> anyhow::Result<String> {
    let services = &catalogue.services;
    let document = Document {
        asyncapi: "3.0.0",
        info: json!({
            "title": "Vefa events",
            "version": "1.0.0",
            "description": ABOUT,
            "license": { "name": "Apache-2.0" },
        }),
        default_content_type: CONTENT_TYPE,
        servers: json!({ "nats": {
            "host": "localhost:4222",
            "protocol": "nats",
            "description": "NATS as the containers offer it. An analyst of a tenant may subscribe to the subjects of that tenant, and to nothing else.",
            "security": [{ "$ref": "#/components/securitySchemes/analyst" }],
        } }),
        channels: services
            .iter()
            .map(|service| (service.name.clone(), channel(service)))
            .collect(),
        operations: services.iter().map(operation).collect(),
        components: components(catalogue),
    };
    let yaml = serde_saphyr::to_string(&document).context("writing the catalogue as YAML")?;
    // The empty lines of a text are indented like the others, which means nothing.
    Ok(yaml
        .lines()
        .flat_map(|line| [line.trim_end(), "\n"])
        .collect())
}

fn channel(service: &Service) -> Channel {
    let names: Vec<&str> = service.events.iter().map(Event::name).collect();
    Channel {
        address: format!(
            "vefa.{{tenant}}.{}.{{partition}}.{{event_type}}",
            service.name
        ),
        title: service.name.clone(),
        description: format!(
            "{} In JetStream: the stream {}.",
            service.about,
            service.stream()
        ),
        servers: json!([{ "$ref": "#/servers/nats" }]),
        parameters: Parameters {
            tenant: json!({ "$ref": "#/components/parameters/tenant" }),
            partition: json!({ "$ref": "#/components/parameters/partition" }),
            event_type: json!({ "description": "Name of the event without its package.", "enum": names }),
        },
        messages: service
            .events
            .iter()
            .map(|event| {
                let component = format!("#/components/messages/{}", event.message.full_name);
                (event.name().to_owned(), json!({ "$ref": component }))
            })
            .collect(),
    }
}

fn operation(service: &Service) -> (String, Value) {
    let channel = format!("#/channels/{}", service.name);
    let messages: Vec<Value> = service
        .events
        .iter()
        .map(|event| json!({ "$ref": format!("{channel}/messages/{}", event.name()) }))
        .collect();
    let operation = json!({
        "action": "receive",
        "channel": { "$ref": channel },
        "summary": format!("Subscribe to what {} publishes, or to a part of it by tenant, partition and type.", service.name),
        "messages": messages,
    });
    (format!("subscribe-{}", service.name), operation)
}

fn components(catalogue: &Catalogue) -> Components<'_> {
    let services = catalogue.services.iter();
    let events =
        services.flat_map(|service| service.events.iter().map(move |event| (service, event)));
    let of_events = events.clone().map(|(_, event)| {
        (
            event.message.full_name.clone(),
            schema::of_message(&event.message),
        )
    });
    let parts = catalogue.parts.iter();
    let of_parts = parts.map(|part| (part.full_name.clone(), schema::of_message(part)));
    let enumerations = catalogue.enumerations.iter();
    let of_enumerations = enumerations.map(|enumeration| {
        (
            enumeration.full_name.clone(),
            schema::of_enumeration(enumeration),
        )
    });
    let headers = (HEADERS_SCHEMA.to_owned(), schema::of_headers(&HEADERS));
    let partitions: Vec<String> = (0..PARTITIONS).map(partition_token).collect();
    Components {
        parameters: json!({
            "tenant": { "description": "The tenant whose event it is.", "examples": [TENANT] },
            "partition": {
                "description": "Partition of the log. A customer has the same one in every service, and within it events come in order.",
                "enum": partitions,
            },
        }),
        messages: events
            .map(|(service, event)| (event.message.full_name.clone(), message(service, event)))
            .collect(),
        schemas: std::iter::once(headers)
            .chain(of_events)
            .chain(of_parts)
            .chain(of_enumerations)
            .collect(),
        security_schemes: json!({ "analyst": {
            "type": "userPassword",
            "description": "User `analyst-<tenant>`.",
        } }),
    }
}

fn message<'a>(service: &Service, event: &'a Event) -> Message<'a> {
    Message {
        name: &event.message.full_name,
        title: event.name(),
        summary: &event.message.meaning,
        description: format!(
            "Sent: {}\n\nGuaranteed: {}\n\nStream: {}",
            event.sent, event.guaranteed, event.stream
        ),
        content_type: CONTENT_TYPE,
        headers: schema::of_headers_of(&HEADERS, HEADERS_SCHEMA, service, event),
        payload: schema::reference(&event.message.full_name),
        stream: &event.stream,
        version: event.version,
        examples: [Example {
            name: "stored",
            headers: HEADERS
                .iter()
                .map(|header| (header.name.to_owned(), header.example(service, event)))
                .collect(),
            payload: &event.example,
        }],
    }
}
