//! Compiles the protos with protox, so that no system compiler is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const PROTOS: &[&str] = &[
    "vefa/common/v1/common.proto",
    "vefa/common/v1/log_service.proto",
    "vefa/customers/v1/customers_service.proto",
    "vefa/customers/v1/events.proto",
    "vefa/interactions/v1/interactions_service.proto",
    "vefa/interactions/v1/events.proto",
    "vefa/segmentation/v1/segmentation_service.proto",
    "vefa/segmentation/v1/events.proto",
    "vefa/campaigns/v1/campaigns_service.proto",
    "vefa/campaigns/v1/events.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no manifest dir")?)
        .join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(PROTOS, [&root])?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no out dir")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let mut config = prost_build::Config::new();
    config.bytes(["."]).btree_map(["."]).enable_type_names();
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}
