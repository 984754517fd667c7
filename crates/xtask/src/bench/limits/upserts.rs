//! What PostgreSQL takes of rows like those of a read model.

use std::time::Duration;

use anyhow::Context;
use sqlx::{Connection as _, Executor as _, PgConnection};
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use super::{PAYLOAD_BYTES, ROWS, limits_database};
use crate::bench::stage::Stage;

/// Customers whose rows they are.
const CUSTOMERS: usize = 2_000;

/// Rows in a second by one upsert of 1000 rows in a transaction, on two connections at once. The rows have the columns and the key of
/// those of the timeline; none of them is there yet, as in a rebuild.
pub(in crate::bench) async fn upserts(stage: &Stage<'_>) -> anyhow::Result<f64> {
    limits_database(stage)
        .await?
        .execute(
            "drop table if exists rows;
             create table rows (
                partition smallint not null,
                tenant text not null,
                customer_id uuid not null,
                occurred_at timestamptz not null,
                interaction_id uuid not null,
                position bigint not null,
                event_id uuid not null,
                type text not null,
                schema_version smallint not null,
                payload bytea not null,
                recorded_at timestamptz not null,
                primary key (partition, tenant, customer_id, occurred_at, interaction_id)
             )",
        )
        .await?;
    let customers: Vec<Uuid> = (0..CUSTOMERS).map(|_| Uuid::new_v4()).collect();
    let start = Instant::now();
    let until = start + Duration::from_secs(stage.seconds());
    let (one, two) = tokio::try_join!(
        upsert_until(stage, &customers, 0, until),
        upsert_until(stage, &customers, 1, until)
    )?;
    Ok((one + two) as f64 / start.elapsed().as_secs_f64())
}

async fn upsert_until(
    stage: &Stage<'_>,
    customers: &[Uuid],
    connection: usize,
    until: Instant,
) -> anyhow::Result<usize> {
    let mut database: PgConnection = limits_database(stage).await?;
    // What is the same in every batch is made once: the limit is PostgreSQL's, not ours.
    let payloads = vec![vec![0xab_u8; PAYLOAD_BYTES]; ROWS];
    let tenants = vec!["demo"; ROWS];
    let types = vec!["vefa.interactions.v1.PurchaseRecorded"; ROWS];
    let versions = vec![1_i16; ROWS];
    let mut rows = 0;
    while Instant::now() < until {
        let nth = |n: usize| (rows + n) * 2 + connection;
        let at = |n: usize| {
            let seconds = i64::try_from(nth(n)).unwrap_or_default();
            OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(1_767_225_600 + seconds)
        };
        let customer = |n: usize| nth(n) % customers.len();
        let partitions: Vec<i16> = (0..ROWS)
            .map(|n| i16::try_from(customer(n) % 64).unwrap_or_default())
            .collect();
        let owners: Vec<Uuid> = (0..ROWS).map(|n| customers[customer(n)]).collect();
        let moments: Vec<OffsetDateTime> = (0..ROWS).map(at).collect();
        let ids: Vec<Uuid> = (0..ROWS).map(|_| Uuid::new_v4()).collect();
        let positions: Vec<i64> = (0..ROWS)
            .map(|n| i64::try_from(nth(n)).unwrap_or_default())
            .collect();
        let mut transaction = database.begin().await?;
        sqlx::query(
            "insert into rows (partition, tenant, customer_id, occurred_at, interaction_id, position, event_id, type,
                schema_version, payload, recorded_at)
             select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::uuid[], $6::bigint[],
                $7::uuid[], $8::text[], $9::smallint[], $10::bytea[], $11::timestamptz[])
             on conflict (partition, tenant, customer_id, occurred_at, interaction_id) do update
                set position = excluded.position, event_id = excluded.event_id, type = excluded.type,
                    schema_version = excluded.schema_version, payload = excluded.payload, recorded_at = excluded.recorded_at",
        )
        .bind(&partitions)
        .bind(&tenants)
        .bind(&owners)
        .bind(&moments)
        .bind(&ids)
        .bind(&positions)
        .bind(&ids)
        .bind(&types)
        .bind(&versions)
        .bind(&payloads)
        .bind(&moments)
        .execute(&mut *transaction)
        .await
        .context("upserting rows")?;
        transaction.commit().await?;
        rows += ROWS;
    }
    Ok(rows)
}
