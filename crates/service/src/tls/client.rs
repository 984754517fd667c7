//! How a client reaches a server over TLS.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::Service;

use super::{ALPN_H2, Pem, TlsError};
use crate::config::Peers;

/// Makes connections. The files are read for each of them, so that new ones need no new process.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Paths>);

struct Paths {
    ca: PathBuf,
    identity: Option<(PathBuf, PathBuf)>,
}

impl Connector {
    /// None where the configuration names no CA.
    ///
    /// # Errors
    /// When a file is of no use already now.
    pub(crate) fn open(config: &Peers) -> Result<Option<Self>, TlsError> {
        let Some(ca) = config.ca_file.clone() else {
            return Ok(None);
        };
        let certificate = config.certificate_file.clone();
        let paths = Paths {
            ca,
            identity: certificate.zip(config.key_file.clone()),
        };
        paths.load()?;
        Ok(Some(Self(Arc::new(paths))))
    }
}

impl Paths {
    fn load(&self) -> Result<ClientConfig, TlsError> {
        let roots = Pem::read(&self.ca)?.roots()?;
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match &self.identity {
            Some((certificate, key)) => {
                let chain = Pem::read(certificate)?.certificates()?;
                let secret = Pem::read(key)?.key()?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(TlsError::content(key))?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        Ok(config)
    }

    async fn connect(&self, to: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
        let invalid = |_| io::Error::new(io::ErrorKind::InvalidInput, "the URL names no host");
        let host = to.host().unwrap_or_default();
        // An address of IPv6 has brackets in a URL, and none elsewhere.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(invalid)?;
        let config = self.load().map_err(io::Error::other)?;
        let stream = TcpStream::connect((host, to.port_u16().unwrap_or(443))).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN_H2) {
            return Err(io::Error::other("the server does not speak HTTP/2"));
        }
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let paths = Arc::clone(&self.0);
        Box::pin(async move { paths.connect(to).await })
    }
}
