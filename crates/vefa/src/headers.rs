//! Who calls, as every call of a command says.

use std::time::Duration;

use anyhow::Result;
use service::{Config, Principal, Secret, TokenIssuer};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// Puts into every call who calls, and that it belongs to one command.
#[derive(Clone)]
pub(crate) struct Headers {
    authorization: MetadataValue<Ascii>,
    correlation_id: MetadataValue<Ascii>,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.authorization.clone());
        metadata.insert("x-correlation-id", self.correlation_id.clone());
        Ok(request)
    }
}

impl Headers {
    /// With a token for the principal, signed with the secret that the configuration names, and good for as long as is said.
    ///
    /// # Errors
    /// When there is no secret, or the correlation id cannot stand in a header.
    pub(crate) fn new(
        config: &Config,
        principal: &Principal,
        lifetime: Duration,
        correlation_id: &str,
    ) -> Result<Self> {
        let secret = Secret::from_config(&config.auth)?;
        let token = TokenIssuer::new(&secret, &config.auth).mint(principal, lifetime)?;
        let mut authorization: MetadataValue<Ascii> = format!("Bearer {token}").parse()?;
        authorization.set_sensitive(true);
        Ok(Self {
            authorization,
            correlation_id: correlation_id.parse()?,
        })
    }
}
