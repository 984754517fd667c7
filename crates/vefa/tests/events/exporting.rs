//! `vefa events export`, read back with a reader of its own.

use std::{collections::BTreeMap, fs, path::Path, process::Output};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use parquet::record::{Field, Row};
use serde_json::Value;

use crate::{
    files::{field, files, number, order, rows, text},
    ground::{Ground, TENANT, said},
    logs::total,
};

fn export(ground: &Ground, out: &Path, arguments: &[&str], failpoints: &str) -> Output {
    let mut all = vec!["events", "export", "--out", out.to_str().unwrap()];
    all.extend(arguments);
    let mut command = ground.analyst(TENANT, &all);
    command.env("FAILPOINTS", failpoints).output().unwrap()
}

fn exported(ground: &Ground, out: &Path, arguments: &[&str]) -> String {
    let output = export(ground, out, arguments, "");
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_formats_have_the_same_columns_and_values() {
    let ground = Ground::start().await;
    let ids = ground.writer(TENANT).await.customers(0, 3, 2).await;
    let directory = tempfile::tempdir().unwrap();
    let (columns, lines) = (
        directory.path().join("parquet"),
        directory.path().join("jsonl"),
    );
    let told = exported(&ground, &columns, &[]);
    assert!(
        told.contains("customers: 12 exported (12 events in"),
        "{told}"
    );
    assert!(
        told.contains("interactions: 6 exported (6 events in"),
        "{told}"
    );
    exported(&ground, &lines, &["--format", "jsonl"]);
    assert_eq!(order(&columns), ground.logged(TENANT).await);

    let as_lines = files(&lines);
    let mut compared = 0;
    for (name, file) in files(&columns) {
        let other = &as_lines[&name.replace(".parquet", ".jsonl")];
        let others = fs::read_to_string(other).unwrap();
        for (row, line) in rows(&file).iter().zip(others.lines()) {
            let line: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
            let named = row.get_column_iter().map(|(name, _)| name.clone());
            let mut named: Vec<String> = named.collect();
            named.sort();
            assert_eq!(named, line.keys().cloned().collect::<Vec<_>>());
            for (column, value) in row.get_column_iter() {
                assert!(
                    is_same(value, &line[column]),
                    "{column}: {value:?}, {}",
                    line[column]
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 18 * (15 + 4), "{compared}");
    let day = service::clock::now().date();
    let purchases = format!(
        "type=PurchaseRecorded/day={day}/part-interactions-000000000000-000000000006.parquet"
    );
    let purchases = rows(&files(&columns)[&purchases]);
    let of_first: Vec<&Row> = purchases
        .iter()
        .filter(|row| text(row, "customer_id") == ids[0])
        .collect();
    assert_eq!(of_first.len(), 2);
    let row = of_first[1];
    assert_eq!(number(row, "total_minor"), 101);
    assert_eq!(*field(row, "margin_minor"), Field::Null);
    assert_eq!(
        *field(row, "occurred_time"),
        Field::TimestampMicros(1_767_225_601_250_000)
    );
    assert_eq!(*field(row, "backfill"), Field::Bool(false));
    let purchased: Value = serde_json::from_str(&text(row, "lines")).unwrap();
    assert_eq!(purchased[0]["amountMinor"], "101");
    assert_eq!(text(row, "source"), "till");
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the types that no column has"
)]
fn is_same(value: &Field, line: &Value) -> bool {
    match value {
        Field::Null => line.is_null(),
        Field::Bool(value) => line == value,
        Field::Long(value) => line == value,
        Field::ULong(value) => line == value,
        Field::Double(value) => line == value,
        Field::Str(value) => line == value,
        Field::Bytes(value) => *line == BASE64_STANDARD.encode(value.data()),
        Field::TimestampMicros(value) => {
            let text = line.as_str().unwrap();
            let moment =
                time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
            moment.unwrap().unix_timestamp_nanos() == i128::from(*value) * 1000
        }
        other => panic!("no column is {other:?}"),
    }
}

/// Whatever it dies of, and whatever is recorded before it goes on: in the end each event has one row.
#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_anywhere_it_goes_on_with_no_row_missing_or_there_twice() {
    let ground = Ground::start().await;
    let writer = ground.writer(TENANT).await;
    writer.customers(0, 25, 4).await;
    let directory = tempfile::tempdir().unwrap();
    let (whole, killed) = (
        directory.path().join("whole"),
        directory.path().join("killed"),
    );
    let arguments = ["--round-positions", "40"];
    exported(&ground, &whole, &arguments);
    let kills = [
        "export-part-written=return",
        "export-part-written=1*off->return",
        "export-part-written=4*off->return",
        "export-before-checkpoint=return",
        "export-before-checkpoint=2*off->return",
    ];
    let mut reached = 0;
    for (n, failpoints) in (0..).zip(kills) {
        let output = export(&ground, &killed, &arguments, failpoints);
        // Died of it (SIGABRT), rather than ended.
        assert_eq!(output.status.code(), None, "{failpoints}: {output:?}");
        let there = total(&order(&killed));
        assert!(there >= reached, "{failpoints}: {there}, {reached} before");
        reached = there;
        // What comes between makes the rest longer, and the round that was begun no other.
        writer.customers(1000 * (n + 1), 2, 2).await;
    }
    assert!(reached > 0);
    exported(&ground, &killed, &arguments);
    exported(&ground, &whole, &arguments);
    let logged = ground.logged(TENANT).await;
    assert_eq!(order(&whole), logged);
    assert_eq!(order(&killed), logged);
    // Nothing more to do, and nothing done.
    let before = files(&killed);
    let told = exported(&ground, &killed, &arguments);
    assert!(told.contains("customers: 0 exported"), "{told}");
    assert_eq!(files(&killed), before);
    assert!(
        before.keys().all(|name| !name.contains(".new")),
        "{before:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuses_what_would_make_an_export_of_two_things() {
    let mut ground = Ground::start().await;
    let writer = ground.writer(TENANT).await;
    writer.customers(0, 2, 3).await;
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let refused = |ground: &Ground, out: &Path, arguments: &[&str]| {
        let output = export(ground, out, arguments, "");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        said(&output).to_owned()
    };
    let purchases = ["--type", "PurchaseRecorded", "--service", "interactions"];
    exported(&ground, &out, &purchases);
    assert_eq!(total(&order(&out)), 6);
    let before = files(&out);
    let said_so = refused(&ground, &out, &[]);
    assert!(
        said_so.contains("has an export of something else"),
        "{said_so}"
    );
    let said_so = refused(&ground, &out, &["--format", "jsonl"]);
    assert!(
        said_so.contains("has an export of something else"),
        "{said_so}"
    );
    let said_so = refused(&ground, &directory.path().join("."), &[]);
    assert!(
        said_so.contains("is not empty, and has no export in it"),
        "{said_so}"
    );
    let said_so = refused(
        &ground,
        &out,
        &[
            "--from",
            "2026-02-01T00:00:00Z",
            "--to",
            "2026-01-01T00:00:00Z",
        ],
    );
    assert!(said_so.contains("--from is not before --to"), "{said_so}");
    assert_eq!(files(&out), before);

    // Whose token is refused leaves nothing behind.
    let nowhere = directory.path().join("nowhere");
    let arguments = [
        "events",
        "export",
        "--out",
        nowhere.to_str().unwrap(),
        "--token",
    ];
    let mut command = ground.stranger(TENANT, &arguments);
    let output = command
        .arg(ground.token(TENANT, &["customers.read"]))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        said(&output).contains("reading the log of interactions"),
        "{}",
        said(&output)
    );
    assert!(!nowhere.exists());

    // A log that is shorter than what was exported.
    drop(writer);
    ground.kill_services();
    for statement in [
        "delete from event where position = 3",
        "update log_head set position = 2 where position = 3",
        "delete from checkpoint",
    ] {
        ground.execute("interactions", statement).await;
    }
    ground.start_services();
    let said_so = refused(&ground, &out, &purchases);
    assert!(
        said_so.contains("the log of interactions was restored to an earlier point"),
        "{said_so}"
    );
}

/// What was recorded before a moment, and what from it on, together are all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moment_divides_an_export() {
    let ground = Ground::start().await;
    let writer = ground.writer(TENANT).await;
    writer.customers(0, 3, 2).await;
    let moment = service::clock::now();
    let moment = moment
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    writer.customers(10, 4, 1).await;
    let directory = tempfile::tempdir().unwrap();
    let (before, after) = (
        directory.path().join("before"),
        directory.path().join("after"),
    );
    exported(&ground, &before, &["--to", &moment]);
    exported(&ground, &after, &["--from", &moment]);
    assert_eq!((total(&order(&before)), total(&order(&after))), (18, 20));
}
