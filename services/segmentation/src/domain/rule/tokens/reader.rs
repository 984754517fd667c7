//! The reading itself, one token at a time, with a count of how deep the text nests.

use super::super::RULE_DEPTH_MAX;
use super::super::error::RuleError;
use super::Token;

/// The parser's own recursion, in a rule that the type checker's limit would refuse anyway.
const PARSE_DEPTH_MAX: usize = 4 * RULE_DEPTH_MAX;

/// Reads all of a rule that is not too long.
pub(super) fn read(source: &str) -> Result<Vec<Token>, RuleError> {
    let mut reader = Reader {
        source,
        tokens: Vec::new(),
        levels: vec![Level::default()],
        open: Vec::new(),
    };
    reader.read_all()?;
    Ok(reader.tokens)
}

/// How deep the syntax tree inside one pair of brackets can be, never less than it is.
#[derive(Debug, Default)]
struct Level {
    /// `a ? b : c ? d : e` nests to the right, across everything else.
    conditionals: usize,
    /// `a + b - c` nests to the left; `&&`, `||` and commas start afresh.
    operators: usize,
    inner: usize,
    deepest: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.deepest.max(self.operators + self.inner) + self.conditionals
    }

    fn restart(&mut self) {
        self.deepest = self.deepest.max(self.operators + self.inner);
        self.operators = 0;
        self.inner = 0;
    }
}

struct Reader<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    levels: Vec<Level>,
    open: Vec<usize>,
}

