//! Large batches and small ones make the same rows.

use aggregate::TenantId;
use event_log::{Encoded, Seal, Stored as _};
use sqlx::{Connection as _, PgConnection};
use testing::{TestDatabase, golden};

use super::*;
use crate::domain::purchase::{Purchase, PurchaseEvent, PurchaseId, tests::facts};

const EVENTS: u128 = 1200;

fn events() -> Vec<StoredEvent> {
    (1..=EVENTS)
        .map(|n| {
            let mut facts = facts(&[1999]);
            facts.id = PurchaseId(Uuid::from_u128(n));
            let occurred_at = facts.occurred_at;
            let event = PurchaseEvent::PurchaseRecorded(facts);
            let tenant = TenantId::parse("demo").unwrap();
            let cipher = SubjectCipher::none(&tenant);
            let Encoded {
                type_,
                schema_version,
                payload,
            } = Purchase::encode(&event, &Seal::new(&cipher, golden::EVENT_ID)).unwrap();
            StoredEvent {
                stream_id: StreamId(Uuid::from_u128(n)),
                position: i64::try_from(n).unwrap(),
                ..golden::stored(type_, schema_version, &payload, occurred_at)
            }
        })
        .collect()
}

async fn database() -> (TestDatabase, PgConnection) {
    let database = TestDatabase::create("timeline_rows").await.unwrap();
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    sqlx::migrate!().run(&mut connection).await.unwrap();
    (database, connection)
}

/// Applies the events in batches of this size, each in a transaction as a projector does.
async fn apply(connection: &mut PgConnection, events: &[StoredEvent], size: usize) {
    for batch in events.chunks(size) {
        let mut transaction = connection.begin().await.unwrap();
        Timeline.apply(&mut transaction, batch).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

async fn rows(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("select t::text from timeline t order by position")
        .fetch_all(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_large_batch_makes_the_rows_of_small_ones_also_where_some_are_there() {
    let (_database, mut connection) = database().await;
    let events = events();
    apply(&mut connection, &events, 100).await;
    let expected = rows(&mut connection).await;
    assert_eq!(expected.len(), events.len());
    for there in [0, 1, 700, events.len()] {
        sqlx::raw_sql("truncate timeline")
            .execute(&mut connection)
            .await
            .unwrap();
        apply(&mut connection, &events[events.len() - there..], 100).await;
        assert!(events.len() >= TAKEN_FOR_NEW_MIN);
        apply(&mut connection, &events, events.len()).await;
        assert_eq!(rows(&mut connection).await, expected, "{there} were there");
    }
}
