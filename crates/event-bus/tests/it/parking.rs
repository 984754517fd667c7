//! Events of another's log that cannot be applied: parked by the follower, and fetched from the origin when they can be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use event_log::{
    Append, DecodeError, NewEvent, Projection, ProjectionError, StoredEvent, Write, append_in,
    control::{self, Target},
};
use sqlx::PgConnection;
use testing::eventually;
use uuid::Uuid;

use crate::{
    copier::Copier,
    ground::{Ground, Running, number_of, stream},
};

const SOON: Duration = Duration::from_secs(20);
const TARGET: Target = Target {
    projection: "numbers.picky",
    version: 1,
};

/// Keeps which event stands at each position, of those that hold a number; all of them when it was repaired, and those of
/// a type that is not known when it was taught.
#[derive(Clone, Default)]
struct Picky {
    repaired: Arc<AtomicBool>,
    taught: Arc<AtomicBool>,
}

impl Projection for Picky {
    fn name(&self) -> &'static str {
        TARGET.projection
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        for event in events {
            if event.type_ != "vefa.test.v1.NumberDrawn" && !self.taught.load(Ordering::Relaxed) {
                return Err(DecodeError::unknown(event).into());
            }
            if !self.repaired.load(Ordering::Relaxed) {
                number_of(event)?;
            }
            // A second time would be refused.
            sqlx::query("insert into copied values ($1, $2, $3)")
                .bind(i16::from(event.partition.number()))
                .bind(event.position)
                .bind(event.event_id)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

fn follow(picky: &Picky, copier: &Copier, ground: &Ground) -> Running {
    copier.follow_with(ground, picky.clone(), Duration::from_millis(300))
}

async fn append(ground: &Ground, n: u128, version: i64, type_: &'static str) {
    let event = NewEvent {
        event_id: Uuid::now_v7(),
        type_,
        schema_version: 1,
        payload: vec![1, 2, 3].into(),
        metadata: bytes::Bytes::new(),
        occurred_at: time::macros::datetime!(2026-01-02 03:04:05 UTC),
    };
    let append = Append {
        stream: stream(n),
        expected_version: version,
        events: vec![event],
        new_key: None,
        erases: false,
    };
    let write = Write {
        idempotency: None,
        appends: vec![append],
    };
    let mut transaction = ground.log.pool().begin().await.unwrap();
    let written = append_in(&mut transaction, &[write]).await.unwrap();
    written.expect("nobody else writes");
    transaction.commit().await.unwrap();
    ground.log.notify_appended();
}

async fn caught_up(copier: &Copier, ground: &Ground) {
    eventually(SOON, "the follower is at the end of the log", || async {
        let progress = copier.log.progress().await.unwrap();
        let heads = ground.log.heads().await.unwrap();
        (progress.get(TARGET.projection) == Some(&heads.values().sum())).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_a_follower_parked_comes_from_the_origin_when_it_can_be_applied() {
    let ground = Ground::new("parking").await;
    let copier = Copier::new("parking_copier").await;
    let picky = Picky::default();
    let relay = ground.relay();
    ground.append(10, 3).await;
    append(&ground, 4, 3, "vefa.test.v1.NumberDrawn").await;
    let follower = follow(&picky, &copier, &ground);
    caught_up(&copier, &ground).await;
    // They wait behind it; the others go on.
    for version in 4..8 {
        append(&ground, 4, version, "vefa.test.v1.NumberDrawn").await;
    }
    ground.append_to((0..10).filter(|n| *n != 4), 3).await;
    caught_up(&copier, &ground).await;
    let parked = control::parked(copier.log.pool(), TARGET).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].stream, parked[0].events), (stream(4).id, 5));
    let copied: usize = copier.copied().await.values().map(Vec::len).sum();
    assert_eq!(copied, 30 + 27);
    // The stream is gone: the origin has it all.
    relay.stop().await;
    ground.stream().await.purge().await.unwrap();
    picky.repaired.store(true, Ordering::Relaxed);
    control::replay(copier.log.pool(), TARGET, None)
        .await
        .unwrap();
    copier.wait_copied(&ground).await;
    assert_eq!(
        control::parked(copier.log.pool(), TARGET).await.unwrap(),
        []
    );
    follower.stop().await;
    ground.database.drop().await.unwrap();
    copier.database.drop().await.unwrap();
}

#[tokio::test]
async fn a_follower_stands_in_front_of_an_event_that_is_not_known_until_it_is() {
    let ground = Ground::new("unknown").await;
    let copier = Copier::new("unknown_copier").await;
    let picky = Picky::default();
    let relay = ground.relay();
    ground.append(10, 3).await;
    append(&ground, 4, 3, "vefa.test.v9.NumberGuessed").await;
    ground.append_to((0..10).filter(|n| *n != 4), 3).await;
    ground.wait_relayed(58).await;
    picky.repaired.store(true, Ordering::Relaxed);
    let follower = follow(&picky, &copier, &ground);
    let reason: String = eventually(SOON, "the follower is paused", || async {
        sqlx::query_scalar("select reason from paused")
            .fetch_optional(copier.log.pool())
            .await
            .unwrap()
    })
    .await;
    assert!(reason.contains("vefa.test.v9.NumberGuessed"), "{reason}");
    let unknown = stream(4).partition.number();
    let copied = copier.copied().await;
    let logged = ground.logged().await;
    assert!(copied[&unknown].len() < logged[&unknown].len());
    for (partition, events) in &copied {
        assert_eq!(events[..], logged[partition][..events.len()], "in order");
    }
    assert_eq!(
        control::parked(copier.log.pool(), TARGET).await.unwrap(),
        []
    );
    picky.taught.store(true, Ordering::Relaxed);
    copier.wait_copied(&ground).await;
    let paused: i64 = sqlx::query_scalar("select count(*) from paused")
        .fetch_one(copier.log.pool())
        .await
        .unwrap();
    assert_eq!(paused, 0);
    follower.stop().await;
    relay.stop().await;
    ground.database.drop().await.unwrap();
    copier.database.drop().await.unwrap();
}
