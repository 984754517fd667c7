//! Rules as one SQL statement.

use time::OffsetDateTime;

use super::Rule;
use super::error::line_and_column;
use super::expr::Expr;
use super::sql::Translator;

/// The first three parameters of every statement, with their types.
pub(super) const TENANT: &str = "$1::text";
pub(super) const NOW: &str = "$2::timestamptz";
const CUSTOMERS: &str = "$3::uuid[]";
const FIRST_BIND: usize = 4;

/// PostgreSQL takes 65,535 parameters, and 1,664 columns from a subquery.
const BINDS_MAX: usize = 60_000;
const AGGREGATES_MAX: usize = 1_500;

/// Whom a statement answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// The customers given, or all of them where none are.
    Anybody,
    /// The customers given.
    Given,
}

impl Whom {
    /// The profiles of whom it is, as `c`, with what is joined to them.
    fn profiles(self, joins: &str) -> String {
        match self {
            Self::Anybody => format!(
                "customer_fact c{joins}\
                 \n where c.tenant = {TENANT} and c.survivor_id is null and {NOW} is not null\
                 \n   and {}",
                anybody("c.customer_id")
            ),
            Self::Given => format!(
                "unnest({CUSTOMERS}) as given (customer_id)\
                 \n  join customer_fact c on c.tenant = {TENANT} and c.customer_id = given.customer_id\
                 \n   and c.survivor_id is null{joins}\
                 \n where {NOW} is not null"
            ),
        }
    }
}

/// The customers given, or all of them where none are.
pub(super) fn anybody(customer_id: &str) -> String {
    format!("({CUSTOMERS} is null or {customer_id} = any({CUSTOMERS}))")
}

/// A statement over the fact tables, and the values of its parameters.
///
/// `$1` is the tenant (`text`), `$2` is `now` (`timestamptz`), `$3` the customers to look at (`uuid[]`), or null
/// for all of them; `binds` follow from `$4` on. It reads these tables, which the service's migrations make:
///
/// ```text
/// customer_fact   (tenant text, customer_id uuid, partition smallint, kind text, locale text, time_zone text,
///                  country text, registered_at timestamptz, survivor_id uuid, absorbed uuid[])
///                                                                      index (tenant, customer_id)
/// purchase_fact   (tenant text, customer_id uuid, partition smallint, kind text -- purchase or return,
///                  occurred_at timestamptz, amount_minor bigint, margin_minor bigint, channel text,
///                  categories text[])                                  index (tenant, customer_id, occurred_at)
/// touchpoint_fact (tenant text, customer_id uuid, partition smallint, occurred_at timestamptz, channel text,
///                  direction text)                                     index (tenant, customer_id, occurred_at)
/// valuation       (tenant text, customer_id uuid, calibration_end timestamptz, p_alive double precision,
///                  expected_purchases double precision, expected_value_minor double precision, tier text,
///                  rfm_r smallint, rfm_f smallint, rfm_m smallint)     index (tenant, customer_id, calibration_end)
/// ```
///
/// Every table has one row at most for each customer and purchase, touchpoint or calibration end. Whoever has a `survivor_id` is not
/// answered for; facts of the `absorbed` count for the customer who absorbed them.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The text. Nothing from a rule's source is in it.
    pub sql: String,
    /// The parameters from `$4` on, in order.
    pub binds: Vec<Bind>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Bind {
    /// `text`
    Text(String),
    /// `bigint`
    Int(i64),
    /// `double precision`
    Float(f64),
    /// `timestamptz`
    Timestamp(OffsetDateTime),
    /// `interval`, all of it in microseconds: with days or months it would follow some time zone's clock changes.
    IntervalMicros(i64),
}

/// The rules together need more than one statement can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "these rules need {aggregates} different counts and sums and {binds} constants; one statement holds {AGGREGATES_MAX} and {BINDS_MAX}"
)]
pub struct TooManyRules {
    /// How many aggregates they need of one fact table.
    pub aggregates: usize,
    /// How many constants.
    pub binds: usize,
}

/// A statement that shows how a rule came to its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Gives a row for each customer given, who must not be null: `customer_id uuid, partition smallint, node_values text[]`. The values are in
    /// the order of `nodes`; a null is a missing value.
    pub statement: Statement,
    /// The parts of the rule, an outer one before those inside it, left to right; constants are left out.
    pub nodes: Vec<ExplainedNode>,
}

/// A part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedNode {
    /// Its text in the rule.
    pub source: String,
    /// How many parts it is inside of.
    pub depth: usize,
    /// The line on which it starts, from 1.
    pub line: usize,
    /// The character in that line, from 1.
    pub column: usize,
}

