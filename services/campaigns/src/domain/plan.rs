//! What a campaign is planned to do: its parts as types that can only hold what is allowed.

use std::{fmt, str::FromStr};

use aggregate::{InvalidId, StreamId};
use uuid::Uuid;

/// A campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CampaignId(pub Uuid);

/// A segment of the segmentation service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentId(pub Uuid);

impl FromStr for CampaignId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse().map(|StreamId(id)| Self(id))
    }
}

impl FromStr for SegmentId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.parse().map(|StreamId(id)| Self(id))
    }
}

impl fmt::Display for CampaignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<CampaignId> for StreamId {
    fn from(id: CampaignId) -> Self {
        Self(id.0)
    }
}

/// What a campaign is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// Find new customers.
    Acquire,
    /// Sell more kinds of things to present customers.
    CrossSell,
    /// Win back the lost.
    WinBack,
    /// Build loyalty.
    Loyalty,
    /// Retain and grow present customers.
    Retain,
}

/// How a contact reaches the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// E-mail.
    Email,
    /// Text message.
    Sms,
    /// Telephone call.
    Phone,
    /// Letter.
    Post,
}

/// What a contact is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Advertising and offers.
    Marketing,
    /// News without an offer.
    Information,
    /// Questions about satisfaction and the like.
    Research,
}

/// A text that breaks its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(&'static str);

/// A name: 1 to 64 characters in one line, not all of them blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    /// When it is blank or too long.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        if text.trim().is_empty() {
            return Err(InvalidText("must not be blank"));
        }
        if text.chars().count() > 64 {
            return Err(InvalidText("must have at most 64 characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidText("must not have control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text for people to read: at most 1024 characters in any number of lines; may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description(String);

impl Description {
    /// Parses a description.
    ///
    /// # Errors
    /// When it is too long or has control characters other than line breaks and tabs.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        if text.chars().count() > 1024 {
            return Err(InvalidText("must have at most 1024 characters"));
        }
        if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        {
            return Err(InvalidText("must not have control characters"));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Share of the audience that is not contacted, 0 to 0.9.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HoldoutShare(f64);

impl HoldoutShare {
    /// Parses a share.
    ///
    /// # Errors
    /// When it is no number from 0 to 0.9.
    pub fn parse(share: f64) -> Result<Self, InvalidText> {
        if (0.0..=0.9).contains(&share) {
            Ok(Self(share))
        } else {
            Err(InvalidText("must be a number from 0 to 0.9"))
        }
    }

    /// The share as a number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

/// What a campaign offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Name.
    pub name: Name,
    /// What is offered.
    pub description: Description,
    /// Cost of one offer taken, in minor units, never negative.
    pub cost_minor: i64,
    /// ISO 4217 code of the cost; may be empty when the cost is 0.
    pub currency_code: String,
}

/// All that is fixed when a campaign is created.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Name.
    pub name: Name,
    /// Goal.
    pub goal: Goal,
    /// Segment that is contacted.
    pub segment: SegmentId,
    /// Offer.
    pub offer: Offer,
    /// Channel.
    pub channel: Channel,
    /// Purpose for which consent is asked.
    pub purpose: Purpose,
    /// Share that is held out.
    pub holdout_share: HoldoutShare,
    /// Seed of the holdout.
    pub seed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_64_characters() {
        assert!(Name::parse("Ş").is_ok());
        assert!(Name::parse(&"ş".repeat(64)).is_ok());
        for text in ["", "  ", &"a".repeat(65), "a\0", "a\nb"] {
            assert!(Name::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_description_has_at_most_1024_characters() {
        for text in ["", "two\nlines\tand a tab", &"ş".repeat(1024)] {
            assert!(Description::parse(text).is_ok(), "{text:?}");
        }
        for text in [&"a".repeat(1025), "a\0", "\u{7}"] {
            assert!(Description::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_holdout_share_is_a_number_from_0_to_nine_tenths() {
        for share in [0.0, 0.1, 0.9] {
            assert_eq!(HoldoutShare::parse(share).unwrap().value(), share);
        }
        for share in [-0.01, 0.91, 1.0, f64::NAN, f64::INFINITY] {
            assert!(HoldoutShare::parse(share).is_err(), "{share}");
        }
    }
}
