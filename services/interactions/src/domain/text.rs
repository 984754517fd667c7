//! Texts that other systems send: how long they may be and what they may hold.

use std::fmt;

/// Longest name of a system.
const SOURCE_CHARS_MAX: usize = 64;
/// Longest id that a system gives.
const SOURCE_ID_CHARS_MAX: usize = 128;
/// Longest article, category, channel or role.
const LABEL_CHARS_MAX: usize = 64;
/// Longest account of a contact.
const SUMMARY_CHARS_MAX: usize = 4096;

/// A text that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidText {
    /// Nothing given.
    #[error("must be given")]
    Missing,
    /// Too long.
    #[error("must have at most {chars_max} characters")]
    TooLong {
        /// The most it may have.
        chars_max: usize,
    },
    /// A source with other characters.
    #[error("must have the characters a-z 0-9 _ . - only")]
    NotASource,
    /// Characters that no reader sees.
    #[error("must have no control characters")]
    ControlCharacter,
}

/// Name of the system that reports: 1 to 64 characters of `a-z0-9_.-`.
pub(crate) fn source(text: String) -> Result<String, InvalidText> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
    if !text.bytes().all(allowed) {
        return Err(InvalidText::NotASource);
    }
    given(within(text, SOURCE_CHARS_MAX)?)
}

/// Id that the system gave: 1 to 128 characters.
pub(crate) fn source_id(text: String) -> Result<String, InvalidText> {
    given(visible(within(text, SOURCE_ID_CHARS_MAX)?)?)
}

/// An article, category, channel or role: at most 64 characters, may be empty.
pub(crate) fn label(text: String) -> Result<String, InvalidText> {
    visible(within(text, LABEL_CHARS_MAX)?)
}

/// What a contact was about, in lines and paragraphs; may be empty. Its `Debug` does not show it: what customers say stays out
/// of logs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Summary(String);

impl Summary {
    /// Parses a summary of at most 4096 characters.
    pub(crate) fn parse(text: String) -> Result<Self, InvalidText> {
        let text = within(text, SUMMARY_CHARS_MAX)?;
        let hidden = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if text.chars().any(hidden) {
            return Err(InvalidText::ControlCharacter);
        }
        Ok(Self(text))
    }

    /// A summary as it was recorded.
    pub(crate) fn recorded(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Summary(..)")
    }
}

fn given(text: String) -> Result<String, InvalidText> {
    if text.trim().is_empty() {
        return Err(InvalidText::Missing);
    }
    Ok(text)
}

fn within(text: String, chars_max: usize) -> Result<String, InvalidText> {
    // No character takes less than one byte, so most texts need not be counted.
    if text.len() > chars_max && text.chars().count() > chars_max {
        return Err(InvalidText::TooLong { chars_max });
    }
    Ok(text)
}

fn visible(text: String) -> Result<String, InvalidText> {
    if text.chars().any(char::is_control) {
        return Err(InvalidText::ControlCharacter);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_short_and_plain() {
        assert_eq!(
            source("pos-3.istanbul_2".to_owned()),
            Ok("pos-3.istanbul_2".to_owned())
        );
        assert_eq!(source(String::new()), Err(InvalidText::Missing));
        for text in ["POS", "a/b", "a b", "ş", "a\n"] {
            assert_eq!(
                source(text.to_owned()),
                Err(InvalidText::NotASource),
                "{text:?}"
            );
        }
        assert!(source("a".repeat(64)).is_ok());
        assert_eq!(
            source("a".repeat(65)),
            Err(InvalidText::TooLong { chars_max: 64 })
        );
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        assert!(source_id("ğ".repeat(128)).is_ok());
        assert_eq!(
            source_id("ğ".repeat(129)),
            Err(InvalidText::TooLong { chars_max: 128 })
        );
        assert!(label("ğ".repeat(64)).is_ok());
        assert_eq!(
            label("ğ".repeat(65)),
            Err(InvalidText::TooLong { chars_max: 64 })
        );
        assert!(Summary::parse("ğ".repeat(4096)).is_ok());
        assert_eq!(
            Summary::parse("ğ".repeat(4097)),
            Err(InvalidText::TooLong { chars_max: 4096 })
        );
    }

    #[test]
    fn control_characters_are_refused_but_a_summary_has_lines() {
        assert_eq!(
            source_id("a\0".to_owned()),
            Err(InvalidText::ControlCharacter)
        );
        assert_eq!(label("a\nb".to_owned()), Err(InvalidText::ControlCharacter));
        assert!(Summary::parse("a\r\n\tb".to_owned()).is_ok());
        assert_eq!(
            Summary::parse("a\u{1b}".to_owned()),
            Err(InvalidText::ControlCharacter)
        );
    }

    #[test]
    fn only_an_id_must_be_given() {
        assert_eq!(source_id(String::new()), Err(InvalidText::Missing));
        assert_eq!(source_id(" ".to_owned()), Err(InvalidText::Missing));
        assert_eq!(label(String::new()), Ok(String::new()));
        assert!(Summary::parse(String::new()).is_ok());
    }

    #[test]
    fn a_summary_does_not_show_in_debug_output() {
        let summary = Summary::parse("Ayşe".to_owned()).unwrap();
        assert_eq!(format!("{summary:?}"), "Summary(..)");
    }
}
