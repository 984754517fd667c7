//! Ids that other systems have for a customer.

use crate::domain::text::{self, InvalidText};

const SYSTEM_BYTES_MAX: usize = 64;
const VALUE_CHARS_MAX: usize = 128;

/// Not the id of a customer in another system.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidExternal {
    /// The system has no name that can be used.
    #[error(
        "must name the system with 1 to 64 of a-z, 0-9, '.', '-' and '_', beginning with a letter or digit"
    )]
    System,
    /// The id is no text that can be used.
    #[error(transparent)]
    Value(#[from] InvalidText),
}

/// The id that another system has for a customer. Systems compare without regard to case, ids with.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct External {
    system: String,
    value: String,
}

impl External {
    /// Parses an id and the name of the system that gave it; white space around both is cut off.
    ///
    /// # Errors
    /// When one of them is empty, too long, or has characters that it may not have.
    pub(crate) fn parse(system: &str, value: &str) -> Result<Self, InvalidExternal> {
        let system = system.trim().to_ascii_lowercase();
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        let begins_well = system.starts_with(|first: char| first.is_ascii_alphanumeric());
        if !begins_well || system.len() > SYSTEM_BYTES_MAX || !system.bytes().all(allowed) {
            return Err(InvalidExternal::System);
        }
        let value = text::parse(value, VALUE_CHARS_MAX)?;
        Ok(Self { system, value })
    }

    /// Takes back what was parsed once and stored.
    #[must_use]
    pub(crate) fn from_stored(system: String, value: String) -> Self {
        Self { system, value }
    }

    /// The system that gave the id.
    #[must_use]
    pub(crate) fn system(&self) -> &str {
        &self.system
    }

    /// The id.
    #[must_use]
    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}
