//! Typed ids, and the partition that an id belongs to.

use std::sync::Arc;
use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

/// Number of partitions of every log. Fixed for ever: the partition of a stream is stored and never recomputed.
pub const PARTITIONS: u8 = 64;

/// A text that is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidId {
    reason: &'static str,
}

/// A tenant: 1 to 32 characters of `a-z0-9-`, beginning with a letter or digit. Safe as a token of a NATS subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Parses a tenant id.
    ///
    /// # Errors
    /// When the text is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if text.is_empty() || text.len() > 32 {
            return Err(InvalidId {
                reason: "a tenant id has 1 to 32 characters",
            });
        }
        if text.starts_with('-') || !text.bytes().all(allowed) {
            return Err(InvalidId {
                reason: "a tenant id has lowercase letters, digits and inner hyphens only",
            });
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CustomerId(pub Uuid);

/// A stream: the events of one aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamId(pub Uuid);

impl From<CustomerId> for StreamId {
    fn from(id: CustomerId) -> Self {
        Self(id.0)
    }
}

macro_rules! uuid_text {
    ($($id:ident),*) => {$(
        impl FromStr for $id {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::try_parse(text).map(Self).map_err(|_| InvalidId { reason: "not a UUID" })
            }
        }
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

uuid_text!(CustomerId, StreamId);

/// One of the [`PARTITIONS`] of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u8);

impl Partition {
    /// The partition that holds everything about a customer, the same in all services.
    #[must_use]
    pub fn of_customer(tenant: &TenantId, customer: CustomerId) -> Self {
        Self::of_key(tenant, customer.0.as_bytes())
    }

    /// The partition of something that belongs to no customer, by its own key.
    #[must_use]
    pub fn of_key(tenant: &TenantId, key: &[u8]) -> Self {
        let mut hasher = Xxh3::new();
        hasher.update(tenant.as_str().as_bytes());
        // A byte that no tenant id contains, so that (tenant, key) cannot be split in two ways.
        hasher.update(&[0]);
        hasher.update(key);
        let remainder = hasher.digest() % u64::from(PARTITIONS);
        Self(u8::try_from(remainder).expect("the remainder is below 64"))
    }

    /// The partition of this number.
    ///
    /// # Errors
    /// When it is not below [`PARTITIONS`].
    pub fn parse(number: u32) -> Result<Self, InvalidId> {
        match u8::try_from(number) {
            Ok(number) if number < PARTITIONS => Ok(Self(number)),
            Ok(_) | Err(_) => Err(InvalidId {
                reason: "a partition is a number from 0 to 63",
            }),
        }
    }

    /// All partitions in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// The number, 0 to 63.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_tenant_that_would_break_a_subject() {
        for text in ["", "A", "a.b", "a*", "a>", "-a", "ç", &"a".repeat(33)] {
            assert!(TenantId::parse(text).is_err(), "{text:?}");
        }
        assert!(TenantId::parse("acme-2").is_ok());
    }

    #[test]
    fn the_partition_of_a_customer_never_changes() {
        let tenant = TenantId::parse("demo").unwrap();
        let id = |n: u128| CustomerId(Uuid::from_u128(n));
        let got: Vec<_> = (1..=6)
            .map(|n| Partition::of_customer(&tenant, id(n)).number())
            .collect();
        // Stored logs depend on these values.
        assert_eq!(got, PINNED);
    }

    const PINNED: [u8; 6] = [7, 62, 4, 52, 40, 32];

    #[test]
    fn customers_spread_over_all_partitions() {
        let tenant = TenantId::parse("demo").unwrap();
        let mut seen = [0_u32; PARTITIONS as usize];
        for n in 0..6400_u128 {
            let partition = Partition::of_customer(&tenant, CustomerId(Uuid::from_u128(n)));
            seen[usize::from(partition.number())] += 1;
        }
        assert!(
            seen.iter().all(|count| (50..200).contains(count)),
            "{seen:?}"
        );
    }
}
