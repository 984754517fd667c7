//! The secrets of an installation, and tokens signed with them.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use aggregate::TenantId;
use anyhow::{Context as _, Result};
use event_log::FileKeyService;
use service::{Config, Principal, Secret, TokenIssuer};

#[derive(clap::Args)]
pub(crate) struct TokenArguments {
    /// Tenant whose data the token is for.
    #[arg(long, value_parser = TenantId::parse)]
    tenant: TenantId,
    /// Who acts, as it will stand beside every event. No personal data.
    #[arg(long)]
    actor: String,
    /// For whom the actor acts, when it is not for itself. No personal data.
    #[arg(long, default_value = "", hide_default_value = true)]
    on_behalf_of: String,
    /// Scopes, such as customers.read, campaigns.* or *.
    #[arg(long = "scope", default_values_t = [String::from("*")])]
    scopes: Vec<String>,
    /// For how long it is good.
    #[arg(long, default_value_t = 8)]
    hours: u64,
}

#[expect(clippy::print_stdout, reason = "the token is what the command is for")]
pub(crate) fn print_token(config: &Config, arguments: &TokenArguments) -> Result<()> {
    let secret = Secret::from_config(&config.auth)?;
    let scopes: Vec<&str> = arguments.scopes.iter().map(String::as_str).collect();
    let principal = Principal::new(arguments.tenant.clone(), arguments.actor.as_str(), &scopes)
        .on_behalf_of(arguments.on_behalf_of.as_str());
    let lifetime = Duration::from_secs(arguments.hours.saturating_mul(3600));
    println!(
        "{}",
        TokenIssuer::new(&secret, &config.auth).mint(&principal, lifetime)?
    );
    Ok(())
}

pub(crate) fn init(config: &Config) -> Result<()> {
    let secret_file = config
        .auth
        .secret_file
        .as_deref()
        .context("auth.secret_file is not set")?;
    let key_file = config
        .keys
        .master_key_file
        .as_deref()
        .context("keys.master_key_file is not set")?;
    // Two keys in hexadecimal: both are 32 random bytes.
    write_once(secret_file, &FileKeyService::generate()?)?;
    write_once(key_file, &FileKeyService::generate()?)
}

#[expect(clippy::print_stdout, reason = "tells what was made")]
fn write_once(path: &Path, text: &str) -> Result<()> {
    if path.exists() {
        println!("{} is there already", path.display());
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("making {}", path.display()))?;
    writeln!(file, "{text}").with_context(|| format!("writing {}", path.display()))?;
    println!("made {}", path.display());
    Ok(())
}