impl Reader<'_> {
    fn read_all(&mut self) -> Result<(), RuleError> {
        let mut at = 0;
        while let Some(next) = self.source[at..].chars().next() {
            at = match next {
                ' ' | '\t' | '\r' | '\n' | '\u{c}' => at + 1,
                '/' if self.source[at..].starts_with("//") => self.source[at..]
                    .find('\n')
                    .map_or(self.source.len(), |length| at + length),
                _ => self.token(at, next)?,
            };
        }
        if let Some(&open) = self.open.last() {
            let token = self.tokens[open];
            return Err(self.error(token.start, token.end, "this bracket is never closed"));
        }
        if self.tokens.is_empty() {
            return Err(self.error(0, self.source.len(), "the rule is empty"));
        }
        self.refuse_depth(self.levels[0].depth(), 0)
    }

    /// Reads one token and says where the next begins.
    fn token(&mut self, start: usize, first: char) -> Result<usize, RuleError> {
        let rest = &self.source[start..];
        let two = rest.get(..2).unwrap_or("");
        let length = match first {
            'a'..='z' | 'A'..='Z' | '_' | '0'..='9' => word_length(rest),
            '.' if rest[1..].starts_with(|next: char| next.is_ascii_digit()) => word_length(rest),
            '"' | '\'' => self.string_length(start, first)?,
            _ if matches!(two, "&&" | "||" | "==" | "!=" | "<=" | ">=") => 2,
            '(' | ')' | '[' | ']' | '.' | ',' | '?' | ':' | '+' | '-' | '*' | '/' | '%' | '!'
            | '<' | '>' => 1,
            '=' => return Err(self.error(start, start + 1, "write == to compare")),
            '&' => return Err(self.error(start, start + 1, "write && for and")),
            '|' => return Err(self.error(start, start + 1, "write || for or")),
            '{' | '}' => {
                let reason = "a rule has no maps and no messages";
                return Err(self.error(start, start + 1, reason));
            }
            _ => {
                let reason = "a rule has no such character outside a string";
                return Err(self.error(start, start + first.len_utf8(), reason));
            }
        };
        let index = self.tokens.len();
        self.tokens.push(Token {
            start,
            end: start + length,
            pair: index,
        });
        self.nest(index)?;
        Ok(start + length)
    }

    fn string_length(&self, start: usize, quote: char) -> Result<usize, RuleError> {
        let follows_word = self.source[..start].ends_with(|before: char| {
            before.is_ascii_alphanumeric() || before == '_' || before == quote
        });
        if follows_word {
            let reason = "a rule has plain strings only, without a prefix or triple quotes";
            return Err(self.error(start, start + 1, reason));
        }
        let mut chars = self.source[start..].char_indices().skip(1);
        while let Some((at, next)) = chars.next() {
            match next {
                '\n' | '\r' => break,
                '\\' => {
                    let length =
                        escape_length(&self.source[start + at + 1..]).ok_or_else(|| {
                            let reason = "a rule has no such escape; write \\\\ for a backslash";
                            self.error(start + at, start + at + 1, reason)
                        })?;
                    // Every escape is ASCII, so characters are bytes here.
                    let _ = chars.nth(length - 1);
                }
                _ if next == quote => return Ok(at + 1),
                _ => {}
            }
        }
        let line_end = self.source[start..]
            .find(['\n', '\r'])
            .map_or(self.source.len(), |length| start + length);
        Err(self.error(start, line_end, "this string is not closed on its line"))
    }

    fn nest(&mut self, index: usize) -> Result<(), RuleError> {
        let token = self.tokens[index];
        let text = &self.source[token.start..token.end];
        let level = self
            .levels
            .last_mut()
            .expect("the outermost level is never closed");
        match text {
            "(" | "[" => {
                self.open.push(index);
                self.levels.push(Level::default());
                self.refuse_depth(self.open.len(), token.start)?;
            }
            ")" | "]" => self.close(index)?,
            "&&" | "||" => level.restart(),
            "," => {
                let depth = level.depth();
                *level = Level {
                    deepest: depth,
                    ..Level::default()
                };
            }
            "?" => {
                level.restart();
                level.conditionals += 1;
            }
            ":" => level.restart(),
            "+" | "-" | "*" | "/" | "%" | "!" | "." | "in" | "<" | ">" | "<=" | ">=" | "=="
            | "!=" => level.operators += 1,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, index: usize) -> Result<(), RuleError> {
        let token = self.tokens[index];
        let opening = if self.source[token.start..].starts_with(')') {
            "("
        } else {
            "["
        };
        let Some(open) = self.open.pop() else {
            return Err(self.error(token.start, token.end, "this bracket closes nothing"));
        };
        let opened = self.tokens[open];
        if &self.source[opened.start..opened.end] != opening {
            let reason = format!(
                "this does not close `{}`",
                &self.source[opened.start..opened.end]
            );
            return Err(self.error(token.start, token.end, reason));
        }
        self.tokens[open].pair = index;
        self.tokens[index].pair = open;
        let depth = self.levels.pop().map_or(0, |level| level.depth()) + 1;
        self.refuse_depth(depth, opened.start)?;
        let level = self
            .levels
            .last_mut()
            .expect("the outermost level is never closed");
        // A call or an index is one more operator of the chain that it stands in.
        level.operators += 1;
        level.inner = level.inner.max(depth);
        Ok(())
    }

    fn refuse_depth(&self, depth: usize, start: usize) -> Result<(), RuleError> {
        let brackets = self.open.len();
        if depth <= PARSE_DEPTH_MAX && brackets <= RULE_DEPTH_MAX {
            return Ok(());
        }
        let reason = format!("the rule nests more than {RULE_DEPTH_MAX} levels deep");
        Err(self.error(start, self.source.len(), reason))
    }

    fn error(&self, start: usize, end: usize, reason: impl Into<String>) -> RuleError {
        RuleError::at(self.source, start, end, reason)
    }
}

/// The length of a name or a number: `90`, `0.5`, `1e-3`, `customer`.
fn word_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let number = !(bytes[0].is_ascii_alphabetic() || bytes[0] == b'_');
    let hexadecimal = rest.starts_with("0x");
    let mut length = 1;
    while let Some(&next) = bytes.get(length) {
        let follows = bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        let exponent = number && !hexadecimal && matches!(bytes[length - 1], b'e' | b'E');
        let more = next.is_ascii_alphanumeric()
            || next == b'_'
            || (number && next == b'.' && follows)
            || (exponent && matches!(next, b'+' | b'-') && follows);
        if !more {
            break;
        }
        length += 1;
    }
    length
}

/// The length of what may follow a backslash; none for an escape that CEL does not have.
fn escape_length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let digits = |count: usize| {
        let all = bytes.get(1..=count)?;
        all.iter().all(u8::is_ascii_hexdigit).then_some(count + 1)
    };
    match bytes.first()? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`' => {
            Some(1)
        }
        b'x' | b'X' => digits(2),
        b'u' => digits(4),
        b'U' => digits(8),
        b'0'..=b'3' => {
            let octal = bytes.get(1..3)?;
            octal
                .iter()
                .all(|digit| (b'0'..=b'7').contains(digit))
                .then_some(3)
        }
        _ => None,
    }
}
