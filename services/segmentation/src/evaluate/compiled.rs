//! Rules in the form in which they are asked, kept from one evaluation to the next: reading and compiling a hundred rules takes longer than
//! asking them of the customers of a batch. Both follow from the texts alone, so that nothing here is ever out of date.

use std::sync::{Arc, LazyLock};

use moka::sync::Cache;

use crate::domain::rule::{Rule, RuleError, Statement, compile_for_given};

/// Rules that are remembered.
const RULES_MAX: u64 = 10_000;
/// Sets of rules whose statements are remembered. A tenant has a few: all of them, and those that a purchase, a return and so on can touch.
const SETS_MAX: u64 = 1_000;

static RULES: LazyLock<Cache<String, Arc<Rule>>> = LazyLock::new(|| Cache::new(RULES_MAX));
static STATEMENTS: LazyLock<Cache<Vec<String>, Arc<Vec<Statement>>>> =
    LazyLock::new(|| Cache::new(SETS_MAX));

/// The rule of this text.
///
/// # Errors
/// When there is something wrong with it.
pub(super) fn rule(source: &str) -> Result<Arc<Rule>, RuleError> {
    if let Some(rule) = RULES.get(source) {
        return Ok(rule);
    }
    let rule = Arc::new(Rule::parse(source)?);
    RULES.insert(source.to_owned(), Arc::clone(&rule));
    Ok(rule)
}

/// One statement that answers for all rules and the customers given, or as many as it takes. Their answers follow each other in the order of the rules.
pub(super) fn statements(rules: &[&Rule]) -> Arc<Vec<Statement>> {
    let key: Vec<String> = rules.iter().map(|rule| rule.source().to_owned()).collect();
    STATEMENTS.get_with(key, || Arc::new(compiled(rules)))
}

fn compiled(rules: &[&Rule]) -> Vec<Statement> {
    match compile_for_given(rules) {
        Ok(statement) => vec![statement],
        Err(_) => {
            // A single rule always fits, so that halving ends.
            let (first, second) = rules.split_at(rules.len() / 2);
            [compiled(first), compiled(second)].concat()
        }
    }
}
