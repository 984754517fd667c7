//! Receivers that are slow, say no or go away, and a sender that dies.

use std::{collections::BTreeMap, time::Duration};

use testing::eventually;
use webhooks::operate;

use crate::{
    ground::{Endpoint, Ground, SOON, Sender, customer},
    receiver::{Receiver, Reply, Told},
};

const RECEIVERS_SECOND: Duration = Duration::from_secs(1);

/// No event of a customer was sent before the one before it was answered by a yes, and all came, in order.
fn assert_in_order(told: &[Told], customers: u128, events: usize) {
    let mut lines: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    for one in told {
        lines.entry(one.customer()).or_default().push(one);
    }
    assert_eq!(lines.len() as u128, customers);
    for line in lines.values() {
        for pair in line.windows(2) {
            assert!(pair[0].ended.unwrap() <= pair[1].begun, "two at once");
        }
        let mut names: Vec<&str> = line.iter().map(|one| one.what()).collect();
        names.dedup();
        let expected: Vec<String> = (0..events).map(|n| n.to_string()).collect();
        assert_eq!(names, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_one_customer_stay_in_order_however_the_receiver_fails() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    // Every third event fails once, every fifth twice.
    receiver.rule(|told| {
        let n: usize = told.what().parse().unwrap();
        let failures = usize::from(n.is_multiple_of(3)) + 2 * usize::from(n.is_multiple_of(5));
        Reply::Status(if told.before < failures.min(2) {
            500
        } else {
            204
        })
    });
    let sender = ground.send(Endpoint::new(receiver.url())).await;
    for n in 0..12 {
        for who in 0..6 {
            ground.purchase("acme", customer(who), &n.to_string()).await;
        }
    }
    let last = |told: &[Told]| {
        let last = told
            .iter()
            .filter(|one| one.what() == "11" && one.ended.is_some());
        last.count() == 6
    };
    receiver.until("the last of each customer", last).await;
    sender.is_done().await;
    let told = receiver.told();
    assert_in_order(&told, 6, 12);
    let failed = told.iter().filter(|one| one.before > 0).count();
    assert!(failed >= 6 * 4, "{failed} were tried again");
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_slow_holds_up_its_customer_alone() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    let slow = customer(1).to_string();
    receiver.rule(move |told| {
        if told.customer() == slow {
            Reply::Hold
        } else {
            Reply::Status(200)
        }
    });
    let endpoint = Endpoint {
        more: "from = \"start\"\nservices = [\"interactions\"]\nin_flight_max = 2".to_owned(),
        ..Endpoint::new(receiver.url())
    };
    let sender = ground.send(endpoint).await;
    for n in 0..5 {
        for who in 1..=4 {
            ground.purchase("acme", customer(who), &n.to_string()).await;
        }
    }
    // All fifteen of the others, and the first of the slow one.
    let told = receiver.has(15).await;
    assert_eq!(told.len(), 16);
    receiver.let_go();
    receiver.has(20).await;
    sender.is_done().await;
    assert_in_order(&receiver.told(), 4, 5);
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_was_answered_and_not_written_down_comes_again_with_its_id() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    receiver.rule(|_| Reply::Hold);
    // A claim lasts for the request and two seconds.
    let endpoint = || Endpoint {
        more: "from = \"start\"\nservices = [\"interactions\"]\ntimeout_ms = 1000".to_owned(),
        ..Endpoint::new(receiver.url())
    };
    let sender = Sender::start(ground.config_with("", &[endpoint()])).await;
    ground.purchase("acme", customer(1), "0").await;
    ground.purchase("acme", customer(1), "1").await;
    receiver.until("a request", |told| !told.is_empty()).await;
    // What came of it cannot be written down from here on.
    let mut lock = sender.log.pool().begin().await.unwrap();
    sqlx::query("select from webhook_line for update")
        .execute(&mut *lock)
        .await
        .unwrap();
    receiver.let_go();
    receiver.has(1).await;
    sender.kill();
    lock.rollback().await.unwrap();
    receiver.rule(|_| Reply::Status(200));
    let sender = Sender::start(ground.config_with("", &[endpoint()])).await;
    let told = receiver.has(3).await;
    sender.is_done().await;
    let names: Vec<&str> = told.iter().map(Told::what).collect();
    assert_eq!(names, ["0", "0", "1"]);
    assert_eq!(told[0].id(), told[1].id());
    assert_eq!(told[0].raw, told[1].raw);
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_webhook_holds_its_customer_until_it_is_redriven_or_skipped() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    let failing = [customer(1), customer(2)].map(|one| one.to_string());
    receiver.rule(move |told| {
        let fails = failing.iter().any(|one| one == told.customer()) && told.what() == "0";
        Reply::Status(if fails { 400 } else { 200 })
    });
    let sender = ground.send(Endpoint::new(receiver.url())).await;
    for n in 0..3 {
        for who in 1..=3 {
            ground.purchase("acme", customer(who), &n.to_string()).await;
        }
    }
    let pool = sender.log.pool();
    let dead = eventually(SOON, "two dead", || async {
        let dead = operate::dead(pool, Some("crm"), 10).await.unwrap();
        (dead.len() == 2 && dead.iter().all(|one| one.behind == 2)).then_some(dead)
    })
    .await;
    eventually(SOON, "all of the third", || async {
        let told = receiver.told();
        let third = customer(3).to_string();
        (told.iter().filter(|one| one.customer() == third).count() == 3).then_some(())
    })
    .await;
    let told = receiver.told();
    assert_eq!(told.len(), 3 + 2 * 3, "three tries of each of the dead");
    for one in &dead {
        assert_eq!((one.attempts, one.outcome.as_str()), (3, "status 400"));
        assert_eq!(one.type_, "vefa.interactions.v1.PurchaseRecorded");
    }
    let standing = sender.standing().await;
    assert_eq!((standing.dead, standing.pending), (2, 6));
    // It outlives the process.
    let (first, second) = (&dead[0], &dead[1]);
    sender.stop().await;
    receiver.rule(|_| Reply::Status(200));
    let sender = ground.send(Endpoint::new(receiver.url())).await;
    let pool = sender.log.pool();
    assert_eq!(operate::dead(pool, None, 10).await.unwrap().len(), 2);
    let redriven = operate::redrive(pool, "crm", Some(first.event_id)).await;
    assert_eq!(redriven.unwrap(), 1);
    receiver.has(12).await;
    let told = receiver.told();
    let of = |told: &[Told], subject: uuid::Uuid| -> Vec<String> {
        let subject = subject.to_string();
        let line = told[9..].iter().filter(|one| one.customer() == subject);
        line.map(|one| one.what().to_owned()).collect()
    };
    assert_eq!(of(&told, first.subject), ["0", "1", "2"]);
    assert!(operate::skip(pool, "crm", second.event_id).await.unwrap());
    assert!(!operate::skip(pool, "crm", second.event_id).await.unwrap());
    receiver.has(14).await;
    sender.is_done().await;
    assert_eq!(of(&receiver.told(), second.subject), ["1", "2"]);
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gone_disables_a_webhook_endpoint_until_it_is_enabled() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    receiver.rule(|_| Reply::Status(410));
    let sender = ground.send(Endpoint::new(receiver.url())).await;
    ground.purchase("acme", customer(1), "0").await;
    let pool = sender.log.pool();
    eventually(SOON, "the endpoint to be disabled", || async {
        let because = sender.standing().await.stopped_because;
        (because.as_deref() == Some("the receiver answered 410 Gone")).then_some(())
    })
    .await;
    let before = receiver.told().len();
    receiver.rule(|_| Reply::Status(200));
    ground.purchase("acme", customer(1), "1").await;
    ground.purchase("acme", customer(2), "0").await;
    eventually(SOON, "what waits", || async {
        (sender.standing().await.pending == 3).then_some(())
    })
    .await;
    assert_eq!(receiver.told().len(), before);
    assert!(operate::enable(pool, "crm").await.unwrap());
    receiver.has(before + 3).await;
    sender.is_done().await;
    let mut names: Vec<_> = receiver.what().split_off(before);
    names.sort();
    assert_eq!(names, ["0", "0", "1"]);
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_receiver_is_left_alone_for_as_long_as_it_asks() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    receiver.rule(|told| match told.before {
        0 => Reply::With(429, "retry-after", "1"),
        _ => Reply::Status(200),
    });
    let sender = ground.send(Endpoint::new(receiver.url())).await;
    ground.purchase("acme", customer(1), "0").await;
    let told = receiver.has(2).await;
    sender.is_done().await;
    let waited = told[1].begun - told[0].ended.unwrap();
    assert!(waited >= RECEIVERS_SECOND, "{waited:?}");
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_follows_no_redirect_and_waits_for_no_answer_for_ever() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    receiver.rule(|told| match told.before {
        0 => Reply::With(307, "location", "/elsewhere"),
        1 => Reply::Hold,
        _ => Reply::Status(200),
    });
    let endpoint = Endpoint {
        more: "from = \"start\"\nservices = [\"interactions\"]\ntimeout_ms = 300".to_owned(),
        ..Endpoint::new(receiver.url())
    };
    let sender = ground.send(endpoint).await;
    ground.purchase("acme", customer(1), "0").await;
    let told = receiver
        .until("three requests", |told| told.len() == 3)
        .await;
    sender.is_done().await;
    assert!(told.iter().all(|one| one.path == "/hooks"));
    assert!(told.iter().all(|one| one.id() == told[0].id()));
    sender.stop().await;
    ground.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_a_customer_are_one_line_whichever_service_they_are_of() {
    let (ground, receiver) = (Ground::start().await, Receiver::start().await);
    receiver.rule(|told| match told.event["source"].as_str() {
        Some("/vefa/customers") => Reply::Hold,
        _ => Reply::Status(200),
    });
    let endpoint = Endpoint {
        more: "from = \"start\"\nservices = [\"customers\", \"interactions\"]".to_owned(),
        ..Endpoint::new(receiver.url())
    };
    let sender = ground.send(endpoint).await;
    ground.stage("acme", customer(1)).await;
    receiver.until("what is held", |told| told.len() == 1).await;
    ground.purchase("acme", customer(1), "behind it").await;
    ground.purchase("acme", customer(2), "of another").await;
    receiver.has(1).await;
    eventually(SOON, "both to wait", || async {
        (sender.standing().await.pending == 2).then_some(())
    })
    .await;
    assert_eq!(receiver.told().len(), 2);
    receiver.let_go();
    let told = receiver.has(3).await;
    assert_eq!(told[2].what(), "behind it");
    sender.is_done().await;
    sender.stop().await;
    ground.stop().await;
}
