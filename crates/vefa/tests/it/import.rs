//! `vefa import customers`, against a customers service that runs.

mod ground;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use testing::{eventually, spawn_bound};

use super::{SOON, refusal, text};
use ground::{Import, rejected, rejections};

/// Enough lines that an import of them is seen at work.
const MANY: usize = 4000;

fn first_line(output: &Output) -> &str {
    let said = text(&output.stdout);
    let summary = said.lines().find(|line| line.contains(" rejected; "));
    summary.unwrap_or_else(|| panic!("{output:?}"))
}

fn many() -> String {
    let mut csv = "kind,given_name,external:erp\n".to_owned();
    for n in 0..MANY {
        // One without an identifier that could keep it from being registered twice.
        let id = if n % 2 == 0 {
            n.to_string()
        } else {
            String::new()
        };
        csv.push_str(&format!("person,Name{},{id}\n", n % 7));
    }
    csv
}

/// Three good lines among ten bad ones, with all that CSV may have.
fn good_and_bad() -> Vec<u8> {
    let long = "x".repeat(70_000);
    let lines: [&[u8]; 15] = [
        "\u{feff}kind,given_name,family_name,legal_name,country_code,email,phone,tckn,external:erp".as_bytes(),
        b"person,Ay\xc5\x9fe,\"Y\xc4\xb1lmaz\r\nKaya\",,TR,ayse@example.com,0532 123 45 67,10000000146,A-1",
        b"business,,,Kirpi Ltd,TR,,,,A-2",
        b"",
        b"person,Mehmet,,,TR,AYSE@example.com,0532 123 45 68,10000000146,",
        b"person,Ali,,,TR,not an address,,10000000147,",
        b"person,Bad \xff,,,,,,,",
        b"person,Few,,",
        b"cat,Mia,,,,,,,",
        b"person,,,,,,,,",
        b"person,Long,,,,,,,LONG",
        b"person,Time,,,XX,,,,",
        b"person,Fatma,,,TR,ayse@example.com,,,",
        b"person,Again,,,TR,,,,A-2",
        b"person,Oya,,,TR,\"oya@example.com\",,,\"A,3\"",
    ];
    let content = lines.join(&b"\r\n"[..]);
    let at = content.windows(4).position(|four| four == b"LONG").unwrap();
    [&content[..at], long.as_bytes(), &content[at + 4..]].concat()
}

