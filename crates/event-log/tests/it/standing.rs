//! What is shown of a log to whoever watches it.

use event_log::{ProjectionStanding, Timer, TimerKey, control, schedule_in};
use time::{Duration, macros::datetime};

use crate::{
    account::plain,
    ledger::{Books, TARGET},
};

#[tokio::test]
async fn one_look_shows_heads_positions_what_waits_and_what_is_due() {
    let books = Books::new("standing").await;
    books.add(1, [1, 2]).await;
    books.add_malformed(2).await;
    let due_at = datetime!(2026-01-01 00:00 UTC);
    let stream = plain(1);
    let timers = [-60, -30, 30].map(|seconds| Timer {
        key: TimerKey {
            partition: stream.partition,
            tenant: stream.tenant.clone(),
            key: seconds.to_string(),
        },
        due_at: due_at + Duration::seconds(seconds),
        command: Vec::new(),
    });
    let mut connection = books.log.pool().acquire().await.unwrap();
    schedule_in(&mut connection, &timers).await.unwrap();
    drop(connection);
    let running = books.keep();
    books.caught_up().await;
    let unknown = control::Target {
        projection: "unknown",
        version: 1,
    };
    let other_version = control::Target {
        version: TARGET.version + 1,
        ..TARGET
    };
    let asked = [unknown, TARGET, other_version];
    let look = || books.log.standing(&asked, due_at);

    let standing = look().await.unwrap();
    assert_eq!(standing.heads.len(), 64);
    assert_eq!(standing.heads.values().sum::<i64>(), 3);
    assert_eq!(standing.timers_due, 2);
    assert_eq!(
        standing.timers_due_since,
        Some(due_at - Duration::seconds(60))
    );
    assert_eq!(standing.projections[0], ProjectionStanding::default());
    assert_eq!(standing.projections[2], ProjectionStanding::default());
    let ledger = &standing.projections[1];
    assert_eq!(ledger.positions, standing.heads);
    assert_eq!((ledger.paused_partitions, ledger.parked_streams), (0, 1));

    control::pause(books.log.pool(), TARGET, "a look")
        .await
        .unwrap();
    running.stop().await;
    books.add(1, [3]).await;
    let standing = look().await.unwrap();
    assert_eq!(standing.heads.values().sum::<i64>(), 4);
    let ledger = &standing.projections[1];
    assert_eq!(ledger.positions.values().sum::<i64>(), 3);
    assert_eq!((ledger.paused_partitions, ledger.parked_streams), (64, 1));
    books.close().await;
}
