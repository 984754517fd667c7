//! `index.html`: the catalogue for people. It can be read without its script, which only searches.

mod event;

use maud::{Markup, html};

use super::envelope::{self, HEADERS};
use super::model::{Catalogue, Event, Service};
use crate::page;

const STYLE: &str = include_str!("html/catalogue.css");
const SCRIPT: &str = include_str!("html/search.js");

/// The whole page.
pub(super) fn page(catalogue: &Catalogue) -> String {
    let services = &catalogue.services;
    let body = html! {
        a class="skip" href="#events" { "To the events" }
        (navigation(services))
        main {
            (head(services))
            (subject_and_headers(services))
            div id="events" tabindex="-1" {
                @for service in services { (section(catalogue, service)) }
            }
            p id="nothing" hidden { "No event has all of these words." }
            footer { p { "Made by " code { "cargo xtask catalogue" } " from the protos and the golden files of stored events." } }
        }
    };
    page::page("Vefa: events", STYLE, Some(SCRIPT), &body)
}

fn navigation(services: &[Service]) -> Markup {
    html! {
        nav aria-label="Events" {
            p class="title" { a href="#top" { "Vefa events" } }
            div class="search" role="search" hidden {
                input id="search" type="search" placeholder="Search" aria-label="Search events, fields and values"
                    autocomplete="off" spellcheck="false" aria-describedby="found";
                kbd aria-hidden="true" { "/" }
                p id="found" role="status" {}
            }
            details id="menu" open {
                summary { "All events" }
                a href="#envelope" { "Subject and headers" }
                @for service in services {
                    div class="group" {
                        a class="of" href={ "#" (service.name) } { (service.name) }
                        ul { @for event in &service.events {
                            li { a href={ "#" (anchor(service, event)) } { (event.name()) } }
                        } }
                    }
                }
            }
        }
    }
}

fn head(services: &[Service]) -> Markup {
    let events: usize = services.iter().map(|service| service.events.len()).sum();
    html! {
        header id="top" {
            p class="over" { "Vefa" }
            h1 { "Event catalogue" }
            p class="lead" {
                (events) " types of event from " (services.len()) " services, as they are stored and as they are published: "
                "what is on the bus is what is in the log, byte for byte."
            }
            dl class="rules" {
                div { dt { "Order" } dd {
                    "A customer has the same partition in every service. Within a partition of a service, which tenants share, events come in order and positions grow."
                } }
                div { dt { "Delivery" } dd {
                    "At least once. A position seen before is a repeat; one that is skipped was missed, or is another tenant's. What was missed, and all history, is in "
                    code { "LogService.ReadLog" } " of the service."
                } }
                div { dt { "Change" } dd {
                    "The meaning of a field never changes. A new shape is a new schema version, and new fields and values may be added: pass over what you do not know."
                } }
                div { dt { "Personal data" } dd {
                    "Fields that end in " code { "_sealed" } " identify a person. They are ciphertext under the customer's own key, which is never on the bus; "
                    "when the key is destroyed they are gone for everyone. Everything else tells of a customer by id alone."
                } }
                div { dt { "Examples" } dd {
                    "Stored events in protobuf's JSON form: names in camelCase, numbers of 64 bits as text, bytes in Base64, defaults left out. On the bus the payload is protobuf."
                } }
                div { dt { "For tools" } dd { "The same as AsyncAPI 3.0: " a href="asyncapi.yaml" { "asyncapi.yaml" } "." } }
            }
        }
    }
}

fn subject_and_headers(services: &[Service]) -> Markup {
    let sample = services
        .iter()
        .find_map(|service| Some((service, service.events.first()?)));
    html! {
        section id="envelope" {
            h2 { "Subject and headers" }
            p {
                "Subscribe to " code { "vefa.<tenant>.>" } ", or to less: " code { "vefa.<tenant>.<service>.<partition>.<EventType>" }
                ", where each token may be " code { "*" } ". Partitions are " code { (envelope::partition_token(0)) } " to "
                code { (envelope::partition_token(envelope::PARTITIONS - 1)) }
                ". Headers are CloudEvents in binary mode, and what is needed to follow a log; those that begin with "
                code { "Nats-" } " are of the transport."
            }
            @if let Some((service, event)) = sample {
                pre tabindex="0" { code { (envelope::subject_example(service, event)) "\n"
                    @for header in &HEADERS { "\n" (header.name) ": " (header.example(service, event)) }
                } }
            }
            div class="wide" tabindex="0" { table class="headers" {
                thead { tr { th scope="col" { "Header" } th scope="col" { "What it says" } } }
                tbody { @for header in &HEADERS { tr {
                    th scope="row" { code { (header.name) } @if !header.required { " " span class="tag" { "may be absent" } } }
                    td { (prose(header.meaning)) }
                } } }
            } }
        }
    }
}

fn section(catalogue: &Catalogue, service: &Service) -> Markup {
    html! {
        section class="service" id=(service.name) {
            h2 { (service.name) }
            p { (prose(&service.about)) " In JetStream: the stream " code { (service.stream()) } "." }
            @for event in &service.events { (event::article(catalogue, service, event)) }
        }
    }
}

/// The place of an event on the page.
fn anchor(service: &Service, event: &Event) -> String {
    format!("{}.{}", service.name, event.name())
}

/// Text in which what stands between backticks is code.
fn prose(text: &str) -> Markup {
    html! {
        @for (index, piece) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code_and_nothing_is_markup() {
        let shown = prose("before `a < b` and <i>after</i>").into_string();
        assert_eq!(
            shown,
            "before <code>a &lt; b</code> and &lt;i&gt;after&lt;/i&gt;"
        );
    }
}
