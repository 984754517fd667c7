//! A rule after its check: every node has a type and a place, and nothing can be wrong with it any more.

use time::OffsetDateTime;

use super::field::Field;
use super::window::{Aggregate, Window};

/// The types of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int,
    Double,
    String,
    Timestamp,
    Duration,
}

impl Type {
    /// The name with its article, as messages need it.
    pub(super) fn named(self) -> &'static str {
        match self {
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Double => "a double",
            Self::String => "a string",
            Self::Timestamp => "a timestamp",
            Self::Duration => "a duration",
        }
    }

    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }
}

/// A checked expression.
#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub(super) node: Node,
    pub(super) ty: Type,
    /// Whether the value moves with `now` even if no fact is added. It then does so in a straight line.
    pub(super) varies: bool,
    /// The byte offsets of its text in the rule.
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Bool(bool),
    Int(i64),
    Double(f64),
    String(String),
    Timestamp(OffsetDateTime),
    /// In microseconds.
    Duration(i64),
    Now,
    Field(Field),
    Facts(Window, Aggregate),
    Has(Field),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    Conditional(Box<Expr>, Box<Expr>, Box<Expr>),
    Match(StringMatch, Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StringMatch {
    StartsWith,
    EndsWith,
    Contains,
}

impl Expr {
    /// The operands, in the order in which they are written.
    pub(super) fn children(&self) -> Vec<&Expr> {
        match &self.node {
            Node::Bool(_)
            | Node::Int(_)
            | Node::Double(_)
            | Node::String(_)
            | Node::Timestamp(_)
            | Node::Duration(_)
            | Node::Now
            | Node::Field(_)
            | Node::Facts(..)
            | Node::Has(_) => Vec::new(),
            Node::Not(operand) | Node::Negate(operand) => vec![operand],
            Node::All(operands) | Node::Any(operands) => operands.iter().collect(),
            Node::Compare(_, left, right)
            | Node::Arithmetic(_, left, right)
            | Node::Match(_, left, right) => vec![left, right],
            Node::In(value, elements) => std::iter::once(value.as_ref()).chain(elements).collect(),
            Node::Conditional(condition, yes, no) => vec![condition, yes, no],
        }
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(
            self.node,
            Node::Bool(_)
                | Node::Int(_)
                | Node::Double(_)
                | Node::String(_)
                | Node::Timestamp(_)
                | Node::Duration(_)
        )
    }

    /// Calls `visit` with this expression and every one inside it, outermost first.
    pub(super) fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        for child in self.children() {
            child.walk(visit);
        }
    }
}
