//! The language in which a segment says who belongs to it.
//!
//! A rule is an expression of CEL, the Common Expression Language, that is true for the segment's members. It is
//! parsed by the `cel` crate, checked against the fields and facts below, and compiled to SQL. There is no other
//! evaluator: preview, full evaluation, the increment after new facts and the explanation of one membership are the
//! same statement.
//!
//! ```text
//! customer.kind == "person" && customer.country in ["TR", "DE"]
//!     && measures.p_alive < 0.4
//!     && purchases.within("90d").count() == 0
//!     && purchases.between("365d", "90d").category("books").sum_minor() >= 50000
//! ```
//!
//! # Values
//!
//! - `customer.kind` ("person" or "business"), `.locale`, `.time_zone`, `.country` (string), `.registered_at`
//!   (timestamp): the profile as it is known now, also when `now` is in the past.
//! - `measures.purchases`, `.purchase_days` (different days in UTC), `.frequency` (purchase days after the first, 0
//!   at least), `.monetary_minor` (sum of purchases), `.returns` (int); `.average_minor` (double, for each purchase),
//!   `.margin_minor` (int, sum of the margins that are known), `.recency_days` and `.tenure_days` (double, since the
//!   last and since the first purchase). The last four are missing without a purchase, and the margin without a margin.
//! - `measures.p_alive`, `.expected_purchases`, `.expected_value_minor` (double), `.tier` (string), `.rfm_r`,
//!   `.rfm_f`, `.rfm_m` (int): from the newest valuation whose calibration ended at `now` or before; missing
//!   without one.
//! - `purchases`, `returns` and `touchpoints`, then `.within("90d")` or `.between("365d", "90d")`, then
//!   `.channel("web")`, for purchases and returns `.category("books")`, for touchpoints `.direction("...")`, each at
//!   most once and in any order, and at the end `.count()` or, for purchases and returns, `.sum_minor()`. No facts
//!   sum to 0.
//! - `now`, `timestamp("2026-01-31T00:00:00Z")`, `duration("24h")`, numbers, strings, `true` and `false`.
//!
//! Amounts are minor units and are summed as they are: a tenant is taken to use one currency. Returns are not
//! subtracted from purchases.
//!
//! # Time
//!
//! A fact is seen from its own time on: one that occurred after `now` does not count. `within(d)` is the half-open
//! `(now - d, now]`: a fact exactly `d` old is just out. `between(older, newer)` is `(now - older, now - newer]`, so
//! that windows laid end to end count every fact once. Lengths are whole numbers with `w`, `d`, `h`, `m` (minutes) or
//! `s`, also combined (`1d12h`), up to 36,500 days; a day is 24 hours, whatever clocks do.
//!
//! # Operators
//!
//! `&& || !`, `== != < <= > >=`, `+ - * /`, `in [..]`, `?:`, `.startsWith()`, `.endsWith()`, `.contains()`,
//! `has(customer.country)`. Int and double mix freely: the int is widened, and nothing is rounded before it is
//! compared. Two ints divide to an int, cut off towards zero; sums and products are exact decimals and cannot
//! overflow. Strings are ordered by code point. What moves with time (`now`, `recency_days`, `tenure_days`) can be
//! added, subtracted, and multiplied or divided by what does not.
//!
//! # Missing values
//!
//! Every comparison with a missing value is false, `!=` as well as `==`; so are `in` and the string tests. A sum,
//! product or difference with a missing value is missing, and so is a division by zero. A rule is therefore always
//! true or false. `!(customer.country == "TR")` holds for a customer without a country, `customer.country != "TR"`
//! does not; `has(customer.country)` asks.
//!
//! # Limits
//!
//! 4,096 bytes, 512 parts, 32 levels, 32 different windows. Whatever the text, parsing needs a bounded stack.

mod check;
mod error;
mod expr;
mod field;
mod scan;
mod sql;
mod statement;
mod tokens;
mod window;

#[cfg(test)]
mod tests;

pub use error::RuleError;
pub use statement::{
    Bind, ExplainedNode, Explanation, Statement, TooManyRules, compile, compile_explain,
    compile_for_given,
};

use expr::{Expr, Node};
use field::Field;
use window::{Facts, Range};

/// The longest rule, in bytes.
pub const RULE_BYTES_MAX: usize = 4096;
/// The most operators, values and functions in a rule.
pub const RULE_NODES_MAX: usize = 512;
/// The deepest nesting.
pub const RULE_DEPTH_MAX: usize = 32;
/// The most different windows (facts, stretch of time and filters) in a rule.
pub const RULE_WINDOWS_MAX: usize = 32;
/// The longest window or duration, in days.
pub const RULE_SPAN_DAYS_MAX: i64 = 36_500;

/// A rule that is well formed and well typed.
#[derive(Debug, Clone)]
pub struct Rule {
    source: String,
    root: Expr,
}

/// Two rules are the same if their texts are.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Rule {}

/// What can change a rule's answer for a customer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dependencies {
    /// A change of the profile.
    pub profile: bool,
    /// A purchase.
    pub purchases: bool,
    /// A return.
    pub returns: bool,
    /// A touchpoint.
    pub touchpoints: bool,
    /// A new valuation.
    pub valuation: bool,
    /// The passing of time alone.
    pub uses_time: bool,
}

impl Rule {
    /// Reads and checks a rule. The same text gives the same result for ever.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn parse(source: &str) -> Result<Self, RuleError> {
        Ok(Self {
            source: source.to_owned(),
            root: check::check(source)?,
        })
    }

    /// The text that was parsed.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What can change the rule's answer: a batch of events that touches none of it can leave the rule out.
    pub fn depends_on(&self) -> Dependencies {
        let mut found = Dependencies::default();
        self.root.walk(&mut |expr| {
            found.uses_time |= expr.varies;
            match &expr.node {
                Node::Field(field) | Node::Has(field) => found.add_field(*field),
                Node::Facts(window, _) => {
                    match window.facts {
                        Facts::Purchases => found.purchases = true,
                        Facts::Returns => found.returns = true,
                        Facts::Touchpoints => found.touchpoints = true,
                    }
                    found.uses_time |= window.range != Range::Always;
                }
                Node::Bool(_)
                | Node::Int(_)
                | Node::Double(_)
                | Node::String(_)
                | Node::Timestamp(_)
                | Node::Duration(_)
                | Node::Now
                | Node::Not(_)
                | Node::Negate(_)
                | Node::All(_)
                | Node::Any(_)
                | Node::Compare(..)
                | Node::Arithmetic(..)
                | Node::In(..)
                | Node::Conditional(..)
                | Node::Match(..) => {}
            }
        });
        found
    }
}

impl Dependencies {
    fn add_field(&mut self, field: Field) {
        match field {
            Field::Profile(_) => self.profile = true,
            Field::Purchases(_) => self.purchases = true,
            Field::Returns => self.returns = true,
            Field::Valuation(_) => self.valuation = true,
        }
    }
}
