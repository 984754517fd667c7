//! What a server shows, and whom it lets in.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use rustls::{ServerConfig, pki_types::CertificateDer, server::WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use x509_cert::{Certificate, der::Decode as _};

use super::{ALPN_H2, Pem, TlsError};
use crate::config::Tls;

/// The certificate of a server, and the CAs of its clients. Clones share what was read last.
#[derive(Clone)]
pub struct ServerTls(Arc<Shared>);

struct Shared {
    paths: Paths,
    interval: Duration,
    shown: RwLock<Shown>,
}

struct Paths {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// A configuration keeps its own sessions: none of them goes on after the CAs of clients have changed.
struct Shown {
    files: Files,
    config: Arc<ServerConfig>,
    expires_unix_s: u64,
    stale: bool,
}

#[derive(PartialEq, Eq)]
struct Files {
    certificate: Pem,
    key: Pem,
    client_ca: Option<Pem>,
}

impl ServerTls {
    /// Reads the files that the configuration names; none where it names no certificate.
    ///
    /// # Errors
    /// When a file is of no use, or the key is another certificate's.
    pub fn open(config: &Tls) -> Result<Option<Self>, TlsError> {
        let Some((certificate, key)) = config.certificate_file.clone().zip(config.key_file.clone())
        else {
            return Ok(None);
        };
        let paths = Paths {
            certificate,
            key,
            client_ca: config.client_ca_file.clone(),
        };
        let shown = RwLock::new(Files::read(&paths)?.load()?);
        Ok(Some(Self(Arc::new(Shared {
            paths,
            interval: Duration::from_millis(config.reload_interval_ms),
            shown,
        }))))
    }

    /// For one connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.shown().config.clone().into()
    }

    /// When the certificate that is shown is good no more, in seconds of Unix time.
    #[must_use]
    pub fn expires_unix_s(&self) -> u64 {
        self.shown().expires_unix_s
    }

    /// Whether the files are of no use as they are now, so that what was read before them is shown.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.shown().stale
    }

    /// Looks at the files now and then, until `stopping`.
    pub async fn watch(self, stopping: CancellationToken) {
        let mut told = None;
        while !stopping.is_cancelled() {
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(self.0.interval) => told = self.look(told),
            }
        }
    }

    /// They are read, and not asked for their times: a whole directory may have been put in the place of another. `told` is what was last
    /// said to be wrong with them, which is not said twice.
    fn look(&self, told: Option<String>) -> Option<String> {
        let read = Files::read(&self.0.paths).and_then(|files| {
            let known = files == self.shown().files;
            if known {
                Ok(None)
            } else {
                files.load().map(Some)
            }
        });
        let mut shown = self.0.shown.write().unwrap_or_else(PoisonError::into_inner);
        shown.stale = read.is_err();
        match read {
            Ok(None) => None,
            Ok(Some(new)) => {
                let expires_unix_s = new.expires_unix_s;
                tracing::info!(expires_unix_s, "new connections get another certificate");
                *shown = new;
                None
            }
            Err(error) => {
                let text = format!("{error:?}");
                if told.as_ref() != Some(&text) {
                    let error = &error as &(dyn std::error::Error + 'static);
                    tracing::warn!(
                        error,
                        "the certificate of before stays: the new one is of no use"
                    );
                }
                Some(text)
            }
        }
    }

    fn shown(&self) -> RwLockReadGuard<'_, Shown> {
        self.0.shown.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn read(paths: &Paths) -> Result<Self, TlsError> {
        Ok(Self {
            certificate: Pem::read(&paths.certificate)?,
            key: Pem::read(&paths.key)?,
            client_ca: paths.client_ca.as_deref().map(Pem::read).transpose()?,
        })
    }

    fn load(self) -> Result<Shown, TlsError> {
        let builder = match &self.client_ca {
            Some(client_ca) => {
                let roots = Arc::new(client_ca.roots()?);
                let verifier = WebPkiClientVerifier::builder(roots)
                    .build()
                    .map_err(TlsError::content(&client_ca.path))?;
                ServerConfig::builder().with_client_cert_verifier(verifier)
            }
            None => ServerConfig::builder().with_no_client_auth(),
        };
        let chain = self.certificate.certificates()?;
        let expires_unix_s =
            expires_unix_s(&chain[0]).map_err(TlsError::content(&self.certificate.path))?;
        // Refuses the key of another certificate, as it lies there while the two are being replaced.
        let mut config = builder
            .with_single_cert(chain, self.key.key()?)
            .map_err(TlsError::content(&self.key.path))?;
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        Ok(Shown {
            files: self,
            config: Arc::new(config),
            expires_unix_s,
            stale: false,
        })
    }
}

fn expires_unix_s(certificate: &CertificateDer<'_>) -> Result<u64, x509_cert::der::Error> {
    let validity = Certificate::from_der(certificate)?.tbs_certificate.validity;
    Ok(validity.not_after.to_unix_duration().as_secs())
}
