//! `vefa events tail`.

use std::time::{Duration, Instant};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use service::clock;
use time::format_description::well_known::Rfc3339;

use crate::ground::{Ground, OTHER_TENANT, TENANT, said};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_is_all_that_comes() {
    let ground = Ground::start().await;
    let writer = ground.writer(TENANT).await;
    let ids = writer.customers(0, 4, 3).await;
    let until = (clock::now() + time::Duration::hours(1))
        .format(&Rfc3339)
        .unwrap();
    let past = "2026-01-01T00:00:00Z";
    // Purchases alone, by their short name.
    let history = ["--from-beginning", "--type", "PurchaseRecorded"];
    let tail = ground.tail(TENANT, &history);
    tail.has(12).await;
    writer.purchase(&ids[0], 77).await;
    tail.has(13).await;
    let (_, lines) = tail.interrupt();
    assert_eq!(lines.len(), 13);
    let line = lines
        .iter()
        .find(|line| line["data"]["sourceId"] == format!("{}-77", ids[0]))
        .unwrap();
    assert_eq!(line["specversion"], "1.0");
    assert_eq!(line["type"], "vefa.interactions.v1.PurchaseRecorded");
    assert_eq!(line["source"], "/vefa/interactions");
    assert_eq!(line["subject"], line["stream"]);
    assert_eq!(line["time"], "2026-01-01T00:01:17.25Z");
    assert_eq!(line["data"]["occurredTime"], "2026-01-01T00:01:17.250Z");
    assert_eq!(line["data"]["customerId"], ids[0].as_str());
    assert_eq!(line["data"]["totalMinor"], "177");
    assert_eq!(line["actor"], "analyst");
    assert_eq!(line["tenant"], TENANT);

    // One customer: own stream, purchases, and the claim on the identifier, which is in another partition. Sealed stays sealed.
    let arguments = ["--from-beginning", "--customer", &ids[1], "--until", past];
    let mut none = ground.tail(TENANT, &arguments);
    assert_eq!(none.ended(), Some(0));
    assert_eq!(none.lines().len(), 0);
    let tail = ground.tail(
        TENANT,
        &["--customer", &ids[1], "--since", past, "--until", &until],
    );
    tail.has(7).await;
    let (_, lines) = tail.interrupt();
    let mut types: Vec<&str> = lines
        .iter()
        .map(|line| line["type"].as_str().unwrap())
        .collect();
    types.sort_unstable();
    assert_eq!(
        types,
        [
            "vefa.customers.v1.CustomerRegistered",
            "vefa.customers.v1.IdentifierAdded",
            "vefa.customers.v1.IdentifierClaimed",
            "vefa.customers.v1.LifecycleStageChanged",
            "vefa.interactions.v1.PurchaseRecorded",
            "vefa.interactions.v1.PurchaseRecorded",
            "vefa.interactions.v1.PurchaseRecorded",
        ]
    );
    let registered = lines
        .iter()
        .find(|line| line["data"]["givenNameSealed"].is_string());
    let sealed = registered.unwrap()["data"]["givenNameSealed"]
        .as_str()
        .unwrap();
    let sealed = BASE64_STANDARD.decode(sealed).unwrap();
    assert!(!String::from_utf8_lossy(&sealed).contains("Given"));

    // One service, in a table.
    let table = [
        "events",
        "tail",
        "--service",
        "customers",
        "--from-beginning",
        "--format",
        "table",
    ];
    let mut command = ground.analyst(TENANT, &table);
    command.args(["--until", &(clock::now()).format(&Rfc3339).unwrap()]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(lines.starts_with("recorded "), "{lines}");
    assert_eq!(lines.lines().count(), 1 + 16, "{lines}");
    assert!(!lines.contains("interactions"), "{lines}");
}

/// An event of a type that came after this program is printed with the bytes that it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_newer_type_is_printed_with_its_bytes() {
    let ground = Ground::start().await;
    ground.writer(TENANT).await.customers(0, 1, 1).await;
    ground
        .execute(
            "interactions",
            "update event set type = 'vefa.interactions.v9.PurchaseDreamt', payload = '\\x0a0178'",
        )
        .await;
    let newer = "vefa.interactions.v9.PurchaseDreamt";
    let tail = ground.tail(TENANT, &["--from-beginning", "--type", newer]);
    tail.has(1).await;
    let (_, lines) = tail.interrupt();
    assert_eq!(lines[0]["type"], newer);
    assert_eq!(lines[0]["data_base64"], "CgF4");
    assert!(lines[0].get("data").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn says_why_it_does_not_begin() {
    let ground = Ground::start().await;
    let refused = |arguments: &[&str]| {
        let mut all = vec!["events", "tail", "--service", "customers"];
        all.extend(arguments);
        let output = ground.stranger(TENANT, &all).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(output.stdout, b"");
        said(&output).to_owned()
    };
    assert!(refused(&[]).contains("a token is needed: --token-file"));
    assert!(refused(&["--token", "x.y.z"]).contains("the token is not one of this system"));
    let token = ground.token(TENANT, &["interactions.read"]);
    let said = refused(&["--token", &token]);
    assert!(
        said.contains("reading the log of customers at http://127.0.0.1:"),
        "{said}"
    );
    assert!(
        said.contains("customers.read") && said.contains("(PermissionDenied)"),
        "{said}"
    );
    let (token, other) = (
        ground.token(TENANT, &["*"]),
        ground.token(OTHER_TENANT, &["*"]),
    );
    let (claims, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = other.rsplit_once('.').unwrap();
    let forged = format!("{claims}.{signature}");
    let said = refused(&["--token", &forged]);
    assert!(
        said.contains("the token's signature is not valid"),
        "{said}"
    );
    let said = refused(&["--token", &token, "--until", "2026-01-01T00:00:00Z"]);
    assert!(said.contains("--until has passed"), "{said}");
    let said = refused(&["--token", &token, "--type", "PurchaseRecord"]);
    assert!(
        said.contains("there is no event type PurchaseRecord; there are"),
        "{said}"
    );
}

/// Without NATS what happens is read from the log; once it is back, nothing is missed and nothing comes twice.
/// A log that was restored to an earlier point: it is told what is no more, and what took its place follows.
/// Whoever reads may stop at any moment, as `head` does: that is no error, and is found out without another event.
/// The log is asked again every five seconds; who heard of nothing would have waited for it each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_heard_at_once() {
    const TIMES: u32 = 6;
    let ground = Ground::start().await;
    let writer = ground.writer(TENANT).await;
    let ids = writer.customers(0, 1, 1).await;
    let arguments = ["--type", "PurchaseRecorded", "--from-beginning"];
    let tail = ground.tail(TENANT, &arguments);
    tail.has(1).await;
    let begun = Instant::now();
    for n in 1..=TIMES {
        writer.purchase(&ids[0], n).await;
        tail.has(usize::try_from(n).unwrap() + 1).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5) * TIMES / 2);
}
