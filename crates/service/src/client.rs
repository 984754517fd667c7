//! Calls to another service: one connection, a token for the tenant at hand, and the trace.

use std::time::Duration;

use aggregate::TenantId;
use http::HeaderValue;
use http::uri::Scheme;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::auth::TokenIssuer;
use crate::config::{Config, Peers, ServiceName};
use crate::status;
use crate::tls::{Connector, TlsError};

/// What a generated client stands on: `CustomersClient::new(peer.for_tenant(&tenant))`.
pub type PeerChannel = InterceptedService<Channel, Credentials>;

/// The address of another service cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("peers.{service} is of no use")]
pub struct InvalidPeer {
    service: ServiceName,
    #[source]
    source: InvalidAddress,
}

/// An address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidAddress {
    /// It is not a URL.
    #[error("{url:?} is not a URL")]
    Url {
        /// What was given.
        url: String,
        /// Why it was refused.
        #[source]
        source: tonic::transport::Error,
    },
    /// Nobody says whose certificates to believe.
    #[error("{url}: https needs peers.ca_file, the CAs whose certificates are believed")]
    NoCa {
        /// What was given.
        url: String,
    },
    /// Files that TLS needs are of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Where a service is, and how it is reached: over TLS where the URL says https.
pub struct Address {
    /// All but TLS, to be changed before it is connected to.
    pub endpoint: Endpoint,
    tls: Option<Connector>,
}

impl Address {
    /// The address that a URL names; `peers` tells whom to believe and who is calling.
    ///
    /// # Errors
    /// When it is not a URL, or https lacks what it needs.
    pub fn new(url: &str, peers: &Peers) -> Result<Self, InvalidAddress> {
        let invalid = |source| InvalidAddress::Url {
            url: url.to_owned(),
            source,
        };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(invalid)?;
        if endpoint.uri().scheme() != Some(&Scheme::HTTPS) {
            return Ok(Self {
                endpoint,
                tls: None,
            });
        }
        let tls = Connector::open(peers)?.ok_or_else(|| InvalidAddress::NoCa {
            url: url.to_owned(),
        })?;
        Ok(Self {
            endpoint,
            tls: Some(tls),
        })
    }

    /// Connects now.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn connect(self) -> Result<Channel, tonic::transport::Error> {
        match self.tls {
            Some(tls) => self.endpoint.connect_with_connector(tls).await,
            None => self.endpoint.connect().await,
        }
    }

    /// Connects at the first call, and again whenever the connection was lost. It must be called inside a Tokio runtime.
    pub fn connect_lazy(self) -> Channel {
        match self.tls {
            Some(tls) => self.endpoint.connect_with_connector_lazy(tls),
            None => self.endpoint.connect_lazy(),
        }
    }
}

/// A connection to the service `to`, with the settings that all calls to services have. It connects at the first call, and again whenever
/// the connection was lost. It must be made inside a Tokio runtime.
///
/// # Errors
/// If the configured address cannot be used.
pub fn channel(config: &Config, to: ServiceName, user_agent: &str) -> Result<Channel, InvalidPeer> {
    let url = config.peer_url(to);
    let (peers, limits) = (&config.peers, &config.limits);
    let invalid = |source| InvalidPeer {
        service: to,
        source,
    };
    let mut address = Address::new(&url, peers).map_err(invalid)?;
    address.endpoint = address
        .endpoint
        .user_agent(user_agent)
        .map_err(|source| invalid(InvalidAddress::Url { url, source }))?
        .connect_timeout(Duration::from_millis(peers.connect_timeout_ms))
        .timeout(Duration::from_millis(peers.request_timeout_ms))
        .concurrency_limit(peers.concurrent_requests_max)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_millis(limits.keepalive_interval_ms))
        .keep_alive_timeout(Duration::from_millis(limits.keepalive_timeout_ms))
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(limits.header_list_bytes_max);
    Ok(address.connect_lazy())
}

/// Another service. Clones share the connection.
#[derive(Clone)]
pub struct Peer {
    channel: Channel,
    issuer: TokenIssuer,
    from: &'static str,
    to: ServiceName,
}

impl Peer {
    /// The service `to`, called by `from`. It connects at the first call, and again whenever
    /// the connection was lost. It must be made inside a Tokio runtime.
    ///
    /// # Errors
    /// If the configured address cannot be used.
    pub fn new(
        config: &Config,
        from: ServiceName,
        to: ServiceName,
        issuer: TokenIssuer,
    ) -> Result<Self, InvalidPeer> {
        Self::beside(config, from.as_str(), to, issuer)
    }

    /// The service `to`, called by a process that stands beside the services.
    pub(crate) fn beside(
        config: &Config,
        from: &'static str,
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
    from: &'static str,
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
