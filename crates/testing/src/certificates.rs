//! Certificates for servers on loopback and for whoever calls them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use uuid::Uuid;

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The library refused.
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// There is no place for it.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A CA that nobody else believes. Its files, and those of all that it issued, go when this is dropped.
pub struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A certificate and its key, as files.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

impl TestCa {
    /// One with a new key.
    ///
    /// # Errors
    /// When the system gives no directory.
    pub fn new() -> Result<Self, CertificateError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of a name of its own: what another one has signed is not even looked at.
        let name = format!("Vefa test CA {}", Uuid::new_v4());
        params.distinguished_name.push(DnType::CommonName, name);
        let dir = TempDir::with_prefix("vefa-certificates-").map_err(|source| {
            let path = std::env::temp_dir();
            CertificateError::Write { path, source }
        })?;
        let ca = Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
            dir,
        };
        write(&ca.file(), &ca.issuer.pem())?;
        Ok(ca)
    }

    /// Its own certificate, PEM.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.crt")
    }

    /// A certificate for 127.0.0.1 and localhost, for servers and clients, good until 2045 begins, in files of that name.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn issue(&self, name: &str) -> Result<Issued, CertificateError> {
        self.issue_for(name, &["127.0.0.1", "localhost"])
    }

    /// The same for other hosts.
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub fn issue_for(&self, name: &str, hosts: &[&str]) -> Result<Issued, CertificateError> {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_after = date_time_ymd(2045, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let path = |ending: &str| self.dir.path().join(format!("{name}.{ending}"));
        let issued = Issued {
            certificate: path("crt"),
            key: path("key"),
        };
        write(&issued.key, &key.serialize_pem())?;
        write(&issued.certificate, &certificate.pem())?;
        Ok(issued)
    }
}

fn write(path: &Path, text: &str) -> Result<(), CertificateError> {
    fs::write(path, text).map_err(|source| CertificateError::Write {
        path: path.to_owned(),
        source,
    })
}
