//! From the CEL parser's tree to a checked one: names are resolved, types agree, limits are kept, and whatever is
//! outside the language is refused at its place.

use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue, SourceInfo, operators};
use cel::{Env, ParseErrors};

use super::error::{RuleError, shortened};
use super::expr::{Arithmetic, Comparison, Expr, Node, StringMatch, Type};
use super::field::{Field, Owner};
use super::tokens::Tokens;
use super::window::{Facts, Window};
use super::{RULE_DEPTH_MAX, RULE_NODES_MAX};

mod calls;
mod operations;
mod places;

/// Reads and checks a whole rule.
pub(super) fn check(source: &str) -> Result<Expr, RuleError> {
    let tokens = Tokens::read(source)?;
    // An environment without macros: `has(x.y)` stays the call that was written, and so keeps its place.
    let (tree, places) = Env::default()
        .with_optional_support(false)
        .parser()
        .max_recursion_depth(PARSER_RECURSION_MAX)
        .error_recovery_limit(1)
        .parse_with_source_info(source)
        .map_err(|errors| syntax_error(source, &errors))?;
    let mut checker = Checker {
        source,
        tokens,
        places,
        nodes: 0,
        windows: Vec::new(),
    };
    let rule = checker.value(&tree, 1)?;
    if rule.ty != Type::Bool {
        let reason = format!("a rule says yes or no, but this is {}", rule.ty.named());
        return Err(checker.refuse_expr(&rule, reason));
    }
    Ok(rule)
}

/// Brackets and conditionals together; `tokens` has refused what comes near it.
const PARSER_RECURSION_MAX: u16 = 256;

fn syntax_error(source: &str, errors: &ParseErrors) -> RuleError {
    let first = errors.errors.first();
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    let reason = first.map_or("this is not an expression", |error| error.msg.as_str());
    let reason = reason
        .trim_start_matches("Syntax error: ")
        .replace("<EOF>", "the end of the rule");
    let line_index = usize::try_from(line - 1).unwrap_or(0);
    let column_index = usize::try_from(column - 1).unwrap_or(0);
    let line_start: usize = source
        .split_inclusive('\n')
        .take(line_index)
        .map(str::len)
        .sum();
    let start = source[line_start..]
        .char_indices()
        .nth(column_index)
        .map_or(source.len(), |(offset, _)| line_start + offset);
    let end = source[start..]
        .find(['\n', '\r'])
        .map_or(source.len(), |length| start + length);
    RuleError::at(source, start, end, reason)
}

struct Checker<'a> {
    source: &'a str,
    tokens: Tokens<'a>,
    places: SourceInfo,
    nodes: usize,
    windows: Vec<Window>,
}

