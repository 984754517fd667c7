//! The operators: what each takes, what it gives, and what is said where it does not apply.

use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, operators};

use super::super::error::RuleError;
use super::super::expr::{Arithmetic, Comparison, Expr, Node, Type};
use super::Checker;

impl Checker<'_> {
    /// A chain of `&&` or of `||`, which the parser hands over as a balanced tree, becomes one list.
    pub(super) fn logic(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<Expr, RuleError> {
        let mut operands = Vec::new();
        let mut pending: Vec<&IdedExpr> = call.args.iter().rev().collect();
        while let Some(next) = pending.pop() {
            match &next.expr {
                Cel::Call(inner) if inner.target.is_none() && inner.func_name == call.func_name => {
                    pending.extend(inner.args.iter().rev());
                }
                Cel::Call(_)
                | Cel::Comprehension(_)
                | Cel::Ident(_)
                | Cel::List(_)
                | Cel::Literal(_)
                | Cel::Map(_)
                | Cel::Select(_)
                | Cel::Struct(_)
                | Cel::Unspecified => {
                    let operand = self.value(next, depth + 1)?;
                    operands.push(self.bool_operand(operand, symbol(&call.func_name))?);
                }
            }
        }
        let node = if call.func_name == operators::LOGICAL_AND {
            Node::All(operands)
        } else {
            Node::Any(operands)
        };
        Ok(self.expr(tree, node, Type::Bool, false))
    }

    pub(super) fn not(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<Expr, RuleError> {
        let [operand] = self.operands(tree, call, depth)?;
        let operand = self.bool_operand(operand, "!")?;
        Ok(self.expr(tree, Node::Not(Box::new(operand)), Type::Bool, false))
    }

    fn bool_operand(&self, operand: Expr, operator: &str) -> Result<Expr, RuleError> {
        if operand.ty == Type::Bool {
            return Ok(operand);
        }
        let reason = format!("{operator} needs a bool, this is {}", operand.ty.named());
        Err(self.refuse_expr(&operand, reason))
    }

    pub(super) fn negation(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<Expr, RuleError> {
        let [operand] = self.operands(tree, call, depth)?;
        if !operand.ty.is_number() && operand.ty != Type::Duration {
            let reason = format!(
                "- needs a number or a duration, this is {}",
                operand.ty.named()
            );
            return Err(self.refuse_expr(&operand, reason));
        }
        let (ty, varies) = (operand.ty, operand.varies);
        Ok(self.expr(tree, Node::Negate(Box::new(operand)), ty, varies))
    }

    pub(super) fn comparison(
        &self,
        tree: &IdedExpr,
        comparison: Comparison,
        left: Expr,
        right: Expr,
    ) -> Result<Expr, RuleError> {
        self.comparable(tree, &left, &right)?;
        let equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if left.ty == Type::Bool && !equality {
            return Err(self.refuse(tree, "a bool is neither less nor greater than another"));
        }
        if equality {
            self.known_value(&left, &right)?;
            self.known_value(&right, &left)?;
        }
        let node = Node::Compare(comparison, Box::new(left), Box::new(right));
        Ok(self.expr(tree, node, Type::Bool, false))
    }

    /// Refuses to compare what can never be equal because the types differ.
    fn comparable(&self, tree: &IdedExpr, left: &Expr, right: &Expr) -> Result<(), RuleError> {
        if left.ty == right.ty || (left.ty.is_number() && right.ty.is_number()) {
            return Ok(());
        }
        let mut reason = format!(
            "{} is {}, compared with {}",
            self.text(left),
            left.ty.named(),
            right.ty.named()
        );
        let types = [left.ty, right.ty];
        if types.contains(&Type::String) && types.contains(&Type::Timestamp) {
            reason.push_str("; write timestamp(\"2026-01-31T00:00:00Z\")");
        } else if types.contains(&Type::String) && types.contains(&Type::Duration) {
            reason.push_str("; write duration(\"24h\")");
        }
        Err(self.refuse(tree, reason))
    }

    /// Refuses a value that the field never has.
    fn known_value(&self, field: &Expr, value: &Expr) -> Result<(), RuleError> {
        let (Node::Field(name), Node::String(text)) = (&field.node, &value.node) else {
            return Ok(());
        };
        match name.values() {
            Some(known) if !known.contains(&text.as_str()) => {
                let known = known.join("\" or \"");
                let reason = format!("{} is \"{known}\", never this", self.text(field));
                Err(self.refuse_expr(value, reason))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn membership(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<Expr, RuleError> {
        let [value, list] = call.args.as_slice() else {
            return Err(self.refuse(tree, "in has a value on its left and a list on its right"));
        };
        let value = self.value(value, depth + 1)?;
        let Cel::List(list_expr) = &list.expr else {
            return Err(self.refuse(list, "in needs a list on its right, as in [\"TR\", \"DE\"]"));
        };
        if list_expr.elements.is_empty() {
            return Err(self.refuse(list, "nothing is in an empty list"));
        }
        let mut elements = Vec::with_capacity(list_expr.elements.len());
        for element in &list_expr.elements {
            let checked = self.value(element, depth + 1)?;
            self.comparable(element, &value, &checked)?;
            self.known_value(&value, &checked)?;
            elements.push(checked);
        }
        let node = Node::In(Box::new(value), elements);
        Ok(self.expr(tree, node, Type::Bool, false))
    }

    pub(super) fn conditional(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<Expr, RuleError> {
        let [condition, yes, no] = self.operands(tree, call, depth)?;
        let condition = self.bool_operand(condition, "?")?;
        let ty = match (yes.ty, no.ty) {
            (left, right) if left == right => left,
            (left, right) if left.is_number() && right.is_number() => Type::Double,
            (left, right) => {
                let reason = format!(
                    "both outcomes of ? need one type, these are {} and {}",
                    left.named(),
                    right.named()
                );
                return Err(self.refuse(tree, reason));
            }
        };
        let varies = yes.varies || no.varies;
        let node = Node::Conditional(Box::new(condition), Box::new(yes), Box::new(no));
        Ok(self.expr(tree, node, ty, varies))
    }

    pub(super) fn arithmetic(
        &self,
        tree: &IdedExpr,
        operator: Arithmetic,
        left: Expr,
        right: Expr,
    ) -> Result<Expr, RuleError> {
        let Some(ty) = arithmetic_type(operator, left.ty, right.ty) else {
            let reason = format!(
                "{} does not apply to {} and {}",
                arithmetic_symbol(operator),
                left.ty.named(),
                right.ty.named()
            );
            return Err(self.refuse(tree, reason));
        };
        // Where a value does not move in a straight line, the moment at which a comparison turns is not known.
        if operator == Arithmetic::Multiply && left.varies && right.varies {
            let reason = "two values that both change with time cannot be multiplied";
            return Err(self.refuse(tree, reason));
        }
        if operator == Arithmetic::Divide && right.varies {
            let reason = "a value that changes with time cannot divide; multiply the other side of the comparison by it";
            return Err(self.refuse_expr(&right, reason));
        }
        let varies = left.varies || right.varies;
        let node = Node::Arithmetic(operator, Box::new(left), Box::new(right));
        Ok(self.expr(tree, node, ty, varies))
    }
}

/// The type of `left operator right`; none where the operator does not apply.
fn arithmetic_type(operator: Arithmetic, left: Type, right: Type) -> Option<Type> {
    match (operator, left, right) {
        (_, Type::Int, Type::Int) => Some(Type::Int),
        (_, left, right) if left.is_number() && right.is_number() => Some(Type::Double),
        (Arithmetic::Subtract, Type::Timestamp, Type::Timestamp)
        | (Arithmetic::Add | Arithmetic::Subtract, Type::Duration, Type::Duration) => {
            Some(Type::Duration)
        }
        (Arithmetic::Add | Arithmetic::Subtract, Type::Timestamp, Type::Duration)
        | (Arithmetic::Add, Type::Duration, Type::Timestamp) => Some(Type::Timestamp),
        _ => None,
    }
}

fn arithmetic_symbol(operator: Arithmetic) -> &'static str {
    match operator {
        Arithmetic::Add => "+",
        Arithmetic::Subtract => "-",
        Arithmetic::Multiply => "*",
        Arithmetic::Divide => "/",
    }
}

fn symbol(function: &str) -> &'static str {
    if function == operators::LOGICAL_AND {
        "&&"
    } else {
        "||"
    }
}
