//! Where in the text an expression begins and ends.

use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue};

use super::super::tokens::TokenRange;
use super::Checker;

impl Checker<'_> {
    pub(super) fn bytes(&self, tree: &IdedExpr) -> (usize, usize) {
        self.tokens.bytes(self.range(tree))
    }

    /// From the first to the last token of an expression. The parser keeps one token for each node: the operator,
    /// the dot, the opening bracket, or the literal without its sign.
    fn range(&self, tree: &IdedExpr) -> TokenRange {
        let token = self
            .places
            .offset_for(tree.id)
            .and_then(|(start, _)| self.tokens.at(start as usize));
        let Some(token) = token else {
            return self.tokens.whole();
        };
        let only = TokenRange {
            first: token,
            last: token,
        };
        let range = match &tree.expr {
            Cel::Literal(literal) => TokenRange {
                first: token - usize::from(is_negative(literal) && token > 0),
                last: token,
            },
            Cel::Select(select) => TokenRange {
                first: self.range(&select.operand).first,
                last: token + 1,
            },
            Cel::List(_) => TokenRange {
                first: token,
                last: self.tokens.pair(token),
            },
            Cel::Call(call) => self.call_range(call, only),
            Cel::Ident(_)
            | Cel::Comprehension(_)
            | Cel::Map(_)
            | Cel::Struct(_)
            | Cel::Unspecified => only,
        };
        self.tokens.balanced(range)
    }

    fn call_range(&self, call: &CallExpr, token: TokenRange) -> TokenRange {
        let parts = call.target.as_deref().into_iter().chain(&call.args);
        let mut range = parts
            .map(|part| self.range(part))
            .fold(token, |all, part| TokenRange {
                first: all.first.min(part.first),
                last: all.last.max(part.last),
            });
        let bracket = self.tokens.pair(token.first);
        range.last = range.last.max(bracket);
        let named_before_bracket = call.target.is_none() && self.tokens.text(token.first) == "(";
        if named_before_bracket && range.first > 0 {
            range.first -= 1;
        }
        range
    }
}

fn is_negative(literal: &LiteralValue) -> bool {
    match literal {
        LiteralValue::Int(value) => *value.inner() < 0,
        LiteralValue::Double(value) => value.inner().is_sign_negative(),
        LiteralValue::Boolean(_)
        | LiteralValue::Bytes(_)
        | LiteralValue::Null
        | LiteralValue::String(_)
        | LiteralValue::UInt(_) => false,
    }
}
