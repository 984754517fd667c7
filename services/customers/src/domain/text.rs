//! Short texts within limits: names, labels and references.

use std::fmt;

/// A text that is not what the field asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidText {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than the field may have.
    #[error("must have at most {chars_max} characters")]
    TooLong {
        /// The limit.
        chars_max: usize,
    },
    /// A control character, such as a line break.
    #[error("must not have control characters")]
    ControlCharacter,
}

macro_rules! short_text {
    ($(#[doc = $doc:literal])* $name:ident, $chars_max:literal) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub(crate) struct $name(String);

        impl $name {
            /// Longest text, in Unicode characters.
            pub(crate) const CHARS_MAX: usize = $chars_max;

            /// Parses a text; white space around it is cut off.
            ///
            /// # Errors
            /// When it is empty, too long, or has control characters.
            pub(crate) fn parse(text: &str) -> Result<Self, InvalidText> {
                parse(text, Self::CHARS_MAX).map(Self)
            }

            /// Takes back what was parsed once and stored. No rule applies again: one that became stricter must not make
            /// history unreadable.
            #[must_use]
            pub(crate) fn from_stored(text: String) -> Self {
                Self(text)
            }

            /// The text.
            #[must_use]
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

short_text!(
    /// A name of a person or a business. Its `Debug` does not show it: names stay out of logs.
    Name,
    128
);
short_text!(
    /// A name that a program gives: the version of a wording, the place where something was said.
    Label,
    64
);
short_text!(
    /// A reference to something that is kept elsewhere, such as a document.
    Reference,
    256
);

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(..)")
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

pub(super) fn parse(text: &str, chars_max: usize) -> Result<String, InvalidText> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.chars().count() > chars_max {
        return Err(InvalidText::TooLong { chars_max });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::ControlCharacter);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_counted_in_characters() {
        assert_eq!(
            Name::parse("\u{2003} Şükrü\u{a0}").unwrap().as_str(),
            "Şükrü"
        );
        assert!(Name::parse(&"ğ".repeat(128)).is_ok());
        assert_eq!(
            Name::parse(&"ğ".repeat(129)),
            Err(InvalidText::TooLong { chars_max: 128 })
        );
    }

    #[test]
    fn refuses_what_is_no_name() {
        assert_eq!(Name::parse(" \t"), Err(InvalidText::Empty));
        assert_eq!(Name::parse("a\nb"), Err(InvalidText::ControlCharacter));
        assert_eq!(Name::parse("a\u{0}b"), Err(InvalidText::ControlCharacter));
    }

    #[test]
    fn a_name_does_not_show_in_debug_output() {
        assert_eq!(format!("{:?}", Name::parse("Ayşe").unwrap()), "Name(..)");
    }
}
