//! Histories that part: a database restored to an earlier point, a stream restored to one, or both.

use std::{collections::BTreeMap, time::Duration};

use aggregate::Partition;
use event_bus::clear_divergences;
use testing::eventually;

use crate::{
    copier::Copier,
    ground::{Ground, open},
};

/// Restores the database to when its partitions had these heads.
async fn restore(ground: &Ground, point: &BTreeMap<Partition, i64>) {
    let (partitions, positions): (Vec<i16>, Vec<i64>) = point
        .iter()
        .map(|(partition, head)| (i16::from(partition.number()), *head))
        .unzip();
    let mut transaction = ground.log.pool().begin().await.unwrap();
    sqlx::query(
        "delete from event e using unnest($1::smallint[], $2::bigint[]) as p (partition, position)
         where e.partition = p.partition and e.position > p.position",
    )
    .bind(&partitions)
    .bind(&positions)
    .execute(&mut *transaction)
    .await
    .unwrap();
    sqlx::raw_sql(
        "update log_head h set position = (select count(*) from event e where e.partition = h.partition)",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(ground.log.heads().await.unwrap(), *point);
}

async fn wait_republished(ground: &Ground, epoch: i32) {
    let logged = ground.logged().await;
    let count = u64::try_from(logged.values().map(Vec::len).sum::<usize>()).unwrap();
    eventually(Duration::from_secs(20), "the stream is the log", || async {
        (ground.log.epoch() == epoch && ground.bus.stream_messages("numbers").await.ok()? == count)
            .then_some(())
    })
    .await;
    assert_eq!(ground.published().await, logged);
}

#[tokio::test]
async fn a_follower_goes_back_to_where_the_histories_part() {
    let ground = Ground::new("fork").await;
    let copiers = [
        Copier::new("fork_running").await,
        Copier::new("fork_stopped").await,
    ];
    let relay = ground.relay();
    let running = copiers[0].follow(&ground);
    let stopped = copiers[1].follow(&ground);
    ground.append(10, 3).await;
    // Partitions that lose nothing.
    ground.append_to(10..40, 1).await;
    let shared = ground.log.heads().await.unwrap();
    ground.append(10, 2).await;
    for copier in &copiers {
        copier.wait_copied(&ground).await;
    }
    stopped.stop().await;
    relay.stop().await;
    let before = ground.log.heads().await.unwrap();
    restore(&ground, &shared).await;
    // What comes between the restore and the raise is no part of the old history, though it stands at its positions.
    ground.append(10, 6).await;
    let relay = ground.relay();
    wait_republished(&ground, 2).await;
    let stopped = copiers[1].follow(&ground);
    ground.append(10, 1).await;
    for copier in &copiers {
        copier.wait_copied(&ground).await;
        copier.assert_diverged((1, 2), &before, &shared).await;
    }
    for running in [relay, running, stopped] {
        running.stop().await;
    }
    let mut transaction = copiers[0].log.pool().begin().await.unwrap();
    clear_divergences(&mut transaction, "numbers.copy")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert!(copiers[0].diverged().await.is_empty());
    for copier in copiers {
        copier.database.drop().await.unwrap();
    }
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_relay_that_died_after_the_raise_is_carried_on_without_another() {
    let ground = Ground::new("raised").await;
    let copier = Copier::new("raised_copier").await;
    let relay = ground.relay();
    let follower = copier.follow(&ground);
    ground.append(10, 3).await;
    let forks = ground.log.heads().await.unwrap();
    ground.append(10, 2).await;
    copier.wait_copied(&ground).await;
    relay.stop().await;
    follower.stop().await;
    let before = ground.log.heads().await.unwrap();
    restore(&ground, &forks).await;
    ground.append(10, 3).await;
    assert_eq!(ground.log.raise_epoch(1, 1, &forks).await.unwrap(), Some(2));
    assert_eq!(ground.log.raise_epoch(1, 1, &forks).await.unwrap(), None);
    // The stream still has the old history; a follower that knows of the new one does not take it.
    let follower = copier.follow(&ground);
    eventually(
        Duration::from_secs(20),
        "the follower went back",
        || async { (!copier.diverged().await.is_empty()).then_some(()) },
    )
    .await;
    let relay = ground.relay();
    wait_republished(&ground, 2).await;
    copier.wait_copied(&ground).await;
    copier.assert_diverged((1, 2), &before, &forks).await;
    relay.stop().await;
    follower.stop().await;
    copier.database.drop().await.unwrap();
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_restore_that_also_takes_an_epoch_is_beyond_what_was_published() {
    let ground = Ground::new("twice").await;
    let copier = Copier::new("twice_copier").await;
    ground.append(10, 2).await;
    let shared = ground.log.heads().await.unwrap();
    ground.append(10, 2).await;
    let first = ground.log.heads().await.unwrap();
    ground.append(10, 1).await;
    let relay = ground.relay();
    ground.wait_relayed(50).await;
    relay.stop().await;
    restore(&ground, &first).await;
    let relay = ground.relay();
    wait_republished(&ground, 2).await;
    let follower = copier.follow(&ground);
    copier.wait_copied(&ground).await;
    relay.stop().await;
    let before = ground.log.heads().await.unwrap();
    restore(&ground, &shared).await;
    sqlx::raw_sql("update log_epoch set epoch = 1; delete from log_fork")
        .execute(ground.log.pool())
        .await
        .unwrap();
    ground.append(10, 4).await;
    let relay = ground.relay();
    wait_republished(&ground, 3).await;
    copier.wait_copied(&ground).await;
    copier.assert_diverged((2, 3), &before, &shared).await;
    let history = ground.log.history().await.unwrap();
    for partition in Partition::all() {
        assert_eq!(history.fork_since(1, partition), Some(0), "nobody knows");
        assert_eq!(
            history.fork_since(2, partition),
            shared.get(&partition).copied()
        );
        assert_eq!(history.fork_since(3, partition), None);
    }
    relay.stop().await;
    follower.stop().await;
    copier.database.drop().await.unwrap();
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_ahead_of_its_origin_is_reported_and_skips_nothing() {
    let ground = Ground::new("ahead").await;
    let copier = Copier::new("ahead_copier").await;
    ground.append(10, 3).await;
    let shared = ground.log.heads().await.unwrap();
    ground.append(10, 2).await;
    let relay = ground.relay();
    let follower = copier.follow(&ground);
    copier.wait_copied(&ground).await;
    follower.stop().await;
    relay.stop().await;
    let before = ground.log.heads().await.unwrap();
    restore(&ground, &shared).await;
    // The stream was restored as well: nothing tells the relay.
    let name = ground.jetstream_name();
    ground.jetstream().await.delete_stream(name).await.unwrap();
    let relay = ground.relay();
    let follower = copier.follow(&ground);
    eventually(
        Duration::from_secs(20),
        "the follower found out",
        || async { (!copier.diverged().await.is_empty()).then_some(()) },
    )
    .await;
    ground.append(10, 4).await;
    wait_republished(&ground, 1).await;
    copier.wait_copied(&ground).await;
    copier.assert_diverged((1, 1), &before, &shared).await;
    follower.stop().await;
    relay.stop().await;
    copier.database.drop().await.unwrap();
    ground.database.drop().await.unwrap();
}

#[tokio::test]
async fn another_process_learns_of_a_raised_epoch_when_it_looks_at_the_log() {
    let ground = Ground::new("stale").await;
    let other = open("numbers", &ground.database).await;
    ground
        .log
        .raise_epoch(1, 1, &BTreeMap::new())
        .await
        .unwrap();
    assert_eq!(other.epoch(), 1);
    other.heads().await.unwrap();
    assert_eq!(other.epoch(), 2);
    other.close().await;
    ground.database.drop().await.unwrap();
}
