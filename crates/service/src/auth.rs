//! Who calls: bearer tokens (JWT, HS256), what they permit, and the layer that lets nobody in
//! without one.

mod layer;
mod principal;
mod token;

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::Auth;

pub use layer::{AuthLayer, AuthService};
pub use principal::{ALL_TENANTS, Principal};
pub use token::{Authenticator, MintError, Refusal, TokenIssuer};

/// Shortest signing secret: as many bytes as HMAC-SHA-256 puts out (RFC 7518, 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// The secret that signs tokens.
pub struct Secret(Zeroizing<Vec<u8>>);

/// There is no usable secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The configuration names no file.
    #[error("auth.secret_file is not set")]
    NotSet,
    /// The file cannot be read.
    #[error("cannot read the token secret {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is easy to guess.
    #[error("the token secret has {bytes} bytes; it needs {SECRET_BYTES_MIN}")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
}

impl Secret {
    /// Reads the secret that the configuration names. White space at its end does not count.
    ///
    /// # Errors
    /// If none is named, or it cannot be read or is too short.
    pub fn from_config(config: &Auth) -> Result<Self, SecretError> {
        Self::read(config.secret_file.as_deref().ok_or(SecretError::NotSet)?)
    }

    /// Reads a secret from a file. White space at its end does not count.
    ///
    /// # Errors
    /// If it cannot be read or is too short.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let mut bytes = std::fs::read(path).map_err(|source| SecretError::File {
            path: path.to_owned(),
            source,
        })?;
        bytes.truncate(bytes.trim_ascii_end().len());
        Self::from_bytes(bytes)
    }

    /// A secret of these bytes.
    ///
    /// # Errors
    /// If they are fewer than 32.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes);
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(SecretError::TooShort { bytes: bytes.len() });
        }
        Ok(Self(bytes))
    }

    fn expose(&self) -> &[u8] {
        &self.0
    }
}
