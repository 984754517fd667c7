//! When a comparison may turn though no fact is added.
//!
//! A value that moves with `now` does so in a straight line (the type checker refuses any other), so both sides of
//! a comparison meet at one moment at most: `now - (left - right) / (slope of left - slope of right)`.

use super::super::expr::{Comparison, Expr, Node};
use super::{Rep, Sql, Translator, aligned};

/// How much a value grows in one microsecond.
#[derive(Debug, Clone)]
pub(super) struct Slope {
    text: String,
    sign: Sign,
}

/// Whether a slope goes up or down, as far as the rule alone tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Up,
    Down,
    Unknown,
}

impl Sign {
    fn reversed(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
            Self::Unknown => Self::Unknown,
        }
    }

    fn times(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Up, other) => other,
            (Self::Down, other) => other.reversed(),
        }
    }

    /// Up for a literal above zero, down for one below.
    pub(super) fn of_literal(expr: &Expr) -> Self {
        let value = if let Node::Int(value) = expr.node {
            value.signum() as f64
        } else if let Node::Double(value) = expr.node {
            value
        } else {
            0.0
        };
        if value > 0.0 {
            Self::Up
        } else if value < 0.0 {
            Self::Down
        } else {
            Self::Unknown
        }
    }
}

impl Slope {
    /// That of `now` itself, and of the days that have gone by.
    pub(super) fn per_microsecond() -> Self {
        Self {
            text: "1".to_owned(),
            sign: Sign::Up,
        }
    }

    pub(super) fn negated(self) -> Self {
        Self {
            text: format!("(- {})", self.text),
            sign: self.sign.reversed(),
        }
    }

    pub(super) fn scaled(self, operator: &str, factor: &str, factor_sign: Sign) -> Self {
        Self {
            text: format!("({} {operator} {factor})", self.text),
            sign: self.sign.times(factor_sign),
        }
    }

    pub(super) fn sum(left: Option<Self>, right: Option<Self>) -> Option<Self> {
        match (left, right) {
            (Some(left), Some(right)) => Some(Self {
                text: format!("({} + {})", left.text, right.text),
                sign: if left.sign == right.sign {
                    left.sign
                } else {
                    Sign::Unknown
                },
            }),
            (left, right) => left.or(right),
        }
    }

    pub(super) fn either(condition: &str, yes: Option<Self>, no: Option<Self>) -> Option<Self> {
        if yes.is_none() && no.is_none() {
            return None;
        }
        let (yes, no) = (
            yes.unwrap_or_else(Self::none),
            no.unwrap_or_else(Self::none),
        );
        Some(Self {
            text: format!(
                "(case when {condition} then {} else {} end)",
                yes.text, no.text
            ),
            sign: if yes.sign == no.sign {
                yes.sign
            } else {
                Sign::Unknown
            },
        })
    }

    fn none() -> Self {
        Self {
            text: "0".to_owned(),
            sign: Sign::Unknown,
        }
    }
}

impl Translator {
    /// Notes the moments at which `left comparison right` may turn: where the sides meet, and the microsecond after.
    pub(super) fn note_turn(&mut self, comparison: Comparison, left: &Sql, right: &Sql) {
        if left.rep == Rep::Text || left.rep == Rep::Bool {
            return;
        }
        let reversed = right.slope.clone().map(|slope| slope.negated());
        let Some(slope) = Slope::sum(left.slope.clone(), reversed) else {
            return;
        };
        // Rounded to a thousandth of a microsecond, so that what meets on the microsecond is seen to do so.
        let ([left, right], _) = aligned([left, right]);
        let meeting = format!("round(({right} - {left}) / nullif({}, 0), 3)", slope.text);
        let (at, after) = turns_at_or_after(comparison, slope.sign);
        if at {
            self.turns.push(format!("ceil({meeting})"));
        }
        if after {
            self.turns.push(format!("floor({meeting}) + 1"));
        }
    }
}

/// Whether a comparison turns at the moment at which its sides meet, or in the next microsecond.
fn turns_at_or_after(comparison: Comparison, sign: Sign) -> (bool, bool) {
    let at = match (comparison, sign) {
        (Comparison::Equal | Comparison::NotEqual, _) | (_, Sign::Unknown) => return (true, true),
        (Comparison::Greater | Comparison::LessOrEqual, sign) => sign == Sign::Down,
        (Comparison::GreaterOrEqual | Comparison::Less, sign) => sign == Sign::Up,
    };
    (at, !at)
}
