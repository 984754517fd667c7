//! Names of segments and the claims on them.

use std::str::FromStr;

use aggregate::Aggregate;

use super::ids::SegmentId;

const NAME_CHARS_MAX: usize = 64;

/// Name of a segment: 1 to 64 characters of `a-z0-9-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName(String);

/// A text that is not a segment's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {NAME_CHARS_MAX} characters of a-z, 0-9 and -")]
pub struct InvalidName;

impl SegmentName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SegmentName {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidName)
        }
    }
}

/// Who owns the name of a segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NameClaim {
    owner: Option<SegmentId>,
}

/// Take the name.
#[derive(Clone, Debug)]
pub struct ClaimName {
    /// The name.
    pub name: SegmentName,
    /// Who wants it.
    pub segment: SegmentId,
}

/// The name is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct NameClaimed {
    /// The name.
    pub name: String,
    /// Its owner.
    pub segment: SegmentId,
}

/// Another segment has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("segment {by} has the name")]
pub struct NameTaken {
    /// The owner.
    pub by: SegmentId,
}

impl Aggregate for NameClaim {
    const TYPE: &'static str = "segment-name";
    type Command = ClaimName;
    type Event = NameClaimed;
    type Rejection = NameTaken;

    fn decide(&self, command: &ClaimName) -> Result<Vec<NameClaimed>, NameTaken> {
        match self.owner {
            Some(owner) if owner == command.segment => Ok(vec![]),
            Some(by) => Err(NameTaken { by }),
            None => Ok(vec![NameClaimed {
                name: command.name.as_str().to_owned(),
                segment: command.segment,
            }]),
        }
    }

    fn evolve(&mut self, event: &NameClaimed) {
        self.owner = Some(event.segment);
    }
}

#[cfg(test)]
mod tests {
    use aggregate::scenario::given;
    use uuid::Uuid;

    use super::*;

    fn segment(n: u128) -> SegmentId {
        SegmentId(Uuid::from_u128(n))
    }

    #[test]
    fn a_name_has_one_owner() {
        let claim = |n| ClaimName {
            name: "loyal".parse().unwrap(),
            segment: segment(n),
        };
        let claimed = NameClaimed {
            name: "loyal".to_owned(),
            segment: segment(1),
        };
        given::<NameClaim>([])
            .when(claim(1))
            .then([claimed.clone()]);
        given::<NameClaim>([claimed.clone()])
            .when(claim(1))
            .then_nothing();
        given::<NameClaim>([claimed])
            .when(claim(2))
            .then_rejected(NameTaken { by: segment(1) });
    }

    #[test]
    fn names_are_short_and_plain() {
        for text in ["", "A", "a b", "ş", "a_b", &"a".repeat(65)] {
            assert_eq!(text.parse::<SegmentName>(), Err(InvalidName), "{text:?}");
        }
        for text in ["a", "slipping-away", &"9".repeat(64)] {
            assert!(text.parse::<SegmentName>().is_ok(), "{text:?}");
        }
    }
}
