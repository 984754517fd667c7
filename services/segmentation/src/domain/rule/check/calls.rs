//! The functions and methods: `has`, `timestamp`, `duration`, the string tests, and the facts with their windows.

use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::super::RULE_WINDOWS_MAX;
use super::super::error::RuleError;
use super::super::expr::{Expr, Node, Type};
use super::super::window::{Aggregate, Facts, Range, Window, parse_span};
use super::{Checker, string_match};

impl Checker<'_> {
    pub(super) fn function(&self, tree: &IdedExpr, call: &CallExpr) -> Result<Expr, RuleError> {
        match call.func_name.as_str() {
            "has" => self.has(tree, call),
            "timestamp" => {
                let text =
                    self.string_argument(tree, call, "timestamp(\"2026-01-31T00:00:00Z\")")?;
                let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
                    let reason = format!("\"{text}\" is not a time as in \"2026-01-31T00:00:00Z\"");
                    self.refuse(&call.args[0], reason)
                })?;
                Ok(self.expr(tree, Node::Timestamp(moment), Type::Timestamp, false))
            }
            "duration" => {
                let text = self.string_argument(tree, call, "duration(\"24h\")")?;
                let length =
                    parse_span(text).map_err(|reason| self.refuse(&call.args[0], reason))?;
                Ok(self.expr(tree, Node::Duration(length), Type::Duration, false))
            }
            name => {
                let reason =
                    format!("{name} is not known; the functions are has, timestamp and duration");
                Err(self.refuse(tree, reason))
            }
        }
    }

    fn has(&self, tree: &IdedExpr, call: &CallExpr) -> Result<Expr, RuleError> {
        let [argument] = call.args.as_slice() else {
            return Err(self.refuse(tree, "has takes one field, as in has(customer.country)"));
        };
        let Cel::Select(select) = &argument.expr else {
            return Err(self.refuse(argument, "has takes a field, as in has(customer.country)"));
        };
        let (field, _) = self.field(argument, &select.operand, &select.field)?;
        Ok(self.expr(tree, Node::Has(field), Type::Bool, false))
    }

    pub(super) fn method(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        depth: usize,
    ) -> Result<Expr, RuleError> {
        let name = call.func_name.as_str();
        if let Some(test) = string_match(name) {
            let target = call.target.as_deref().into_iter();
            let mut operands = Vec::new();
            for part in target.chain(&call.args) {
                let operand = self.value(part, depth + 1)?;
                if operand.ty != Type::String {
                    let reason = format!("{name} needs strings, this is {}", operand.ty.named());
                    return Err(self.refuse_expr(&operand, reason));
                }
                operands.push(operand);
            }
            let [left, right] = <[Expr; 2]>::try_from(operands)
                .map_err(|_| self.refuse(tree, format!("{name} takes one string")))?;
            let node = Node::Match(test, Box::new(left), Box::new(right));
            return Ok(self.expr(tree, node, Type::Bool, false));
        }
        match name {
            "count" => self.aggregate(tree, call, Aggregate::Count),
            "sum_minor" => self.aggregate(tree, call, Aggregate::SumMinor),
            "within" | "between" | "category" | "channel" | "direction" => {
                self.facts(tree)?;
                let reason = "these are many facts, not a value: end with .count() or .sum_minor()";
                Err(self.refuse(tree, reason))
            }
            _ => {
                let reason = format!("{name} is not a method of the rule language");
                Err(self.refuse(tree, reason))
            }
        }
    }

    fn aggregate(
        &mut self,
        tree: &IdedExpr,
        call: &CallExpr,
        aggregate: Aggregate,
    ) -> Result<Expr, RuleError> {
        let target = call.target.as_deref().unwrap_or(tree);
        let window = self.facts(target)?;
        if !call.args.is_empty() {
            let reason = format!("{} takes nothing between its brackets", call.func_name);
            return Err(self.refuse(tree, reason));
        }
        if aggregate == Aggregate::SumMinor && window.facts == Facts::Touchpoints {
            return Err(self.refuse(tree, "touchpoints have no amount, they can only be counted"));
        }
        if !self.windows.contains(&window) {
            if self.windows.len() == RULE_WINDOWS_MAX {
                let reason = format!("the rule has more than {RULE_WINDOWS_MAX} different windows");
                return Err(self.refuse(tree, reason));
            }
            self.windows.push(window.clone());
        }
        Ok(self.expr(tree, Node::Facts(window, aggregate), Type::Int, false))
    }

    /// Reads `purchases.within("90d").channel("web")` and the like.
    fn facts(&self, tree: &IdedExpr) -> Result<Window, RuleError> {
        match &tree.expr {
            Cel::Ident(name) => Facts::named(name).map(Window::of).ok_or_else(|| {
                let reason = "facts are purchases, returns or touchpoints";
                self.refuse(tree, reason)
            }),
            Cel::Call(call) => match call.target.as_deref() {
                Some(target) => {
                    let window = self.facts(target)?;
                    self.narrowed(tree, call, window)
                }
                None => Err(self.refuse(tree, "facts are purchases, returns or touchpoints")),
            },
            Cel::Comprehension(_)
            | Cel::List(_)
            | Cel::Literal(_)
            | Cel::Map(_)
            | Cel::Select(_)
            | Cel::Struct(_)
            | Cel::Unspecified => {
                Err(self.refuse(tree, "facts are purchases, returns or touchpoints"))
            }
        }
    }

    fn narrowed(
        &self,
        tree: &IdedExpr,
        call: &CallExpr,
        mut window: Window,
    ) -> Result<Window, RuleError> {
        let facts = window.facts.name();
        let purchases = window.facts != Facts::Touchpoints;
        let filter = match call.func_name.as_str() {
            "within" | "between" if window.range != Range::Always => {
                return Err(self.refuse(tree, "the stretch of time is given twice"));
            }
            "within" => {
                let text = self.string_argument(tree, call, "within(\"90d\")")?;
                let length =
                    parse_span(text).map_err(|reason| self.refuse(&call.args[0], reason))?;
                window.range = Range::Within(length);
                return Ok(window);
            }
            "between" => {
                window.range = self.between(tree, call)?;
                return Ok(window);
            }
            "channel" => &mut window.channel,
            "category" if purchases => &mut window.category,
            "direction" if !purchases => &mut window.direction,
            name => {
                let reason = format!("{facts} cannot be narrowed by {name}");
                return Err(self.refuse(tree, reason));
            }
        };
        let text = self.string_argument(tree, call, &format!("{}(\"...\")", call.func_name))?;
        if filter.replace(text.to_owned()).is_some() {
            return Err(self.refuse(tree, format!("{} is given twice", call.func_name)));
        }
        Ok(window)
    }

    fn between(&self, tree: &IdedExpr, call: &CallExpr) -> Result<Range, RuleError> {
        let [older_tree, newer_tree] = call.args.as_slice() else {
            let reason =
                "between takes the older and the newer end, as in between(\"365d\", \"90d\")";
            return Err(self.refuse(tree, reason));
        };
        let length = |argument: &IdedExpr| match string_literal(argument) {
            Some(text) => parse_span(text).map_err(|reason| self.refuse(argument, reason)),
            None => Err(self.refuse(argument, "a length of time is a string as in \"90d\"")),
        };
        let (older, newer) = (length(older_tree)?, length(newer_tree)?);
        if older <= newer {
            let reason = "between takes the older end first, and the newer must be nearer to now";
            return Err(self.refuse(tree, reason));
        }
        Ok(Range::Between { older, newer })
    }

    fn string_argument<'t>(
        &self,
        tree: &IdedExpr,
        call: &'t CallExpr,
        example: &str,
    ) -> Result<&'t str, RuleError> {
        let [argument] = call.args.as_slice() else {
            let reason = format!("{} takes one string, as in {example}", call.func_name);
            return Err(self.refuse(tree, reason));
        };
        let text = string_literal(argument).ok_or_else(|| {
            let reason = format!(
                "{} takes a string as it stands, as in {example}",
                call.func_name
            );
            self.refuse(argument, reason)
        })?;
        if text.contains('\0') {
            return Err(self.refuse(argument, "a string cannot hold the character zero"));
        }
        Ok(text)
    }
}

fn string_literal(tree: &IdedExpr) -> Option<&str> {
    match &tree.expr {
        Cel::Literal(LiteralValue::String(text)) => Some(text.inner()),
        Cel::Literal(_)
        | Cel::Call(_)
        | Cel::Comprehension(_)
        | Cel::Ident(_)
        | Cel::List(_)
        | Cel::Map(_)
        | Cel::Select(_)
        | Cel::Struct(_)
        | Cel::Unspecified => None,
    }
}
