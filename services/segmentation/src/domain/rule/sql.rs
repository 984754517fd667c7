//! One checked expression as SQL.
//!
//! Nothing here can fail when it runs, whatever the facts are: one rule that divides by zero or overflows would
//! take down the evaluation of all rules in the statement. So sums and products are `numeric`, a division by zero
//! is missing, and time is counted in microseconds of `numeric` as soon as it is calculated with.

use super::expr::{Arithmetic, Comparison, Expr, Node, StringMatch, Type};
use super::scan::Scans;
use super::statement::{Bind, NOW};

mod change;
mod fact;
mod readable;

use change::{Sign, Slope};

/// The SQL type that holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rep {
    Bool,
    Bigint,
    Float,
    /// A number, a duration in microseconds, or a timestamp in microseconds since 1970.
    Numeric,
    /// A number of days that moves with `now`, as `numeric` microseconds: most microseconds are no decimal fraction
    /// of a day, and one rounded too far would turn a comparison at the wrong moment.
    Days,
    Text,
    Timestamptz,
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// An expression in SQL. A value may be null, which means missing; a bool never is.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) rep: Rep,
    /// How the value moves with `now`, where it does.
    slope: Option<Slope>,
}

impl Sql {
    fn fixed(text: impl Into<String>, rep: Rep) -> Self {
        Self {
            text: text.into(),
            rep,
            slope: None,
        }
    }

    fn bool(text: impl Into<String>) -> Self {
        Self::fixed(text, Rep::Bool)
    }

    /// The value as `numeric`. A float goes through its shortest text, since the direct cast keeps 15 digits only.
    fn numeric(&self) -> String {
        match self.rep {
            Rep::Numeric => self.text.clone(),
            Rep::Float => format!("{}::text::numeric", self.text),
            Rep::Days => format!("({} / {MICROS_PER_DAY})", self.text),
            Rep::Timestamptz => format!("(extract(epoch from {}) * 1000000)", self.text),
            Rep::Bigint | Rep::Bool | Rep::Text => format!("{}::numeric", self.text),
        }
    }

    /// A number of days in the form of [`Rep::Days`].
    fn days(&self) -> String {
        if self.rep == Rep::Days {
            self.text.clone()
        } else {
            format!("({} * {MICROS_PER_DAY})", self.numeric())
        }
    }
}

/// Numbers in a form in which they can be added and compared: days if one of them is, else `numeric`.
fn aligned<const N: usize>(sqls: [&Sql; N]) -> ([String; N], Rep) {
    if sqls.iter().any(|sql| sql.rep == Rep::Days) {
        (sqls.map(Sql::days), Rep::Days)
    } else {
        (sqls.map(Sql::numeric), Rep::Numeric)
    }
}

/// Translates expressions, and gathers what the whole statement needs for them: parameters, columns of the scans,
/// and the moments at which a comparison may turn.
#[derive(Debug, Default)]
pub(super) struct Translator {
    pub(super) scans: Scans,
    /// SQL of type `numeric`: microseconds after `now`.
    pub(super) turns: Vec<String>,
}

impl Translator {
    pub(super) fn translate(&mut self, expr: &Expr) -> Sql {
        match &expr.node {
            Node::Bool(value) => Sql::bool(value.to_string()),
            Node::Int(value) => self.parameter(Bind::Int(*value), "bigint", Rep::Bigint),
            Node::Double(value) => self.parameter(Bind::Float(*value), "float8", Rep::Float),
            Node::String(value) => self.parameter(Bind::Text(value.clone()), "text", Rep::Text),
            Node::Timestamp(value) => {
                self.parameter(Bind::Timestamp(*value), "timestamptz", Rep::Timestamptz)
            }
            Node::Duration(micros) => {
                let length = self.parameter(Bind::Int(*micros), "bigint", Rep::Bigint);
                Sql::fixed(length.numeric(), Rep::Numeric)
            }
            Node::Now => Sql {
                text: NOW.to_owned(),
                rep: Rep::Timestamptz,
                slope: Some(Slope::per_microsecond()),
            },
            Node::Field(field) => self.field(*field),
            Node::Facts(window, aggregate) => self.facts(window, *aggregate),
            Node::Has(field) => Sql::bool(format!("({} is not null)", self.field(*field).text)),
            Node::Not(operand) => Sql::bool(format!("(not {})", self.translate(operand).text)),
            Node::Negate(operand) => {
                let operand = self.translate(operand);
                let ([text], rep) = aligned([&operand]);
                Sql {
                    text: format!("(- {text})"),
                    rep,
                    slope: operand.slope.map(|slope| slope.negated()),
                }
            }
            Node::All(operands) => self.joined(operands, " and "),
            Node::Any(operands) => self.joined(operands, " or "),
            Node::Compare(comparison, left, right) => self.compare(*comparison, left, right),
            Node::Arithmetic(operator, left, right) => self.arithmetic(*operator, left, right),
            Node::In(value, elements) => self.membership(value, elements),
            Node::Conditional(condition, yes, no) => self.conditional(condition, yes, no),
            Node::Match(test, left, right) => {
                let (left, right) = (self.translate(left).text, self.translate(right).text);
                let test = match test {
                    StringMatch::StartsWith => format!("starts_with({left}, {right})"),
                    StringMatch::EndsWith => format!("right({left}, length({right})) = {right}"),
                    StringMatch::Contains => format!("strpos({left}, {right}) > 0"),
                };
                Sql::bool(format!("coalesce({test}, false)"))
            }
        }
    }

    fn parameter(&mut self, bind: Bind, ty: &str, rep: Rep) -> Sql {
        Sql::fixed(self.scans.binds.parameter(bind, ty), rep)
    }

