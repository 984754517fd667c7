//! Sealing of personal fields: XChaCha20-Poly1305 under the data key of the subject. What is additionally authenticated binds a
//! ciphertext to its tenant, subject, event and field, so that it cannot be moved elsewhere.

use aggregate::{CustomerId, TenantId};
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// First byte of everything sealed.
const FORMAT: u8 = 1;
const NONCE_LEN: usize = 24;

/// A data key in the clear.
pub(crate) type DataKey = Zeroizing<[u8; 32]>;

/// Why something could not be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The subject was erased: there is no key any more.
    #[error("the subject's key was destroyed")]
    Destroyed,
    /// Not sealed by this key for this place, or changed since.
    #[error("the sealed field {field} does not open")]
    Broken {
        /// The field.
        field: &'static str,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes")]
    NoRandomness,
}

/// Seals and opens the personal fields of one subject.
#[derive(Clone)]
pub struct SubjectCipher {
    tenant: TenantId,
    subject: Uuid,
    key: Option<DataKey>,
}

impl std::fmt::Debug for SubjectCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SubjectCipher")
            .field("subject", &self.subject)
            .field("destroyed", &self.key.is_none())
            .finish_non_exhaustive()
    }
}

impl SubjectCipher {
    pub(crate) fn new(tenant: &TenantId, subject: Uuid, key: Option<DataKey>) -> Self {
        Self {
            tenant: tenant.clone(),
            subject,
            key,
        }
    }

    /// A cipher for streams that hold nothing personal: it seals nothing and opens nothing.
    #[must_use]
    pub fn none(tenant: &TenantId) -> Self {
        Self::new(tenant, Uuid::nil(), None)
    }

    /// A cipher with a fixed key, for golden files: their bytes must open the same for ever.
    #[must_use]
    pub fn with_key(tenant: &TenantId, subject: CustomerId, key: [u8; 32]) -> Self {
        Self::new(tenant, subject.0, Some(Zeroizing::new(key)))
    }

    pub(crate) fn data_key(&self) -> Option<DataKey> {
        self.key.clone()
    }

    /// Whether the subject's key was destroyed.
    #[must_use]
    pub fn is_destroyed(&self) -> bool {
        self.key.is_none()
    }

    /// Opens a text of an event. An empty field is an empty text; a destroyed key gives `None`.
    ///
    /// # Errors
    /// When the bytes were not sealed for this place, or are no text.
    pub fn open(
        &self,
        event_id: Uuid,
        field: &'static str,
        sealed: &[u8],
    ) -> Result<Option<String>, SealError> {
        let plain = self.open_field(event_id, field, sealed)?;
        let text = plain.map(String::from_utf8).transpose();
        text.map_err(|_| SealError::Broken { field })
    }

    /// Opens a field of an event. An empty field is empty; a destroyed key gives `None`.
    ///
    /// # Errors
    /// When the bytes were not sealed for this place.
    pub fn open_field(
        &self,
        event_id: Uuid,
        field: &'static str,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, SealError> {
        if sealed.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let plain = Self::decrypt(key, &self.aad(event_id, field), sealed);
        plain.map(Some).ok_or(SealError::Broken { field })
    }

    /// What was sealed for this place: an event and the name of a field. None when it was sealed for another or with another key, or when the key was
    /// destroyed.
    #[must_use]
    pub fn open_bytes(&self, place: Uuid, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        Self::decrypt(self.key.as_ref()?, &self.aad(place, name), sealed)
    }

    fn decrypt(key: &DataKey, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (&FORMAT, nonce, msg) = (
            sealed.first()?,
            sealed.get(1..=NONCE_LEN)?,
            sealed.get(1 + NONCE_LEN..)?,
        ) else {
            return None;
        };
        XChaCha20Poly1305::new((&**key).into())
            .decrypt(&XNonce::try_from(nonce).ok()?, Payload { msg, aad })
            .ok()
    }

    fn seal(
        &self,
        event_id: Uuid,
        field: &'static str,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        if plain.is_empty() {
            return Ok(Vec::new());
        }
        self.seal_bytes(event_id, field, plain)
    }

    /// Seals bytes for a place that is no field of an event.
    pub(crate) fn seal_bytes(
        &self,
        place: Uuid,
        name: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let key = self.key.as_ref().ok_or(SealError::Destroyed)?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let payload = Payload {
            msg: plain,
            aad: &self.aad(place, name),
        };
        let ciphertext = XChaCha20Poly1305::new((&**key).into())
            .encrypt(&XNonce::from(nonce), payload)
            .expect("what is stored is within what the cipher takes");
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + ciphertext.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    fn aad(&self, event_id: Uuid, field: &str) -> Vec<u8> {
        let mut aad = Vec::with_capacity(80);
        aad.extend_from_slice(self.tenant.as_str().as_bytes());
        aad.push(0);
        aad.extend_from_slice(self.subject.as_bytes());
        aad.extend_from_slice(event_id.as_bytes());
        aad.extend_from_slice(field.as_bytes());
        aad
    }
}

/// Seals the fields of one event.
#[derive(Debug)]
pub struct Seal<'a> {
    cipher: &'a SubjectCipher,
    event_id: Uuid,
}

impl<'a> Seal<'a> {
    /// Seals for the event `event_id`.
    #[must_use]
    pub fn new(cipher: &'a SubjectCipher, event_id: Uuid) -> Self {
        Self { cipher, event_id }
    }

    /// Seals one field. An empty text stays empty.
    ///
    /// # Errors
    /// When the subject's key was destroyed.
    pub fn text(&self, field: &'static str, plain: &str) -> Result<bytes::Bytes, SealError> {
        self.field(field, plain.as_bytes())
    }

    /// Seals one field that is no text. Nothing stays nothing.
    ///
    /// # Errors
    /// When the subject's key was destroyed.
    pub fn field(&self, field: &'static str, plain: &[u8]) -> Result<bytes::Bytes, SealError> {
        self.cipher
            .seal(self.event_id, field, plain)
            .map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(subject: u128) -> SubjectCipher {
        let tenant = TenantId::parse("demo").unwrap();
        SubjectCipher::with_key(&tenant, CustomerId(Uuid::from_u128(subject)), [7; 32])
    }

    #[test]
    fn opens_only_where_it_was_sealed() {
        let event = Uuid::from_u128(9);
        let sealed = Seal::new(&cipher(1), event)
            .text("given_name", "Ayşe")
            .unwrap();
        let opened = cipher(1).open(event, "given_name", &sealed);
        assert_eq!(opened, Ok(Some("Ayşe".to_owned())));
        assert!(cipher(1).open(event, "family_name", &sealed).is_err());
        assert!(
            cipher(1)
                .open(Uuid::from_u128(8), "given_name", &sealed)
                .is_err()
        );
        assert!(cipher(2).open(event, "given_name", &sealed).is_err());
        let mut changed = sealed.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        assert!(cipher(1).open(event, "given_name", &changed).is_err());
        assert!(!sealed.windows(3).any(|window| window == b"Ay\xc5"));
    }

    #[test]
    fn a_destroyed_key_opens_to_nothing_and_seals_nothing() {
        let tenant = TenantId::parse("demo").unwrap();
        let gone = SubjectCipher::new(&tenant, Uuid::from_u128(1), None);
        let sealed = Seal::new(&cipher(1), Uuid::nil()).text("x", "y").unwrap();
        assert_eq!(gone.open(Uuid::nil(), "x", &sealed), Ok(None));
        assert_eq!(
            Seal::new(&gone, Uuid::nil()).text("x", "y"),
            Err(SealError::Destroyed)
        );
    }
}