impl Checker<'_> {
    /// Checks an expression that stands where a value is needed.
    fn value(&mut self, tree: &IdedExpr, depth: usize) -> Result<Expr, RuleError> {
        if depth > RULE_DEPTH_MAX {
            let reason = format!("the rule nests more than {RULE_DEPTH_MAX} levels deep");
            return Err(self.refuse(tree, reason));
        }
        self.nodes += 1;
        if self.nodes > RULE_NODES_MAX {
            let reason = format!("the rule has more than {RULE_NODES_MAX} parts");
            return Err(self.refuse(tree, reason));
        }
        match &tree.expr {
            Cel::Literal(literal) => self.literal(tree, literal),
            Cel::Ident(name) => self.name(tree, name),
            Cel::Select(select) => {
                let (field, ty) = self.field(tree, &select.operand, &select.field)?;
                Ok(self.expr(tree, Node::Field(field), ty, field.varies()))
            }
            Cel::Call(call) => self.call(tree, call, depth),
            Cel::List(_) => Err(self.refuse(tree, "a list can only stand to the right of in")),
            Cel::Comprehension(_) | Cel::Map(_) | Cel::Struct(_) | Cel::Unspecified => {
                Err(self.refuse(tree, "this is not part of the rule language"))
            }
        }
    }

    fn literal(&self, tree: &IdedExpr, literal: &LiteralValue) -> Result<Expr, RuleError> {
        let (node, ty) = match literal {
            LiteralValue::Boolean(value) => (Node::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => (Node::Int(*value.inner()), Type::Int),
            LiteralValue::Double(value) => {
                let value = *value.inner();
                let size = value.abs();
                if size != 0.0 && !(DOUBLE_MIN..=DOUBLE_MAX).contains(&size) {
                    let reason = "a double is between 1e-18 and 1e18 in size, or zero";
                    return Err(self.refuse(tree, reason));
                }
                (Node::Double(value), Type::Double)
            }
            LiteralValue::String(value) => {
                if value.inner().contains('\0') {
                    return Err(self.refuse(tree, "a string cannot hold the character zero"));
                }
                (Node::String(value.inner().to_owned()), Type::String)
            }
            LiteralValue::Null => {
                let reason =
                    "null is no value here: ask has(customer.country) to see whether it is known";
                return Err(self.refuse(tree, reason));
            }
            LiteralValue::UInt(_) => {
                return Err(self.refuse(tree, "write a whole number without the u"));
            }
            LiteralValue::Bytes(_) => {
                return Err(self.refuse(tree, "a rule has no bytes"));
            }
        };
        Ok(self.expr(tree, node, ty, false))
    }

    fn name(&self, tree: &IdedExpr, name: &str) -> Result<Expr, RuleError> {
        if name == "now" {
            return Ok(self.expr(tree, Node::Now, Type::Timestamp, true));
        }
        let reason = if let Some(owner) = Owner::named(name) {
            format!(
                "{name} is not a value, name one of its fields: {}",
                owner.field_names()
            )
        } else if Facts::named(name).is_some() {
            format!("{name} are many facts, not a value: end with .count() or .sum_minor()")
        } else {
            format!("{name} is not known; a rule can use {KNOWN_NAMES}")
        };
        Err(self.refuse(tree, reason))
    }

    fn field(
        &self,
        tree: &IdedExpr,
        operand: &IdedExpr,
        name: &str,
    ) -> Result<(Field, Type), RuleError> {
        let Cel::Ident(owner_name) = &operand.expr else {
            return Err(self.refuse(tree, format!("this has no field {name}")));
        };
        if let Some(owner) = Owner::named(owner_name) {
            return owner.field(name).ok_or_else(|| {
                let fields = owner.field_names();
                self.refuse(
                    tree,
                    format!("{owner_name} has no field {name}; it has {fields}"),
                )
            });
        }
        let reason = if Facts::named(owner_name).is_some() {
            format!("{owner_name} has no field {name}: call it, as in {owner_name}.count()")
        } else if owner_name == "now" {
            "now has no fields".to_owned()
        } else {
            format!("{owner_name} is not known; a rule can use {KNOWN_NAMES}")
        };
        Err(self.refuse(tree, reason))
    }

    fn call(&mut self, tree: &IdedExpr, call: &CallExpr, depth: usize) -> Result<Expr, RuleError> {
        if call.target.is_some() {
            return self.method(tree, call, depth);
        }
        let comparison = match call.func_name.as_str() {
            operators::EQUALS => Comparison::Equal,
            operators::NOT_EQUALS => Comparison::NotEqual,
            operators::LESS => Comparison::Less,
            operators::LESS_EQUALS => Comparison::LessOrEqual,
            operators::GREATER => Comparison::Greater,
            operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
            _ => return self.operation(tree, call, depth),
        };
        let [left, right] = self.operands(tree, call, depth)?;
        self.comparison(tree, comparison, left, right)
    }

    fn operation(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<Expr, RuleError> {
        let arithmetic = match call.func_name.as_str() {
            operators::LOGICAL_AND | operators::LOGICAL_OR => return self.logic(tree, call, depth),
            operators::LOGICAL_NOT => return self.not(tree, call, depth),
            operators::NEGATE => return self.negation(tree, call, depth),
            operators::CONDITIONAL => return self.conditional(tree, call, depth),
            operators::IN => return self.membership(tree, call, depth),
            operators::MODULO => {
                return Err(self.refuse(tree, "the rule language has no remainder, only + - * /"));
            }
            operators::INDEX => {
                return Err(self.refuse(tree, "nothing in the rule language can be indexed"));
            }
            operators::ADD => Arithmetic::Add,
            operators::SUBSTRACT => Arithmetic::Subtract,
            operators::MULTIPLY => Arithmetic::Multiply,
            operators::DIVIDE => Arithmetic::Divide,
            _ => return self.function(tree, call),
        };
        let [left, right] = self.operands(tree, call, depth)?;
        self.arithmetic(tree, arithmetic, left, right)
    }

    /// Checks exactly `N` arguments, all of them values.
    fn operands<const N: usize>(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<[Expr; N], RuleError> {
        let mut checked = Vec::with_capacity(N);
        for argument in &call.args {
            checked.push(self.value(argument, depth + 1)?);
        }
        checked
            .try_into()
            .map_err(|_| self.refuse(tree, "this operator has the wrong number of operands"))
    }

    fn expr(&self, tree: &IdedExpr, node: Node, ty: Type, varies: bool) -> Expr {
        let (start, end) = self.bytes(tree);
        Expr {
            node,
            ty,
            varies,
            start,
            end,
        }
    }

    fn refuse(&self, tree: &IdedExpr, reason: impl Into<String>) -> RuleError {
        let (start, end) = self.bytes(tree);
        RuleError::at(self.source, start, end, reason)
    }

    fn refuse_expr(&self, expr: &Expr, reason: impl Into<String>) -> RuleError {
        RuleError::at(self.source, expr.start, expr.end, reason)
    }

    /// The text of an expression, for a message.
    fn text(&self, expr: &Expr) -> String {
        shortened(&self.source[expr.start..expr.end])
    }
}

const KNOWN_NAMES: &str = "customer, measures, purchases, returns, touchpoints and now";

/// Larger or smaller numbers mean nothing here, and would let a product of many grow without limit.
const DOUBLE_MIN: f64 = 1e-18;
const DOUBLE_MAX: f64 = 1e18;

fn string_match(name: &str) -> Option<StringMatch> {
    match name {
        "startsWith" => Some(StringMatch::StartsWith),
        "endsWith" => Some(StringMatch::EndsWith),
        "contains" => Some(StringMatch::Contains),
        _ => None,
    }
}
