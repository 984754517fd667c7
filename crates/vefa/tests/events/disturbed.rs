//! `vefa events tail` while others write, NATS and services come and go, and readers leave.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use testing::{eventually, spawn_bound, wait_until};
use tokio::task::JoinSet;

use crate::{
    ground::{Ground, OTHER_TENANT, SOON, TENANT},
    logs::{order_of, total},
    running::Tail,
};

/// Begun while somebody writes, it has all that was and all that comes, each event once and each partition in order. A tenant beside it
/// leaves holes in the positions that are heard, and sees its own events alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn begun_while_somebody_writes_it_has_each_event_once_and_in_order() {
    let ground = Ground::start().await;
    let (writer, other) = (
        ground.writer(TENANT).await,
        ground.writer(OTHER_TENANT).await,
    );
    writer.customers(0, 20, 4).await;
    other.customers(0, 10, 2).await;
    let from_now = ground.tail(TENANT, &[]);
    let ids = writer.customers(50, 1, 0).await;
    let purchases = AtomicU32::new(0);
    eventually(
        SOON,
        "the one that does not look back has begun",
        || async {
            let n = purchases.fetch_add(1, Ordering::Relaxed);
            writer.purchase(&ids[0], n).await;
            (!from_now.lines().is_empty()).then_some(())
        },
    )
    .await;
    let before = ground.logged(TENANT).await;
    let mut writing = JoinSet::new();
    let (more, of_other) = (writer.clone(), other.clone());
    writing.spawn(async move {
        tokio::join!(more.customers(100, 30, 8), of_other.customers(100, 20, 4))
    });
    let whole = ground.tail(TENANT, &["--from-beginning"]);
    let others = ground.tail(OTHER_TENANT, &["--from-beginning"]);
    writing.join_all().await;
    // What is heard is heard at once, long before the log is asked again of itself.
    for (tail, tenant) in [(whole, TENANT), (others, OTHER_TENANT)] {
        let logged = ground.logged(tenant).await;
        tail.has(total(&logged)).await;
        assert_eq!(tail.said(), "");
        let (code, lines) = tail.interrupt();
        assert_eq!(code, Some(0));
        assert_eq!(order_of(&lines), logged, "{tenant}");
    }
    // The one that was not to look back has the end of each partition, from where it began, without a hole.
    let logged = ground.logged(TENANT).await;
    eventually(SOON, "the end of each partition that has grown", || async {
        let seen = order_of(&from_now.lines());
        let there = |(place, events): (&_, &Vec<_>)| {
            before.get(place) == Some(events)
                || seen
                    .get(place)
                    .is_some_and(|seen| seen.last() == events.last())
        };
        logged.iter().all(there).then_some(())
    })
    .await;
    let (code, lines) = from_now.interrupt();
    assert_eq!(code, Some(0));
    let seen = order_of(&lines);
    assert!(!seen.is_empty() && total(&seen) < total(&logged));
    for (place, events) in &seen {
        assert!(logged[place].ends_with(events), "{place:?}: {events:?}");
    }
}

/// Without NATS what happens is read from the log; once it is back, nothing is missed and nothing comes twice.
/// A log that was restored to an earlier point: it is told what is no more, and what took its place follows.
/// Whoever reads may stop at any moment, as `head` does: that is no error, and is found out without another event.
/// The log is asked again every five seconds; who heard of nothing would have waited for it each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_and_the_services_may_go_and_come_back() {
    let mut ground = Ground::start().await;
    let writer = ground.writer(TENANT).await;
    let ids = writer.customers(0, 5, 2).await;
    let tail = ground.tail(TENANT, &["--from-beginning"]);
    tail.has(30).await;
    ground.nats.kill().unwrap();
    writer.customers(100, 5, 2).await;
    tail.has(60).await;
    ground.nats.restart().unwrap();
    writer.purchase(&ids[0], 50).await;
    tail.has(61).await;
    drop(writer);
    ground.kill_services();
    tail.says("it is tried again").await;
    ground.start_services();
    let writer = ground.writer(TENANT).await;
    writer.customers(200, 5, 2).await;
    tail.has(91).await;
    let logged = ground.logged(TENANT).await;
    let (code, lines) = tail.interrupt();
    assert_eq!(code, Some(0));
    assert_eq!(order_of(&lines), logged);
}