#[tokio::test]
async fn good_lines_are_registered_and_of_bad_ones_the_column_is_told() {
    let import = Import::start().await;
    let file = import.file("customers.csv", good_and_bad());
    // One after the other, so that of two lines with one address it is known which comes first.
    let one_by_one = ["--concurrency", "1"];
    let output = import.import(&file, &one_by_one);
    assert!(
        refusal(&output).contains("10 lines were rejected"),
        "{output:?}"
    );
    assert!(
        first_line(&output)
            .starts_with("customers.csv: 3 registered, 0 there already, 10 rejected"),
        "{output:?}"
    );
    let expected = [
        // A name has no line breaks. It is read as one field all the same, or the lines behind it would have other numbers.
        "2 family_name INVALID_ARGUMENT FIELD_VIOLATIONS",
        "7 email INVALID_ARGUMENT FIELD_VIOLATIONS",
        "7 tckn INVALID_ARGUMENT FIELD_VIOLATIONS",
        "8 given_name INVALID_ARGUMENT INVALID_UTF8",
        "9  INVALID_ARGUMENT FIELD_COUNT",
        "10 kind INVALID_ARGUMENT FIELD_VIOLATIONS",
        "11 profile INVALID_ARGUMENT FIELD_VIOLATIONS",
        "12  INVALID_ARGUMENT LINE_TOO_LONG",
        "13 country_code INVALID_ARGUMENT FIELD_VIOLATIONS",
        "14 email ALREADY_EXISTS IDENTIFIER_TAKEN",
        "15 external:erp ALREADY_EXISTS IDENTIFIER_TAKEN",
    ];
    assert_eq!(rejected(&file), expected);
    let reports = fs::read_to_string(import.files.path().join("customers.csv.rejected.jsonl"));
    let reports = reports.unwrap();
    for personal in ["Ali", "not an address", "10000000147", "Mehmet", "cat"] {
        assert!(!reports.contains(personal), "{personal}: {reports}");
    }
    assert_eq!(import.customers().await, 3);

    let traces = import.traces().await;
    let again = import.import(&file, &one_by_one);
    assert!(
        first_line(&again).starts_with("customers.csv: 0 registered, 3 there already, 10 rejected"),
        "{again:?}"
    );
    assert_eq!(rejected(&file), expected);
    assert_eq!(import.traces().await, traces);
    import.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_whole_file_registers_nobody() {
    let import = Import::start().await;
    let traces = import.traces().await;
    for (name, content, why) in [
        ("empty.csv", "", "the file is empty"),
        (
            "unknown.csv",
            "kind,shoe,e-mail\nperson,42,a@example.com\n",
            r#"unknown columns "shoe", "e-mail"; known are kind, "#,
        ),
        (
            "twice.csv",
            "kind,email,email\n",
            "the column email stands twice",
        ),
        (
            "kindless.csv",
            "given_name\nAli\n",
            "the column kind is missing",
        ),
        (
            "unknown.txt",
            "kind\nperson\n",
            "ends neither in .csv nor in .jsonl",
        ),
    ] {
        let file = import.file(name, content);
        let output = import.import(&file, &[]);
        let said = refusal(&output);
        assert!(said.contains(why), "{name}: {said}");
    }
    let missing = import.files.path().join("missing.csv");
    let output = import.import(&missing, &[]);
    assert!(
        refusal(&output).contains("it cannot be opened"),
        "{output:?}"
    );
    assert_eq!(import.traces().await, traces);

    let nobody = import.file("nobody.csv", "kind,email\n");
    let output = import.import(&nobody, &[]);
    assert!(output.status.success(), "{output:?}");
    assert!(first_line(&output).contains("0 registered"), "{output:?}");
    import.stop().await;
}

#[tokio::test]
async fn killed_in_the_middle_it_goes_on_and_registers_everybody_once() {
    let import = Import::start().await;
    let file = import.file("many.csv", many() + "person,,\n");
    let mut command = import.command(&file, &[]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawn_bound(command).unwrap();
    let some = eventually(SOON, "some are registered", || async {
        let some = import.customers().await;
        (some > 100).then_some(some)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(some < MANY as i64, "it was over before it was killed");

    let output = import.import(&file, &[]);
    assert!(
        refusal(&output).contains("1 line was rejected"),
        "{output:?}"
    );
    assert_eq!(rejected(&file).len(), 1);
    assert_eq!(import.customers().await, MANY as i64);

    let traces = import.traces().await;
    let output = import.import(&file, &[]);
    let all_there = format!("many.csv: 0 registered, {MANY} there already, 1 rejected");
    assert!(first_line(&output).starts_with(&all_there), "{output:?}");
    assert_eq!(import.traces().await, traces);
    import.stop().await;
}

#[tokio::test]
async fn a_service_that_goes_away_stops_the_import_which_then_goes_on() {
    let mut import = Import::start().await;
    let file = import.file("many.csv", many());
    let mut command = import.command(&file, &["--patience-s", "1"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = spawn_bound(command).unwrap();
    eventually(SOON, "some are registered", || async {
        (import.customers().await > 100).then_some(())
    })
    .await;
    import.kill_service();
    let output = child.wait_with_output().unwrap();
    let said = refusal(&output);
    assert!(
        said.contains("stopped behind line")
            && said.contains("the same command goes on from there"),
        "{said}"
    );
    import.serve();
    let output = import.import(&file, &[]);
    assert!(output.status.success(), "{output:?}");
    // Those too that the first attempt registered: it is one import.
    let all = format!("many.csv: {MANY} registered, 0 there already, 0 rejected");
    assert!(first_line(&output).starts_with(&all), "{output:?}");
    assert!(text(&output.stdout).contains("going on behind line"));
    assert_eq!(import.customers().await, MANY as i64);
    import.stop().await;
}

#[tokio::test]
async fn a_dry_run_tells_what_an_import_would_and_leaves_no_trace() {
    let import = Import::start().await;
    let content = "kind,given_name,email\nperson,Ali,ali@example.com\nperson,Oya,nothing\n";
    let file = import.file("customers.csv", content);
    let traces = import.traces().await;
    for _ in 0..2 {
        let output = import.import(&file, &["--dry-run"]);
        assert!(
            refusal(&output).contains("1 line was rejected"),
            "{output:?}"
        );
        let summary = "customers.csv: 1 can be registered, 0 there already, 1 rejected";
        assert!(first_line(&output).starts_with(summary), "{output:?}");
        assert_eq!(
            rejections(&file, ".dry-run.jsonl"),
            ["3 email INVALID_ARGUMENT FIELD_VIOLATIONS"]
        );
        assert_eq!(rejected(&file), [""; 0]);
        assert_eq!(import.traces().await, traces);
    }
    assert_eq!(import.customers().await, 0);

    import.import(&file, &[]);
    let traces = import.traces().await;
    let output = import.import(&file, &["--dry-run"]);
    let summary = "customers.csv: 0 can be registered, 1 there already, 1 rejected";
    assert!(first_line(&output).starts_with(summary), "{output:?}");
    assert_eq!(import.traces().await, traces);
    import.stop().await;
}

#[tokio::test]
async fn lines_that_were_repaired_are_registered_and_others_are_not_taken_for_them() {
    let import = Import::start().await;
    let lines =
        |second: &str| format!("{{\"kind\":\"person\",\"given_name\":\"Ali\"}}\n{second}\n");
    let broken = lines(r#"{"kind":"person","given_name":"Oya","shoe":"42"}"#);
    let repaired = lines(r#"{"kind":"person","given_name":"Oya"}"#);
    let other = lines(r#"{"kind":"person","given_name":"Can"}"#);
    let file = import.file("some.jsonl", broken);
    import.import(&file, &[]);
    assert_eq!(rejected(&file), ["2 shoe INVALID_ARGUMENT UNKNOWN_COLUMN"]);
    let file = import.file("some.jsonl", repaired);
    let output = import.import(&file, &[]);
    assert!(output.status.success(), "{output:?}");
    let summary = "some.jsonl: 1 registered, 1 there already, 0 rejected";
    assert!(first_line(&output).starts_with(summary), "{output:?}");
    assert_eq!(rejected(&file), [""; 0]);

    // From standard input, which has no name of its own.
    let piped = |more: &[&str]| {
        let mut command = import.command(Path::new("-"), more);
        command.args(["--format", "jsonl"]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.current_dir(import.files.path());
        let mut child = spawn_bound(command).unwrap();
        // Whoever refuses to begin reads nothing.
        let _read = child.stdin.take().unwrap().write_all(other.as_bytes());
        child.wait_with_output().unwrap()
    };
    let output = piped(&[]);
    assert!(
        refusal(&output).contains("standard input has no name"),
        "{output:?}"
    );
    let output = piped(&["--name", "some.jsonl"]);
    assert!(
        refusal(&output).contains("1 line was rejected"),
        "{output:?}"
    );
    assert_eq!(
        rejected(&file),
        ["2  ALREADY_EXISTS REQUEST_ID_REUSED_WITH_OTHER_CONTENT"]
    );
    assert_eq!(import.customers().await, 2);
    import.stop().await;
}
