//! Whether our SQL stays within what a sharded PostgreSQL can do as well: no sequences, advisory locks, LISTEN and NOTIFY, transaction
//! ids, triggers or foreign keys, and `partition` in front of every primary key.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// What no SQL of ours may say, and why.
const FORBIDDEN: [(&str, &str); 15] = [
    ("serial", "a sequence"),
    ("bigserial", "a sequence"),
    ("nextval", "a sequence"),
    ("sequence", "a sequence"),
    ("identity", "a sequence"),
    ("listen", "LISTEN"),
    ("notify", "NOTIFY"),
    ("pg_notify", "NOTIFY"),
    ("xmin", "a transaction id"),
    ("pg_current_xact_id", "a transaction id"),
    ("txid_current", "a transaction id"),
    ("pg_current_snapshot", "a transaction id"),
    ("trigger", "a trigger"),
    ("references", "a foreign key"),
    ("serializable", "serializable isolation"),
];
/// The same by the beginning of the word.
const FORBIDDEN_BEGINNINGS: [(&str, &str); 1] = [("pg_advisory", "an advisory lock")];

/// Tables that are in one piece wherever they are, each with the reason.
const WHOLE_TABLES: [(&str, &str); 2] = [
    ("log_epoch", "one row, which is about all partitions"),
    (
        "webhook_endpoint",
        "a row for each endpoint, which is about all partitions",
    ),
];

/// Words that SQL in Rust begins with.
const STATEMENTS: [&str; 5] = ["select ", "insert ", "update ", "delete ", "with "];

/// What is wrong with a text of SQL, in words.
fn findings(sql: &str, whole: &[(&str, &str)]) -> Vec<String> {
    let sql = without_comments(sql).to_lowercase();
    let mut found = Vec::new();
    for word in words(&sql) {
        let exactly = FORBIDDEN.iter().filter(|(forbidden, _)| word == *forbidden);
        let beginning = FORBIDDEN_BEGINNINGS
            .iter()
            .filter(|(forbidden, _)| word.starts_with(forbidden));
        found.extend(
            exactly
                .chain(beginning)
                .map(|(_, what)| format!("{word}: {what}")),
        );
    }
    for definition in sql.split("create table ").skip(1) {
        let definition = definition.split(';').next().unwrap_or_default();
        let name = words(definition).first().copied().unwrap_or_default();
        let is_whole = whole.iter().any(|(table, _)| *table == name);
        if !is_whole && !leads_with_partition(definition) {
            found.push(format!("{name}: partition does not lead its primary key"));
        }
    }
    found
}

fn leads_with_partition(definition: &str) -> bool {
    definition
        .split_once("primary key")
        .is_some_and(|(before, behind)| {
            let key = match behind.trim_start().strip_prefix('(') {
                Some(columns) => words(columns),
                // It stands behind a column, which then is the key.
                None => words(before.rsplit(['(', ',']).next().unwrap_or_default()),
            };
            key.first() == Some(&"partition")
        })
}

fn words(text: &str) -> Vec<&str> {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|word| !word.is_empty())
        .collect()
}

fn without_comments(sql: &str) -> String {
    let lines = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The string literals of a Rust source that are SQL.
fn sql_in_rust(source: &str) -> Vec<String> {
    let code: Vec<&str> = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    code.join("\n")
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|literal| {
            let literal = literal.trim_start().to_lowercase();
            STATEMENTS.iter().any(|word| literal.starts_with(word))
        })
        .map(str::to_owned)
        .collect()
}

/// Everything wrong in a tree of sources, each with its file, and how many files held SQL.
fn examine(root: &Path, whole: &[(&str, &str)]) -> anyhow::Result<(usize, Vec<String>)> {
    let mut files = Vec::new();
    for folder in ["crates", "services"] {
        collect(&root.join(folder), &mut files)?;
    }
    let mut with_sql = 0;
    let mut found = Vec::new();
    for file in files {
        let text =
            fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let texts = match file.extension().and_then(|extension| extension.to_str()) {
            Some("sql") => vec![text],
            _ => sql_in_rust(&text),
        };
        with_sql += usize::from(!texts.is_empty());
        let shown = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .display()
            .to_string();
        found.extend(
            texts
                .iter()
                .flat_map(|sql| findings(sql, whole))
                .map(|finding| format!("{shown}: {finding}")),
        );
    }
    Ok((with_sql, found))
}

/// Our product's sources: not this task runner, nor tests.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() {
            if !matches!(name, "xtask" | "testing" | "tests" | "target") {
                collect(&path, files)?;
            }
        } else if name.ends_with(".sql") || name.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(())
}

mod tests {
    use super::*;
    use crate::workspace;

    #[test]
    fn our_sql_is_portable() {
        let (with_sql, found) = examine(workspace::root(), &WHOLE_TABLES).unwrap();
        assert!(with_sql > 30, "only {with_sql} files with SQL were found");
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn every_rule_can_fail() {
        for bad in [
            "create table t (partition smallint, n bigserial, primary key (partition, n))",
            "select nextval('s')",
            "create sequence s",
            "create table t (partition smallint primary key, n int generated always as identity)",
            "select pg_advisory_xact_lock(1)",
            "listen channel",
            "notify channel",
            "select pg_notify('a', 'b')",
            "select xmin from t",
            "select txid_current()",
            "select pg_current_xact_id()",
            "select pg_current_snapshot()",
            "create trigger x after insert on t",
            "create table t (partition smallint primary key, other int references u)",
            "set transaction isolation level serializable",
            "create table t (id uuid primary key)",
            "create table t (\n partition smallint,\n id uuid,\n primary key (id, partition)\n)",
            "create table t (partition smallint)",
        ] {
            assert_eq!(findings(bad, &[]).len(), 1, "{bad}");
        }
    }

    #[test]
    fn comments_and_plain_text_are_no_sql() {
        assert!(findings("select 1 -- no trigger, no sequence", &[]).is_empty());
        let source =
            "// \"select nextval('s')\"\nlet a = \"listen\"; let b = \"select xmin from t\";";
        assert_eq!(sql_in_rust(source), ["select xmin from t"]);
    }

    #[test]
    fn a_table_that_stays_whole_is_named() {
        let whole = [("t", "it has one row")];
        assert!(findings("create table t (id uuid primary key)", &whole).is_empty());
    }
}
