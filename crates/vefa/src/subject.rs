//! `vefa subject export`: all that is known of a customer, from all services, for the customer.

mod ask;
mod document;
mod html;

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use aggregate::{CustomerId, TenantId};
use anyhow::{Context as _, Result};
use service::{Config, clock};

use ask::Services;
use document::Document;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Writes all that is known of a customer, from all services, into a directory: subject.json for programs, subject.html for people (GDPR articles 15 and
    /// 20, KVKK article 11). What was recorded by ids that were merged into the customer is part of it. The files are for their owner alone to read.
    Export(ExportArguments),
}

#[derive(clap::Args)]
pub(crate) struct ExportArguments {
    /// The customer.
    customer_id: CustomerId,
    /// Tenant whose customer it is.
    #[arg(long, value_parser = TenantId::parse)]
    tenant: TenantId,
    /// Directory for the two files; it is made where there is none, and must hold neither of them.
    #[arg(long)]
    out: PathBuf,
    /// Who asks, as the services are told. No personal data.
    #[arg(long, default_value = "vefa subject")]
    actor: String,
}

/// Asks all services, and writes only what is whole.
///
/// # Errors
/// When a service does not answer, knows no such customer, or the files cannot be written or are there already.
pub(crate) fn run(config: &Config, command: &Command) -> Result<()> {
    let Command::Export(arguments) = command;
    let files = ["subject.json", "subject.html"].map(|name| arguments.out.join(name));
    for file in &files {
        anyhow::ensure!(!file.exists(), "{} is there already", file.display());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let document = runtime.block_on(export(config, arguments))?;
    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    let [json, html] = &files;
    write(json, &serde_json::to_vec_pretty(&document)?)?;
    write(html, html::page(&document).as_bytes())?;
    told(&document, out);
    Ok(())
}

async fn export(config: &Config, arguments: &ExportArguments) -> Result<Document> {
    let services = Services::connect(config, &arguments.tenant, &arguments.actor)?;
    Document::of(&services, arguments.customer_id, clock::now()).await
}

/// A new file, which its owner alone can read.
fn write(path: &Path, text: &[u8]) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(writing)?;
    file.write_all(text).with_context(writing)?;
    file.sync_all().with_context(writing)
}

#[expect(
    clippy::print_stdout,
    reason = "what a command prints is what it is for"
)]
fn told(document: &Document, out: &Path) {
    println!(
        "{} events of {} services: {}",
        document.events.len(),
        document.services(),
        out.display()
    );
}
