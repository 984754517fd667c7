//! Who reads: a token, and the tenant that it is for.

use std::path::PathBuf;

use aggregate::TenantId;
use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

#[derive(clap::Args)]
pub(crate) struct Access {
    /// The token. Others on this machine can see it among the running commands; --token-file keeps it from them.
    #[arg(long, conflicts_with = "token_file")]
    token: Option<String>,
    /// File with the token. White space at its end does not count.
    #[arg(long)]
    token_file: Option<PathBuf>,
}

/// What is put into every call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.0.clone());
        Ok(request)
    }
}

#[derive(Deserialize)]
struct Claims {
    tenant: TenantId,
}

impl Access {
    /// The token for calls, and the tenant that it names. Whether it is good is for the services to say.
    ///
    /// # Errors
    /// When there is none, or it has not the form of a token of this system.
    pub(crate) fn open(&self) -> Result<(Bearer, TenantId)> {
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(file)) => std::fs::read_to_string(file)
                .with_context(|| format!("reading the token in {}", file.display()))?,
            (None, None) => anyhow::bail!(
                "a token is needed: --token-file, or --token (`vefa token` makes one)"
            ),
        };
        let token = token.trim();
        let tenant = tenant_of(token).context("the token is not one of this system")?;
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {token}")
            .parse()
            .context("the token is not one of this system")?;
        bearer.set_sensitive(true);
        Ok((Bearer(bearer), tenant))
    }
}

fn tenant_of(token: &str) -> Option<TenantId> {
    let claims = token.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    Some(claims.tenant)
}
