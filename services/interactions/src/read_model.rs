//! The timeline: the interactions of each customer, newest first, and the query that pages through those of a few.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use aggregate::{CustomerId, Partition, StreamId, TenantId};
use bytes::Bytes;
use event_log::{Projection, ProjectionError, StoredEvent, SubjectCipher, Table};
use sqlx::{Connection as _, PgConnection, PgPool, Row as _, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::codec::{self, Interaction};

/// Keeps the rows of `timeline`.
#[derive(Clone, Debug)]
pub(crate) struct Timeline;

/// Where a page ends: the place of its last entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) occurred_at: OffsetDateTime,
    pub(crate) interaction_id: Uuid,
}

impl Place {
    /// The place before everything that had happened by `moment`.
    pub(crate) fn newest_at(moment: OffsetDateTime) -> Self {
        Self {
            occurred_at: moment,
            // No interaction has this id: theirs are of version 5.
            interaction_id: Uuid::max(),
        }
    }

    /// The place of an entry.
    pub(crate) fn of(entry: &StoredEvent) -> Self {
        Self {
            occurred_at: entry.occurred_at,
            interaction_id: entry.stream_id.0,
        }
    }
}

/// The next `count` interactions of these customers together after a place, newest first, each with whose it is.
pub(crate) async fn page(
    pool: &PgPool,
    tenant: &TenantId,
    customers: &BTreeSet<CustomerId>,
    after: Place,
    count: u32,
) -> Result<Vec<(CustomerId, StoredEvent)>, sqlx::Error> {
    let (partitions, ids): (Vec<i16>, Vec<Uuid>) = customers
        .iter()
        .map(|customer| {
            let partition = Partition::of_customer(tenant, *customer);
            (i16::from(partition.number()), customer.0)
        })
        .unzip();
    // A page of each by the key, and of these the newest.
    let rows = sqlx::query(
        "select t.* from unnest($1::smallint[], $3::uuid[]) as c (partition, customer_id)
         cross join lateral (
            select customer_id, occurred_at, interaction_id, position, event_id, type, schema_version, payload, recorded_at
            from timeline
            where partition = c.partition and tenant = $2 and customer_id = c.customer_id
                and (occurred_at, interaction_id) < ($4, $5)
            order by occurred_at desc, interaction_id desc
            limit $6
         ) t
         order by occurred_at desc, interaction_id desc
         limit $6",
    )
    .bind(partitions)
    .bind(tenant.as_str())
    .bind(ids)
    .bind(after.occurred_at)
    .bind(after.interaction_id)
    .bind(i64::from(count))
    .fetch_all(pool)
    .await?;
    rows.iter()
        .map(|row| {
            let customer = CustomerId(row.try_get("customer_id")?);
            Ok((customer, entry(row, tenant, customer)?))
        })
        .collect()
}

fn entry(row: &PgRow, tenant: &TenantId, customer: CustomerId) -> Result<StoredEvent, sqlx::Error> {
    Ok(StoredEvent {
        tenant: tenant.clone(),
        partition: Partition::of_customer(tenant, customer),
        position: row.try_get("position")?,
        stream_id: StreamId(row.try_get("interaction_id")?),
        // An interaction is the only event of its stream.
        version: 1,
        event_id: row.try_get("event_id")?,
        type_: row.try_get("type")?,
        schema_version: row.try_get("schema_version")?,
        payload: Bytes::from(row.try_get::<Vec<u8>, _>("payload")?),
        metadata: Bytes::new(),
        occurred_at: row.try_get("occurred_at")?,
        recorded_at: row.try_get("recorded_at")?,
    })
}

#[derive(Default)]
struct Columns<'a> {
    partition: Vec<i16>,
    tenant: Vec<&'a str>,
    customer_id: Vec<Uuid>,
    occurred_at: Vec<OffsetDateTime>,
    interaction_id: Vec<Uuid>,
    position: Vec<i64>,
    event_id: Vec<Uuid>,
    type_: Vec<&'a str>,
    schema_version: Vec<i16>,
    payload: Vec<&'a [u8]>,
    recorded_at: Vec<OffsetDateTime>,
}

impl<'a> Columns<'a> {
    fn of(events: &'a [StoredEvent]) -> Result<Self, ProjectionError> {
        let mut columns = Self::default();
        for event in events {
            columns.add(event)?;
        }
        Ok(columns)
    }

    fn add(&mut self, event: &'a StoredEvent) -> Result<(), ProjectionError> {
        // Whose it is and when it happened is never sealed, so that no key is needed.
        let (customer, occurred_at) =
            match codec::interaction(event, &SubjectCipher::none(&event.tenant))? {
                Interaction::Purchase(purchase) => {
                    (purchase.facts.customer, purchase.facts.occurred_at)
                }
                Interaction::Touchpoint(facts) => (facts.customer, facts.occurred_at),
            };
        self.partition.push(event.partition.number().into());
        self.tenant.push(event.tenant.as_str());
        self.customer_id.push(customer.0);
        self.occurred_at.push(occurred_at);
        self.interaction_id.push(event.stream_id.0);
        self.position.push(event.position);
        self.event_id.push(event.event_id);
        self.type_.push(&event.type_);
        self.schema_version.push(event.schema_version);
        self.payload.push(&event.payload);
        self.recorded_at.push(event.recorded_at);
        Ok(())
    }

    /// Runs an insert that takes the columns as its parameters.
    async fn insert(
        &self,
        connection: &mut PgConnection,
        insert: &'static str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(insert)
            .bind(&self.partition)
            .bind(&self.tenant)
            .bind(&self.customer_id)
            .bind(&self.occurred_at)
            .bind(&self.interaction_id)
            .bind(&self.position)
            .bind(&self.event_id)
            .bind(&self.type_)
            .bind(&self.schema_version)
            .bind(&self.payload)
            .bind(&self.recorded_at)
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// Fails when one of the rows is there.
const INSERT_NEW: &str = "insert into timeline (partition, tenant, customer_id, occurred_at, interaction_id, position, event_id, type,
        schema_version, payload, recorded_at)
     select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::uuid[], $6::bigint[],
        $7::uuid[], $8::text[], $9::smallint[], $10::bytea[], $11::timestamptz[])";

/// Leaves rows that are there as they are.
const INSERT_MISSING: &str = "insert into timeline (partition, tenant, customer_id, occurred_at, interaction_id, position, event_id, type,
        schema_version, payload, recorded_at)
     select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::uuid[], $6::bigint[],
        $7::uuid[], $8::text[], $9::smallint[], $10::bytea[], $11::timestamptz[])
     on conflict do nothing";

/// From how many rows on it pays to take for granted that none of them is there: looking for each takes as long as writing it, and a
/// savepoint takes two round trips.
const TAKEN_FOR_NEW_MIN: usize = 500;

impl Projection for Timeline {
    fn name(&self) -> &'static str {
        "interactions.timeline"
    }

    fn tables(&self) -> &'static [Table] {
        const { &[Table::new("timeline")] }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let columns = Columns::of(events)?;
        if events.len() >= TAKEN_FOR_NEW_MIN {
            let mut attempt = connection.begin().await?;
            match columns.insert(&mut attempt, INSERT_NEW).await {
                Ok(()) => return Ok(attempt.commit().await?),
                Err(error) if is_repeat(&error) => attempt.rollback().await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(columns.insert(connection, INSERT_MISSING).await?)
    }
}

fn is_repeat(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