/// Without NATS what happens is read from the log; once it is back, nothing is missed and nothing comes twice.
/// A log that was restored to an earlier point: it is told what is no more, and what took its place follows.
/// Whoever reads may stop at any moment, as `head` does: that is no error, and is found out without another event.
/// The log is asked again every five seconds; who heard of nothing would have waited for it each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_restored_is_told() {
    let mut ground = Ground::start().await;
    let writer = ground.writer(TENANT).await;
    let ids = writer.customers(0, 1, 3).await;
    let tail = ground.tail(TENANT, &["--from-beginning", "--service", "interactions"]);
    tail.has(3).await;
    drop(writer);
    ground.kill_services();
    for statement in [
        "delete from command_log",
        "delete from event where position = 3",
        "update log_head set position = 2 where position = 3",
        "delete from checkpoint",
    ] {
        ground.execute("interactions", statement).await;
    }
    ground.start_services();
    eventually(SOON, "the epoch is raised", || async {
        (ground.epoch("interactions").await == 2).then_some(())
    })
    .await;
    let writer = ground.writer(TENANT).await;
    writer.purchase(&ids[0], 9).await;
    tail.has(4).await;
    tail.says("the log was restored to an earlier point").await;
    let (_, lines) = tail.interrupt();
    let places: Vec<u64> = lines
        .iter()
        .map(|line| line["position"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [1, 2, 3, 3]);
    assert_eq!(lines[3]["data"]["sourceId"], format!("{}-9", ids[0]));
}

/// Without NATS what happens is read from the log; once it is back, nothing is missed and nothing comes twice.
/// A log that was restored to an earlier point: it is told what is no more, and what took its place follows.
/// Whoever reads may stop at any moment, as `head` does: that is no error, and is found out without another event.
/// The log is asked again every five seconds; who heard of nothing would have waited for it each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_when_nobody_reads() {
    let ground = Ground::start().await;
    let writer = ground.writer(TENANT).await;
    writer.customers(0, 2, 1).await;
    let mut command = ground.analyst(TENANT, &["events", "tail", "--from-beginning"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn_bound(command).unwrap();
    let read = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .take(10);
    // All that there is; after the last line nobody reads.
    let read: Vec<String> = read.map(Result::unwrap).collect();
    assert_eq!(read.len(), 10);
    let ended = wait_until(SOON, || child.try_wait().unwrap());
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(told, "");
}

/// Whoever hears of an event further on reads what lies between from the log, and takes nothing twice, also of what comes late or again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_heard_is_read_from_the_log() {
    let ground = Ground::start_unheard().await;
    let writer = ground.writer(TENANT).await;
    let ids = writer.customers(0, 1, 2).await;
    let arguments = ["--from-beginning", "--service", "interactions"];
    let tail = ground.tail(TENANT, &arguments);
    tail.has(2).await;
    for first in (3..=15).step_by(4) {
        for n in first..first + 4 {
            writer.purchase(&ids[0], n).await;
        }
        let first = i64::from(first);
        for position in [first, first + 3, first + 1, first + 3, first] {
            ground.publish(position).await;
        }
        tail.has(usize::try_from(first + 3).unwrap()).await;
    }
    let (code, lines) = tail.interrupt();
    assert_eq!(code, Some(0));
    assert_eq!(order_of(&lines), {
        let mut logged = ground.logged(TENANT).await;
        logged.retain(|(service, _), _| service == "interactions");
        logged
    });
}

/// A token that is good no more ends what it began, with what it has come to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_with_its_token_and_says_so() {
    let ground = Ground::start().await;
    ground.writer(TENANT).await.customers(0, 1, 1).await;
    let token = ground.token_for("0", TENANT, &["*"]);
    let arguments = ["events", "tail", "--from-beginning", "--token", &token];
    let mut tail = Tail::start(ground.stranger(TENANT, &arguments));
    tail.has(5).await;
    assert_eq!(tail.ended(), Some(1));
    tail.says("the token has expired (Unauthenticated)").await;
    assert_eq!(tail.lines().len(), 5);
}
