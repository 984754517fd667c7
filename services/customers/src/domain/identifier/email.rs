//! E-mail addresses.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// Longest address and longest part before the @: RFC 5321, 4.5.3.1, and RFC 3696, erratum 1690.
const ADDRESS_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;

/// A text that is not an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidEmail {
    /// More than an address may have.
    #[error("must have at most 254 characters, 64 of them before the @")]
    TooLong,
    /// No @.
    #[error("must have the form name@domain")]
    NoDomain,
    /// Before the @ stands what mail servers do not take unquoted.
    #[error("has characters before the @ that an e-mail address does not have")]
    LocalPart,
    /// After the @ stands no domain.
    #[error("must end in a domain name, such as example.com")]
    Domain,
}

/// An e-mail address that compares without regard to case: the part before the @ in ASCII lowercase, the domain in its
/// ASCII (IDNA) form.
///
/// Quoted and non-ASCII parts before the @ (RFC 6531) are not taken.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Email(String);

impl Email {
    /// Parses and normalises an address; white space around it is cut off.
    ///
    /// # Errors
    /// When it is not an address.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail::NoDomain)?;
        // Checked before anything is made of it: what comes in may be of any length.
        if text.len() > 4 * ADDRESS_BYTES_MAX || local.len() > LOCAL_BYTES_MAX {
            return Err(InvalidEmail::TooLong);
        }
        if !local.split('.').all(is_atom) {
            return Err(InvalidEmail::LocalPart);
        }
        let domain = ascii_domain(domain).ok_or(InvalidEmail::Domain)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > ADDRESS_BYTES_MAX {
            return Err(InvalidEmail::TooLong);
        }
        Ok(Self(address))
    }

    /// Takes back what was parsed once and stored.
    #[must_use]
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The normalised address.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 5322, 3.2.3: `atext`.
fn is_atom(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// The domain in lowercase ASCII (UTS 46), if it has two labels at least and does not end in a number.
fn ascii_domain(text: &str) -> Option<String> {
    let domain = Uts46::new()
        .to_ascii(
            text.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .ok()?;
    let (_, top) = domain.rsplit_once('.')?;
    let is_number = top.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number).then(|| domain.into_owned())
}
