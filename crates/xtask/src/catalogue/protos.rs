//! The protos of a checkout.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context;
use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};

/// The order in which services are told of; others come after them.
const ORDER: [&str; 4] = ["customers", "interactions", "segmentation", "campaigns"];

/// A service's events, as protos import them.
pub(super) fn events_file(service: &str) -> String {
    format!("vefa/{service}/v1/events.proto")
}

/// A service's calls, as protos import them.
pub(super) fn api_file(service: &str) -> String {
    format!("vefa/{service}/v1/{service}_service.proto")
}

/// The services that have events.
pub(super) fn services(root: &Path) -> anyhow::Result<Vec<String>> {
    let packages = root.join("proto/vefa");
    let mut found = Vec::new();
    let reading = || format!("reading {}", packages.display());
    for entry in fs::read_dir(&packages).with_context(reading)? {
        let name = entry.with_context(reading)?.file_name();
        let name = name.to_string_lossy().into_owned();
        if root.join("proto").join(events_file(&name)).exists() {
            found.push(name);
        }
    }
    found.sort_by_key(|name| {
        let place = ORDER.iter().position(|known| known == name);
        (place.unwrap_or(ORDER.len()), name.clone())
    });
    Ok(found)
}

/// Compiles the files of these services, comments included.
pub(super) fn compile(root: &Path, services: &[String]) -> anyhow::Result<DescriptorPool> {
    let mut compiler = protox::Compiler::new([root.join("proto")])?;
    compiler.include_source_info(true);
    for service in services {
        for file in [api_file(service), events_file(service)] {
            compiler
                .open_file(&file)
                .with_context(|| format!("compiling {file}"))?;
        }
    }
    Ok(compiler.descriptor_pool())
}

/// The messages of an events file that are no part of another one.
pub(super) fn events(file: &FileDescriptor) -> Vec<MessageDescriptor> {
    let parts: BTreeSet<String> = file
        .messages()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter_map(|field| Some(field.kind().as_message()?.full_name().to_owned()))
        .collect();
    file.messages()
        .filter(|message| !parts.contains(message.full_name()))
        .collect()
}