    fn joined(&mut self, operands: &[Expr], operator: &str) -> Sql {
        let parts: Vec<String> = operands
            .iter()
            .map(|operand| self.translate(operand).text)
            .collect();
        Sql::bool(format!("({})", parts.join(operator)))
    }

    fn compare(&mut self, comparison: Comparison, left: &Expr, right: &Expr) -> Sql {
        let sides = self.translate_all(&[left, right]);
        self.note_turn(comparison, &sides[0], &sides[1]);
        let texts = common(&sides);
        let operator = comparison_operator(comparison);
        // Text is ordered by code point, whatever the database thinks of its own language.
        let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let collation = if ordered && sides[0].rep == Rep::Text {
            " collate \"C\""
        } else {
            ""
        };
        Sql::bool(format!(
            "coalesce({}{collation} {operator} {}, false)",
            texts[0], texts[1]
        ))
    }

    fn membership(&mut self, value: &Expr, elements: &[Expr]) -> Sql {
        let all: Vec<&Expr> = std::iter::once(value).chain(elements).collect();
        let sqls = self.translate_all(&all);
        for element in &sqls[1..] {
            self.note_turn(Comparison::Equal, &sqls[0], element);
        }
        let texts = common(&sqls);
        Sql::bool(format!(
            "coalesce({} in ({}), false)",
            texts[0],
            texts[1..].join(", ")
        ))
    }

    fn conditional(&mut self, condition: &Expr, yes: &Expr, no: &Expr) -> Sql {
        let condition = self.translate(condition).text;
        let [yes, no] = [yes, no].map(|outcome| self.translate(outcome));
        let (texts, rep) = if yes.rep == no.rep {
            ([yes.text.clone(), no.text.clone()], yes.rep)
        } else {
            aligned([&yes, &no])
        };
        Sql {
            text: format!(
                "(case when {condition} then {} else {} end)",
                texts[0], texts[1]
            ),
            rep,
            slope: Slope::either(&condition, yes.slope, no.slope),
        }
    }

    fn arithmetic(&mut self, operator: Arithmetic, left: &Expr, right: &Expr) -> Sql {
        let whole = left.ty == Type::Int && right.ty == Type::Int;
        let (left_sign, right_sign) = (Sign::of_literal(left), Sign::of_literal(right));
        let (left, right) = (self.translate(left), self.translate(right));
        let (text, rep, slope) = match operator {
            Arithmetic::Add => {
                let ([a, b], rep) = aligned([&left, &right]);
                (
                    format!("({a} + {b})"),
                    rep,
                    Slope::sum(left.slope, right.slope),
                )
            }
            Arithmetic::Subtract => {
                let ([a, b], rep) = aligned([&left, &right]);
                let slope = right.slope.map(|slope| slope.negated());
                (format!("({a} - {b})"), rep, Slope::sum(left.slope, slope))
            }
            Arithmetic::Multiply => {
                let (([a], a_rep), ([b], b_rep)) = (aligned([&left]), aligned([&right]));
                // One side stands still: the type checker has seen to that.
                let rep = if a_rep == Rep::Days { a_rep } else { b_rep };
                let left = left.slope.map(|slope| slope.scaled("*", &b, right_sign));
                let right = right.slope.map(|slope| slope.scaled("*", &a, left_sign));
                (format!("({a} * {b})"), rep, left.or(right))
            }
            Arithmetic::Divide => {
                let ([a], rep) = aligned([&left]);
                let divisor = format!("nullif({}, 0)", right.numeric());
                let slope = left
                    .slope
                    .map(|slope| slope.scaled("/", &divisor, right_sign));
                // `div` cuts the fraction off towards zero, as CEL divides whole numbers.
                let text = if whole {
                    format!("div({a}, {divisor})")
                } else {
                    format!("({a} / {divisor})")
                };
                (text, rep, slope)
            }
        };
        Sql { text, rep, slope }
    }

    /// Translates what is to be compared with each other. Beside floats, a small whole number is a float too.
    fn translate_all(&mut self, exprs: &[&Expr]) -> Vec<Sql> {
        let mut sqls: Vec<Option<Sql>> = exprs
            .iter()
            .map(|expr| small_whole(expr).is_none().then(|| self.translate(expr)))
            .collect();
        let mut others = sqls.iter().flatten().peekable();
        let floats = others.peek().is_some() && others.all(|sql| sql.rep == Rep::Float);
        for (sql, expr) in sqls.iter_mut().zip(exprs) {
            if let (None, Some(value), true) = (&sql, small_whole(expr), floats) {
                *sql = Some(self.parameter(Bind::Float(value), "float8", Rep::Float));
            }
        }
        sqls.into_iter()
            .zip(exprs)
            .map(|(sql, expr)| sql.unwrap_or_else(|| self.translate(expr)))
            .collect()
    }
}

/// The values in one SQL type, so that they can be compared.
fn common(sqls: &[Sql]) -> Vec<String> {
    let one_type = sqls.iter().all(|sql| sql.rep == sqls[0].rep);
    let exact = |sql: &Sql| matches!(sql.rep, Rep::Bigint | Rep::Numeric);
    // PostgreSQL widens a bigint beside a numeric by itself, and exactly.
    if one_type || sqls.iter().all(exact) {
        sqls.iter().map(|sql| sql.text.clone()).collect()
    } else if sqls.iter().any(|sql| sql.rep == Rep::Days) {
        sqls.iter().map(Sql::days).collect()
    } else {
        sqls.iter().map(Sql::numeric).collect()
    }
}

fn small_whole(expr: &Expr) -> Option<f64> {
    if let Node::Int(value) = expr.node {
        i32::try_from(value).ok().map(f64::from)
    } else {
        None
    }
}

fn comparison_operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}
