//! Consistency tokens: "read at least up to here".

use std::{collections::BTreeMap, fmt, str::FromStr};

use aggregate::Partition;

/// Positions of one log that a read must show. Opaque to clients: they hand back what they were given.
///
/// Several tokens, of the same or of different logs, may be given together, separated by spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyToken {
    /// The service whose log it is.
    pub log: String,
    /// Epoch of the log.
    pub epoch: i32,
    /// Positions to reach.
    pub positions: BTreeMap<Partition, i64>,
}

/// A text that is not a token of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a consistency token of this system")]
pub struct InvalidToken;

impl ConsistencyToken {
    /// A token for these positions.
    #[must_use]
    pub fn new(
        log: &str,
        epoch: i32,
        positions: impl IntoIterator<Item = (Partition, i64)>,
    ) -> Self {
        let mut highest = BTreeMap::new();
        for (partition, position) in positions {
            let entry = highest.entry(partition).or_insert(position);
            *entry = position.max(*entry);
        }
        Self {
            log: log.to_owned(),
            epoch,
            positions: highest,
        }
    }

    /// Parses tokens separated by spaces. An empty text is no token.
    ///
    /// # Errors
    /// When one of them is not a token.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, InvalidToken> {
        text.split_ascii_whitespace().map(str::parse).collect()
    }
}

impl fmt::Display for ConsistencyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.", self.log, self.epoch)?;
        for (n, (partition, position)) in self.positions.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{partition}-{position}")?;
        }
        Ok(())
    }
}

impl FromStr for ConsistencyToken {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let mut parts = text.split('.');
        let (Some(log), Some(epoch), Some(positions), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidToken);
        };
        if log.is_empty() || !log.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return Err(InvalidToken);
        }
        let positions = positions
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (partition, position) = part.split_once('-').ok_or(InvalidToken)?;
                let partition = partition.parse().map_err(|_| InvalidToken)?;
                let position: i64 = position.parse().map_err(|_| InvalidToken)?;
                Ok((
                    Partition::parse(partition).map_err(|_| InvalidToken)?,
                    position,
                ))
            })
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(Self {
            log: log.to_owned(),
            epoch: epoch.parse().map_err(|_| InvalidToken)?,
            positions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_from_its_text() {
        let at = |n| Partition::parse(n).unwrap();
        let token = ConsistencyToken::new("customers", 2, [(at(3), 7), (at(63), 1), (at(3), 5)]);
        assert_eq!(token.to_string(), "customers.2.3-7,63-1");
        assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn refuses_what_is_not_a_token() {
        for text in [
            "x",
            "customers.1",
            "customers.a.1-1",
            "customers.1.64-1",
            "customers.1.1-",
            "C.1.1-1",
        ] {
            assert_eq!(
                text.parse::<ConsistencyToken>(),
                Err(InvalidToken),
                "{text}"
            );
        }
    }
}
