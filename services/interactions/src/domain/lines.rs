//! The lines of a purchase and their sums.

use super::text::{self, InvalidText};

/// Most lines of one purchase.
const LINES_MAX: usize = 200;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Article; may be empty.
    pub(crate) sku: String,
    /// Category; may be empty.
    pub(crate) category: String,
    /// Pieces.
    pub(crate) quantity: i64,
    /// Price of the whole line.
    pub(crate) amount_minor: i64,
    /// Margin of the whole line, where known.
    pub(crate) margin_minor: Option<i64>,
}

/// 1 to 200 lines, each with pieces and no negative price, whose sums can be told in 64 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    lines: Vec<Line>,
    total_minor: i64,
    margin_minor: Option<i64>,
}

/// What is wrong with lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidLines {
    /// None, or too many.
    #[error("must be 1 to {LINES_MAX}")]
    Count,
    /// A text of a line.
    #[error("{reason}")]
    Text {
        /// The line, from 0.
        line: usize,
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: InvalidText,
    },
    /// A line without pieces.
    #[error("must be above 0")]
    Quantity {
        /// The line, from 0.
        line: usize,
    },
    /// A negative price.
    #[error("must not be negative")]
    Amount {
        /// The line, from 0.
        line: usize,
    },
    /// The sum of the prices has more than 64 bits.
    #[error("the sum of the amounts is too large")]
    Total,
    /// The sum of the margins has more than 64 bits.
    #[error("the sum of the margins is too large")]
    Margin,
}

impl Lines {
    /// Checks the lines and sums them up. The margin is known when that of every line is.
    pub(crate) fn try_new(lines: Vec<Line>) -> Result<Self, Vec<InvalidLines>> {
        let mut wrong = Vec::new();
        if lines.is_empty() || lines.len() > LINES_MAX {
            wrong.push(InvalidLines::Count);
        }
        // However many there are, nobody reads of more mistakes than a purchase has lines.
        for (n, line) in lines.iter().enumerate().take(LINES_MAX) {
            check(n, line, &mut wrong);
        }
        let total = sum(lines.iter().map(|line| line.amount_minor));
        let margins: Option<Vec<i64>> = lines.iter().map(|line| line.margin_minor).collect();
        let margin = margins.map(|margins| sum(margins.into_iter()));
        if total.is_none() {
            wrong.push(InvalidLines::Total);
        }
        if margin == Some(None) {
            wrong.push(InvalidLines::Margin);
        }
        match total {
            Some(total_minor) if wrong.is_empty() => Ok(Self {
                lines,
                total_minor,
                margin_minor: margin.flatten(),
            }),
            Some(_) | None => Err(wrong),
        }
    }

    /// Lines and sums as they were recorded.
    pub(crate) fn recorded(lines: Vec<Line>, total_minor: i64, margin_minor: Option<i64>) -> Self {
        Self {
            lines,
            total_minor,
            margin_minor,
        }
    }

    /// The lines in the order in which they were given.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Sum of the prices; never negative.
    pub(crate) fn total_minor(&self) -> i64 {
        self.total_minor
    }

    /// Sum of the margins; `None` unless every line's margin is known.
    pub(crate) fn margin_minor(&self) -> Option<i64> {
        self.margin_minor
    }
}

fn check(line: usize, content: &Line, wrong: &mut Vec<InvalidLines>) {
    for (field, value) in [("sku", &content.sku), ("category", &content.category)] {
        if let Err(reason) = text::label(value.clone()) {
            wrong.push(InvalidLines::Text {
                line,
                field,
                reason,
            });
        }
    }
    if content.quantity <= 0 {
        wrong.push(InvalidLines::Quantity { line });
    }
    if content.amount_minor < 0 {
        wrong.push(InvalidLines::Amount { line });
    }
}

/// The sum, if 64 bits hold it: 128 bits hold any sum of fewer than 2^64 of them.
fn sum(amounts: impl Iterator<Item = i64>) -> Option<i64> {
    i64::try_from(amounts.map(i128::from).sum::<i128>()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(quantity: i64, amount_minor: i64, margin_minor: Option<i64>) -> Line {
        Line {
            sku: "A-1".to_owned(),
            category: "books".to_owned(),
            quantity,
            amount_minor,
            margin_minor,
        }
    }

    fn wrong(lines: impl IntoIterator<Item = Line>) -> Vec<InvalidLines> {
        Lines::try_new(lines.into_iter().collect()).unwrap_err()
    }

    #[test]
    fn the_margin_is_known_when_that_of_every_line_is() {
        let known = Lines::try_new(vec![line(1, 10, Some(3)), line(1, 10, Some(-5))]).unwrap();
        assert_eq!((known.total_minor(), known.margin_minor()), (20, Some(-2)));
        let unknown = Lines::try_new(vec![line(1, 10, Some(3)), line(1, 10, None)]).unwrap();
        assert_eq!((unknown.total_minor(), unknown.margin_minor()), (20, None));
    }

    #[test]
    fn there_are_1_to_200() {
        assert_eq!(wrong([]), [InvalidLines::Count]);
        assert!(Lines::try_new(vec![line(1, 1, None); 200]).is_ok());
        assert_eq!(wrong(vec![line(1, 1, None); 201]), [InvalidLines::Count]);
    }

    #[test]
    fn everything_wrong_is_told_at_once_and_where() {
        let text = Line {
            sku: "x".repeat(65),
            category: "a\u{7}".to_owned(),
            ..line(1, 1, None)
        };
        assert_eq!(
            wrong([line(0, 1, None), line(1, 0, None), line(-1, -1, None), text]),
            [
                InvalidLines::Quantity { line: 0 },
                InvalidLines::Quantity { line: 2 },
                InvalidLines::Amount { line: 2 },
                InvalidLines::Text {
                    line: 3,
                    field: "sku",
                    reason: InvalidText::TooLong { chars_max: 64 }
                },
                InvalidLines::Text {
                    line: 3,
                    field: "category",
                    reason: InvalidText::ControlCharacter
                },
            ]
        );
    }

    #[test]
    fn a_sum_beyond_64_bits_is_refused_not_wrapped() {
        assert_eq!(
            wrong([line(1, i64::MAX, None), line(1, 1, None)]),
            [InvalidLines::Total]
        );
        let low = line(1, 0, Some(i64::MIN));
        assert_eq!(wrong([low.clone(), low.clone()]), [InvalidLines::Margin]);
        // Only the end counts, not the way there.
        let high = line(1, 0, Some(i64::MAX));
        let lines = Lines::try_new(vec![high.clone(), high, low.clone(), low]).unwrap();
        assert_eq!(lines.margin_minor(), Some(-2));
    }

    proptest! {
        #[test]
        fn the_total_is_the_sum_of_the_lines(
            amounts in prop::collection::vec((1_i64..1_000, 0_i64..1 << 50, prop::option::of(-(1_i64 << 50)..1 << 50)), 1..=200)
        ) {
            let given: Vec<Line> = amounts.iter().map(|&(quantity, amount, margin)| line(quantity, amount, margin)).collect();
            let lines = Lines::try_new(given.clone()).unwrap();
            prop_assert_eq!(lines.total_minor(), amounts.iter().map(|(_, amount, _)| amount).sum::<i64>());
            let margins: Option<i64> = amounts.iter().map(|(_, _, margin)| *margin).sum();
            prop_assert_eq!(lines.margin_minor(), margins);
            prop_assert_eq!(lines.lines(), given.as_slice());
        }
    }
}
