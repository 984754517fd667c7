//! What is wrong with a rule, and where.

/// A rule that cannot be used: the place, the offending text and the reason.
///
/// Line and column start at 1; a column counts characters, not bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}, at `{text}`")]
pub struct RuleError {
    /// The line on which the offending text starts.
    pub line: usize,
    /// The character in that line on which it starts.
    pub column: usize,
    /// The offending text, cut short where it is long.
    pub text: String,
    /// Why it is refused.
    pub reason: String,
}

const TEXT_CHARS_MAX: usize = 80;

impl RuleError {
    /// An error about `source[start..end]`, both of them byte offsets on character boundaries.
    pub(super) fn at(source: &str, start: usize, end: usize, reason: impl Into<String>) -> Self {
        let (line, column) = line_and_column(source, start);
        Self {
            line,
            column,
            text: shortened(&source[start..end]),
            reason: reason.into(),
        }
    }
}

/// The 1-based line and column of a byte offset.
pub(super) fn line_and_column(source: &str, offset: usize) -> (usize, usize) {
    let before = &source[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// `text` as it is, or its beginning where it is too long to repeat in a message.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
