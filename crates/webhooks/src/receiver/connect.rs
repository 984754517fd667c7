//! Connections to a receiver, plain or by TLS.

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{self, CertificateDer, ServerName, pem::PemObject as _},
    },
};
use tokio_util::either::Either;

/// Nobody is there to say that a receiver is who it says.
#[derive(Debug, thiserror::Error)]
pub enum NoTrust {
    /// The system has no certificates of authorities, and the endpoint names none.
    #[error("the system has no certificates of authorities; ca_file can name some")]
    Empty,
    /// Those that the endpoint names.
    #[error("cannot read the certificates in {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pki_types::pem::Error,
    },
    /// One of them is none.
    #[error("a certificate cannot be used")]
    Certificate(#[from] rustls::Error),
}

type Future = Pin<Box<dyn std::future::Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

/// Connects to wherever a URL says.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<TlsConnector>,
}

impl Connector {
    /// One for this URL. With TLS, the receiver's certificate must be of an authority that the system trusts, or of one in the file.
    pub(super) fn new(url: &Uri, ca_file: Option<&Path>) -> Result<Self, NoTrust> {
        if url.scheme_str() != Some("https") {
            return Ok(Self { tls: None });
        }
        let mut roots = RootCertStore::empty();
        // Of those that cannot be read the others are none the worse.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca_file {
            let file = |source| NoTrust::File {
                path: path.to_owned(),
                source,
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(file)? {
                roots.add(certificate.map_err(file)?)?;
            }
        }
        if roots.is_empty() {
            return Err(NoTrust::Empty);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: Some(TlsConnector::from(Arc::new(config))),
        })
    }

    async fn connect(self, url: Uri) -> io::Result<TokioIo<Stream>> {
        let host = url.host().ok_or(io::ErrorKind::InvalidInput)?;
        // An IPv6 address stands in brackets in a URL alone.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let secure = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let stream = match self.tls {
            Some(tls) if secure => {
                let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
                Either::Right(Box::new(tls.connect(name, stream).await?))
            }
            Some(_) | None => Either::Left(stream),
        };
        Ok(TokioIo::new(Stream(stream)))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Future {
        Box::pin(self.clone().connect(url))
    }
}

/// A connection.
pub(super) struct Stream(Either<TcpStream, Box<TlsStream<TcpStream>>>);

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
