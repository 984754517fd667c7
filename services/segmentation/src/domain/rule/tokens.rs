//! A first look at the text of a rule, before the CEL parser sees it.
//!
//! The parser recurses as deep as a rule nests and gives each node the place of a single token. So the tokens
//! are read here first: to refuse what is nested too deep for any stack, to name the characters that the language
//! does not have, and to know afterwards where an expression begins and ends.

use super::RULE_BYTES_MAX;
use super::error::RuleError;

mod reader;

#[derive(Debug, Clone, Copy)]
struct Token {
    start: usize,
    end: usize,
    /// The bracket that opens or closes this one.
    pair: usize,
}

/// The tokens of a rule in which every bracket has its pair and every string its end.
#[derive(Debug)]
pub(super) struct Tokens<'a> {
    source: &'a str,
    tokens: Vec<Token>,
}

/// The first and the last token of an expression.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenRange {
    pub(super) first: usize,
    pub(super) last: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn read(source: &'a str) -> Result<Self, RuleError> {
        if source.len() > RULE_BYTES_MAX {
            let reason = format!(
                "the rule has {} bytes, at most {RULE_BYTES_MAX} are allowed",
                source.len()
            );
            return Err(RuleError::at(source, 0, source.len(), reason));
        }
        let tokens = reader::read(source)?;
        Ok(Self { source, tokens })
    }

    /// The index of the token that starts at this byte, if one does.
    pub(super) fn at(&self, start: usize) -> Option<usize> {
        self.tokens
            .binary_search_by_key(&start, |token| token.start)
            .ok()
    }

    pub(super) fn text(&self, index: usize) -> &'a str {
        let token = self.tokens[index];
        &self.source[token.start..token.end]
    }

    pub(super) fn pair(&self, index: usize) -> usize {
        self.tokens[index].pair
    }

    pub(super) fn whole(&self) -> TokenRange {
        TokenRange {
            first: 0,
            last: self.tokens.len() - 1,
        }
    }

    /// The byte offsets of a range.
    pub(super) fn bytes(&self, range: TokenRange) -> (usize, usize) {
        (self.tokens[range.first].start, self.tokens[range.last].end)
    }

    /// The range, wide enough that no bracket in it has its pair outside: of `(a + b) * c` the parser knows
    /// only the places of `a`, `b`, `c` and the operators.
    pub(super) fn balanced(&self, range: TokenRange) -> TokenRange {
        let mut wide = range;
        for index in range.first..=range.last {
            let pair = self.tokens[index].pair;
            wide.first = wide.first.min(pair);
            wide.last = wide.last.max(pair);
        }
        wide
    }
}
