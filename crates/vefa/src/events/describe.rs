//! `vefa events describe`: what events mean, in the words of the contract.

use std::{collections::BTreeMap, fmt::Write as _, io::Write as _};

use anyhow::{Context as _, Result};
use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
};

use event_json::EventTypes;

#[derive(clap::Args)]
pub(crate) struct DescribeArguments {
    /// Type of event, such as PurchaseRecorded; a line for each type when none is named.
    event_type: Option<String>,
}

pub(super) fn run(arguments: &DescribeArguments) -> Result<()> {
    let types = EventTypes::published()?;
    let text = match &arguments.event_type {
        None => all(&types),
        Some(name) => one(&types, name)?,
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("writing the description")
}

/// Every type with what happened when there is an event of it, by package.
fn all(types: &EventTypes) -> String {
    let mut packages: BTreeMap<String, Vec<[String; 2]>> = BTreeMap::new();
    for message in types.all() {
        let happened = meaning(types, message.full_name());
        packages
            .entry(message.package_name().to_owned())
            .or_default()
            .push([message.name().to_owned(), happened]);
    }
    let mut text = String::new();
    for (package, events) in packages {
        push(&mut text, format_args!("{package}\n"));
        push_columns(&mut text, "  ", &events);
        text.push('\n');
    }
    text.push_str("`vefa events describe TYPE` tells more of one.\n");
    text
}

/// What happened when there is an event of this type, in a paragraph; empty of one that is not known.
pub(crate) fn meaning(types: &EventTypes, full_name: &str) -> String {
    let message = types.find(full_name);
    let meaning = message.map(|message| comment(&message.parent_file(), message.path()));
    let meaning = meaning.unwrap_or_default();
    meaning.split("\n\n").next().map(line).unwrap_or_default()
}

/// One type: what its comment says, and its fields with what they are made of.
fn one(types: &EventTypes, name: &str) -> Result<String> {
    let full_name = types.full_name(name)?;
    let message = types
        .find(&full_name)
        .with_context(|| format!("there is no event type {name}"))?;
    let mut text = format!("{full_name}\n\n");
    let meaning = comment(&message.parent_file(), message.path());
    for paragraph in meaning.split("\n\n") {
        push(&mut text, format_args!("{}\n\n", line(paragraph)));
    }
    push_fields(&mut text, &message);
    Ok(text)
}

/// The fields of a message, and behind them the messages and enums that they are of.
fn push_fields(text: &mut String, message: &MessageDescriptor) {
    let mut parts: Vec<Kind> = Vec::new();
    let rows: Vec<[String; 3]> = message
        .fields()
        .map(|field| {
            let kind = field.kind();
            if is_ours(&kind) && !parts.contains(&kind) {
                parts.push(kind);
            }
            let meaning = line(&comment(&field.parent_file(), field.path()));
            [field.name().to_owned(), type_of(&field), meaning]
        })
        .collect();
    push_columns(text, "", &rows);
    for part in parts {
        if let Kind::Message(message) = &part {
            push(text, format_args!("\n{}\n\n", message.name()));
            push_fields(text, message);
        }
        if let Kind::Enum(one) = &part {
            push(text, format_args!("\n{}\n\n", one.name()));
            let values: Vec<[String; 2]> = one
                .values()
                .map(|value| {
                    let meaning = line(&comment(&one.parent_file(), value.path()));
                    [value.name().to_owned(), meaning]
                })
                .collect();
            push_columns(text, "", &values);
        }
    }
}

/// Whether it is declared in our contract, and not by protobuf itself.
fn is_ours(kind: &Kind) -> bool {
    let message = kind.as_message().map(MessageDescriptor::package_name);
    let package = message.or_else(|| kind.as_enum().map(EnumDescriptor::package_name));
    package.is_some_and(|package| package.starts_with("vefa."))
}

fn type_of(field: &FieldDescriptor) -> String {
    let kind = field.kind();
    let message = kind.as_message().map(MessageDescriptor::name);
    let name = message
        .or_else(|| kind.as_enum().map(EnumDescriptor::name))
        .map_or_else(|| format!("{kind:?}"), str::to_owned);
    match field.cardinality() {
        Cardinality::Repeated => format!("repeated {name}"),
        Cardinality::Optional if field.field_descriptor_proto().proto3_optional() => {
            format!("optional {name}")
        }
        Cardinality::Optional | Cardinality::Required => name,
    }
}

/// What stands above a declaration, as it stands there but for the margin.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let described = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = described.map_or(&[][..], |info| &info.location);
    let found = locations.iter().find(|location| location.path == path);
    let comment = found.map_or("", |location| location.leading_comments());
    let lines: Vec<&str> = comment.lines().map(str::trim).collect();
    lines.join("\n").trim().to_owned()
}

/// A text in one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what)
        .expect("writing to a string does not fail");
}

/// Rows of columns as wide as what stands in them; the last is as long as it is.
fn push_columns<const N: usize>(text: &mut String, margin: &str, rows: &[[String; N]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        text.push_str(margin);
        for (cell, width) in row.iter().zip(widths).take(N - 1) {
            push(text, format_args!("{cell:width$}  "));
        }
        push(text, format_args!("{}\n", row[N - 1]));
    }
}

#[cfg(test)]
mod tests {
    use event_bus::event_type_token;

    use super::*;

    #[test]
    fn every_event_is_told_and_every_field_of_it() {
        let types = EventTypes::published().unwrap();
        let listed = all(&types);
        for message in types.all() {
            let told = one(&types, event_type_token(message.full_name())).unwrap();
            for label in ["\nSent: ", "\nStream: ", "\nGuaranteed: "] {
                assert!(told.contains(label), "{told}");
            }
            assert!(listed.contains(message.name()), "{listed}");
            for field in message.fields() {
                let meaning = line(&comment(&field.parent_file(), field.path()));
                assert!(!meaning.is_empty(), "{}", field.full_name());
                assert!(told.contains(&meaning), "{told}");
            }
        }
    }

    #[test]
    fn an_event_is_told_in_the_words_of_the_contract() {
        let types = EventTypes::published().unwrap();
        let told = one(&types, "LifecycleStageChanged").unwrap();
        assert!(
            told.starts_with(
                "vefa.customers.v1.LifecycleStageChanged\n\nThe customer came to another stage of life.\n\nSent: "
            ),
            "{told}"
        );
        assert!(
            told.contains("\nstage           LifecycleStage  The stage now.\n"),
            "{told}"
        );
        assert!(told.contains("\nLIFECYCLE_STAGE_WON_BACK "), "{told}");
        let purchase = one(&types, "vefa.interactions.v1.PurchaseRecorded").unwrap();
        assert!(
            purchase.contains("repeated PurchaseLine  What was bought"),
            "{purchase}"
        );
        assert!(purchase.contains("\nPurchaseLine\n"), "{purchase}");
        assert!(
            purchase.contains("margin_minor   optional int64 "),
            "{purchase}"
        );
    }

    #[test]
    fn refuses_a_type_that_is_not_there() {
        let types = EventTypes::published().unwrap();
        for name in ["PurchaseRecord", "some.v9.Newer"] {
            let refused = one(&types, name).unwrap_err().to_string();
            assert!(refused.starts_with("there is no event type"), "{refused}");
        }
    }
}
