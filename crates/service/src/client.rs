//! Calls to another service: one connection, a token for the tenant at hand, and the trace.

use std::time::Duration;

use aggregate::TenantId;
use http::HeaderValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::auth::TokenIssuer;
use crate::config::{Config, ServiceName};
use crate::status;

/// What a generated client stands on: `CustomersClient::new(peer.for_tenant(&tenant))`.
pub type PeerChannel = InterceptedService<Channel, Credentials>;

/// The address of another service cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("peers.{service}: {url:?} is not a URL")]
pub struct InvalidPeer {
    service: ServiceName,
    url: String,
    #[source]
    source: tonic::transport::Error,
}

/// A connection to the service `to`, with the settings that all calls to services have. It connects at the first call, and again whenever
/// the connection was lost. It must be made inside a Tokio runtime.
///
/// # Errors
/// If the configured address is not a URL.
pub fn channel(config: &Config, to: ServiceName, user_agent: &str) -> Result<Channel, InvalidPeer> {
    let url = config.peer_url(to);
    let (peers, limits) = (&config.peers, &config.limits);
    let endpoint = Endpoint::from_shared(url.clone())
        .and_then(|endpoint| endpoint.user_agent(user_agent))
        .map_err(|source| InvalidPeer {
            service: to,
            url,
            source,
        })?
        .connect_timeout(Duration::from_millis(peers.connect_timeout_ms))
        .timeout(Duration::from_millis(peers.request_timeout_ms))
        .concurrency_limit(peers.concurrent_requests_max)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_millis(limits.keepalive_interval_ms))
        .keep_alive_timeout(Duration::from_millis(limits.keepalive_timeout_ms))
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(limits.header_list_bytes_max);
    Ok(endpoint.connect_lazy())
}

/// Another service. Clones share the connection.
#[derive(Clone)]
pub struct Peer {
    channel: Channel,
    issuer: TokenIssuer,
    from: ServiceName,
    to: ServiceName,
}

impl Peer {
    /// The service `to`, called by `from`. It connects at the first call, and again whenever
    /// the connection was lost. It must be made inside a Tokio runtime.
    ///
    /// # Errors
    /// If the configured address is not a URL.
    pub fn new(
        config: &Config,
        from: ServiceName,
        to: ServiceName,
        issuer: TokenIssuer,
    ) -> Result<Self, InvalidPeer> {
        Ok(Self {
            channel: channel(config, to, &format!("vefa-{from}"))?,
            issuer,
            from,
            to,
        })
    }

    /// Calls on behalf of `tenant`.
    pub fn for_tenant(&self, tenant: &TenantId) -> PeerChannel {
        self.with_credentials(Some(tenant.clone()))
    }

    /// Calls for no tenant in particular, such as to read the whole log of the other service.
    pub fn for_all_tenants(&self) -> PeerChannel {
        self.with_credentials(None)
    }

    fn with_credentials(&self, tenant: Option<TenantId>) -> PeerChannel {
        let credentials = Credentials {
            issuer: self.issuer.clone(),
            from: self.from,
            to: self.to,
            tenant,
        };
        InterceptedService::new(self.channel.clone(), credentials)
    }
}

/// Puts a token that is still good, and the present trace, into every call.
#[derive(Clone)]
pub struct Credentials {
    issuer: TokenIssuer,
    from: ServiceName,
    to: ServiceName,
    tenant: Option<TenantId>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = self
            .issuer
            .peer_token(self.from, self.to, self.tenant.as_ref())
            .map_err(|error| status::internal(&*error))?;
        let mut bearer =
            HeaderValue::from_str(&format!("Bearer {token}")).expect("a JWT is base64url and dots");
        bearer.set_sensitive(true);
        let headers = request.metadata_mut().as_mut();
        headers.insert(http::header::AUTHORIZATION, bearer);
        telemetry::inject(headers);
        Ok(request)
    }
}
