//! One event on the page.

use maud::{Markup, html};

use super::super::envelope;
use super::super::model::{Catalogue, Enumeration, Event, Field, Kind, Message, Service, short};
use super::{anchor, prose};

/// An event with all that is to be known of it.
pub(super) fn article(catalogue: &Catalogue, service: &Service, event: &Event) -> Markup {
    let anchor = anchor(service, event);
    let parts = catalogue.parts_of(&event.message);
    let has_sealed = event.message.has_sealed() || parts.iter().any(|part| part.has_sealed());
    html! {
        article id=(anchor) aria-labelledby={ (anchor) "-name" } {
            h3 id={ (anchor) "-name" } {
                a href={ "#" (anchor) } { (event.name()) }
                " " span class="tag" { "schema version " (event.version) }
                @if has_sealed { " " span class="tag sealed" { "has sealed fields" } }
            }
            p class="lead" { (prose(&event.message.meaning)) }
            dl class="facts" {
                dt { "Sent" } dd class="told" { (prose(&event.sent)) }
                dt { "Guaranteed" } dd class="told" { (prose(&event.guaranteed)) }
                dt { "Stream" } dd class="told" { (prose(&event.stream)) }
                dt { "Subject" } dd { code { (envelope::subject(service, event)) } }
                dt { "Message" } dd { code { (event.message.full_name) } }
            }
            (fields(catalogue, "Fields", &event.message))
            @for part in parts {
                h4 { (part.name()) }
                p { (prose(&part.meaning)) }
                (fields(catalogue, part.name(), part))
            }
            h4 { "Example" }
            pre tabindex="0" { code { (event.example_json()) } }
        }
    }
}

fn fields(catalogue: &Catalogue, name: &str, message: &Message) -> Markup {
    html! {
        div class="wide" { table class="fields" aria-label=(name) {
            thead { tr {
                th scope="col" { "Field" }
                th scope="col" { "Type" }
                th scope="col" { "Meaning" }
                th scope="col" { "Unit" }
                th scope="col" { "Personal" }
            } }
            tbody { @for field in &message.fields { (row(catalogue, field)) } }
        } }
    }
}

fn row(catalogue: &Catalogue, field: &Field) -> Markup {
    let values = field
        .enumeration()
        .and_then(|name| catalogue.enumeration(name));
    html! {
        tr {
            th scope="row" { code { (breakable(&field.name)) } }
            td data-label="Type" { (type_name(field)) }
            td data-label="Meaning" {
                (prose(&field.meaning))
                @if field.presence && !is_message(field) { " " span class="tag" { "may be absent" } }
            }
            td data-label="Unit" class=[field.unit.is_none().then_some("none")] { (field.unit.unwrap_or("\u{2013}")) }
            td data-label="Personal" class=[(!field.is_sealed()).then_some("none")] {
                @if field.is_sealed() { span class="tag sealed" { "sealed" } } @else { "no" }
            }
        }
        @if let Some(enumeration) = values {
            tr class="values" { td colspan="2" {} td colspan="3" { (meanings(enumeration)) } }
        }
    }
}

/// A message is absent rather than empty, which goes without saying.
fn is_message(field: &Field) -> bool {
    matches!(field.kind, Kind::Message(_) | Kind::Moment)
}

fn meanings(enumeration: &Enumeration) -> Markup {
    html! {
        dl { @for value in &enumeration.values {
            dt { code { (value.name) } } dd { (prose(&value.meaning)) }
        } }
    }
}

fn type_name(field: &Field) -> Markup {
    let name = match &field.kind {
        Kind::Text => "string",
        Kind::Uuid => "string, a UUID",
        Kind::Sealed => "bytes",
        Kind::Boolean => "bool",
        Kind::Double => "double",
        Kind::Unsigned32 => "uint32",
        Kind::Unsigned64 => "uint64",
        Kind::Signed64 => "int64",
        Kind::Moment => "Timestamp",
        Kind::Message(name) | Kind::Enumeration(name) => short(name),
    };
    html! { @if field.repeated { "list of " } (breakable(name)) }
}

/// A name that is broken over lines between its words alone.
fn breakable(name: &str) -> Markup {
    let mut words: Vec<String> = Vec::new();
    let mut before = '_';
    for letter in name.chars() {
        let begins = before == '_' || (before.is_lowercase() && letter.is_uppercase());
        match words.last_mut() {
            Some(word) if !begins => word.push(letter),
            _ => words.push(letter.to_string()),
        }
        before = letter;
    }
    html! { @for (index, word) in words.iter().enumerate() { @if index > 0 { wbr; } (word) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_broken_between_its_words() {
        let shown = |name| breakable(name).into_string();
        assert_eq!(shown("given_name_sealed"), "given_<wbr>name_<wbr>sealed");
        assert_eq!(shown("GateEvidence"), "Gate<wbr>Evidence");
        assert_eq!(shown("a < b"), "a &lt; b");
    }
}