/// Makes the one statement that answers for all `rules`.
///
/// It gives a row for each customer, in no order: `customer_id uuid, partition smallint, matches boolean[],
/// next_due timestamptz`. `matches` is in the order of `rules`. `next_due` is the earliest moment after `now` at
/// which any of the answers can change though nothing is recorded, null where there is none within 100 years:
/// until then the answers stand. It is not certain that one changes then. A fact dated after `now` is due at its
/// time; a valuation whose calibration ends after `now` is not foreseen.
///
/// # Errors
///
/// Where the rules together need more aggregates or constants than PostgreSQL takes in one statement. A single rule
/// never does.
pub fn compile(rules: &[&Rule]) -> Result<Statement, TooManyRules> {
    compile_for(rules, Whom::Anybody)
}

/// The same where `$3` is never null: PostgreSQL then need not plan the statement anew each time that it runs.
///
/// # Errors
///
/// As for [`compile`].
pub fn compile_for_given(rules: &[&Rule]) -> Result<Statement, TooManyRules> {
    compile_for(rules, Whom::Given)
}

fn compile_for(rules: &[&Rule], whom: Whom) -> Result<Statement, TooManyRules> {
    let mut translator = Translator::default();
    let matches: Vec<String> = rules
        .iter()
        .map(|rule| format!("         {}", translator.translate(&rule.root).text))
        .collect();
    let too_many = TooManyRules {
        aggregates: translator.scans.width(),
        binds: translator.scans.binds.values.len(),
    };
    if too_many.aggregates > AGGREGATES_MAX || too_many.binds > BINDS_MAX {
        return Err(too_many);
    }
    let next_due = next_due(&translator);
    let select = format!(
        "array[\n{}\n       ]::boolean[] as matches,\n       {next_due} as next_due",
        matches.join(",\n")
    );
    Ok(statement(&select, translator, whom))
}

/// Makes the statement that answers for one rule, part by part.
pub fn compile_explain(rule: &Rule) -> Explanation {
    let mut translator = Translator::default();
    let mut values = Vec::new();
    let mut nodes = Vec::new();
    explain(rule, &rule.root, 0, &mut |expr, node| {
        values.push(format!("         {}", translator.readable(expr)));
        nodes.push(node);
    });
    let select = format!(
        "array[\n{}\n       ]::text[] as node_values",
        values.join(",\n")
    );
    Explanation {
        statement: statement(&select, translator, Whom::Given),
        nodes,
    }
}

fn explain(rule: &Rule, expr: &Expr, depth: usize, add: &mut impl FnMut(&Expr, ExplainedNode)) {
    // Not even a rule that is a single constant goes unexplained.
    if expr.is_literal() && depth > 0 {
        return;
    }
    let (line, column) = line_and_column(&rule.source, expr.start);
    let node = ExplainedNode {
        source: rule.source[expr.start..expr.end].to_owned(),
        depth,
        line,
        column,
    };
    add(expr, node);
    for child in expr.children() {
        explain(rule, child, depth + 1, add);
    }
}

fn statement(select: &str, translator: Translator, whom: Whom) -> Statement {
    let profiles = whom.profiles(&translator.scans.joins(whom));
    // `now` appears in every statement, since PostgreSQL cannot tell the type of a parameter that is never used.
    Statement {
        sql: format!(
            "select c.customer_id, c.partition,\
             \n       {select}\
             \n  from {profiles}"
        ),
        binds: translator.scans.binds.values,
    }
}

/// A hundred years, which also keeps the sum inside what a `timestamptz` can hold.
const DUE_MICROS_MAX: i64 = 3_155_760_000_000_000;

fn next_due(translator: &Translator) -> String {
    let mut dues = translator.scans.dues();
    if !translator.turns.is_empty() {
        let turns: Vec<String> = translator
            .turns
            .iter()
            .map(|turn| format!("           ({turn})"))
            .collect();
        dues.push(format!(
            "(select min({NOW} + d.micros::float8 * interval '1 microsecond')\
             \n          from (values\n{}) as d(micros)\
             \n         where d.micros > 0 and d.micros <= {DUE_MICROS_MAX})",
            turns.join(",\n")
        ));
    }
    match dues.as_slice() {
        [] => "null::timestamptz".to_owned(),
        [only] => only.clone(),
        _ => format!("least({})", dues.join(", ")),
    }
}

/// The parameters so far. The same value is one parameter, however many rules use it.
#[derive(Debug, Default)]
pub(super) struct Binds {
    values: Vec<Bind>,
}

impl Binds {
    /// The place of `bind` in the statement, with its type.
    pub(super) fn parameter(&mut self, bind: Bind, ty: &str) -> String {
        let known = self.values.iter().position(|other| *other == bind);
        let index = known.unwrap_or_else(|| {
            self.values.push(bind);
            self.values.len() - 1
        });
        format!("${}::{ty}", FIRST_BIND + index)
    }
}
