//! Ids of what lives in this service only.

use std::{fmt, str::FromStr};

use aggregate::{InvalidId, StreamId};
use uuid::Uuid;

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId(pub Uuid);

/// A fit of the value models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FitId(pub Uuid);

impl From<SegmentId> for StreamId {
    fn from(id: SegmentId) -> Self {
        Self(id.0)
    }
}

impl From<FitId> for StreamId {
    fn from(id: FitId) -> Self {
        Self(id.0)
    }
}

impl FromStr for SegmentId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse::<StreamId>().map(|id| Self(id.0))
    }
}

impl FromStr for FitId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse::<StreamId>().map(|id| Self(id.0))
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for FitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
