//! Certificates and keys, out of files that may be replaced while the process runs: those that a server shows, and those by which a
//! client calls.

mod client;
mod server;

use std::path::{Path, PathBuf};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};

pub(crate) use client::Connector;
pub use server::ServerTls;

/// The name of HTTP/2 in a handshake (RFC 9113, 3.2). gRPC speaks nothing else.
const ALPN_H2: &[u8] = b"h2";

/// A file of certificates or keys is of no use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read, or is no PEM.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// What stands in it cannot be used.
    #[error("{} cannot be used", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl TlsError {
    fn file(path: &Path) -> impl FnOnce(pem::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    fn content<E>(path: &Path) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = path.to_owned();
        move |source| Self::Content {
            path,
            source: source.into(),
        }
    }
}

/// A file as it was when it was read.
#[derive(PartialEq, Eq)]
struct Pem {
    path: PathBuf,
    text: zeroize::Zeroizing<Vec<u8>>,
}

impl Pem {
    fn read(path: &Path) -> Result<Self, TlsError> {
        let text = std::fs::read(path).map_err(pem::Error::Io);
        Ok(Self {
            path: path.to_owned(),
            text: text.map_err(TlsError::file(path))?.into(),
        })
    }

    /// One or more.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.text).collect();
        match all {
            Ok(none) if none.is_empty() => Err(pem::Error::NoItemsFound),
            all => all,
        }
        .map_err(TlsError::file(&self.path))
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.text).map_err(TlsError::file(&self.path))
    }

    /// The CAs to believe.
    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots
                .add(certificate)
                .map_err(TlsError::content(&self.path))?;
        }
        Ok(roots)
    }
}
