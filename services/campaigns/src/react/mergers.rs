//! The history of mergers, who is merged at a moment, and whose purchases count with whose. Written by the projection of consents, so that
//! whoever waits for the one sees the other. Each of the two customers of a merger tells of it by an event of its own, and has rows of
//! its own: it does not matter which is heard first.

use std::collections::HashSet;

use aggregate::{CustomerId, Partition, TenantId};
use contracts::customers::v1::{
    CustomerAbsorbed, CustomerMerged, CustomerSeparated, CustomerUnmerged,
};
use event_log::{DecodeError, StoredEvent, timestamp};
use prost_types::Timestamp;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::standing::History;

pub(super) const MERGED: &str = "vefa.customers.v1.CustomerMerged";
pub(super) const UNMERGED: &str = "vefa.customers.v1.CustomerUnmerged";
pub(super) const ABSORBED: &str = "vefa.customers.v1.CustomerAbsorbed";
pub(super) const SEPARATED: &str = "vefa.customers.v1.CustomerSeparated";

const HISTORY: History = History {
    table: "merger",
    holds: "latest.survivor_id is not null",
};

/// Those of these customers who are merged into another, by all that is known or by what was in effect at a moment (inclusive).
pub(crate) async fn merged_at(
    pool: &PgPool,
    tenant: &TenantId,
    customers: &[CustomerId],
    moment: Option<OffsetDateTime>,
) -> Result<HashSet<CustomerId>, sqlx::Error> {
    HISTORY.holds_at(pool, tenant, customers, moment).await
}

/// What an event tells of a merger.
pub(super) enum Turn {
    /// Somebody goes on for the customer from a moment on, or nobody does any more.
    GoesOn {
        customer: CustomerId,
        effective_at: OffsetDateTime,
        survivor: Option<CustomerId>,
    },
    /// The others count with the customer.
    Came {
        customer: CustomerId,
        others: Vec<CustomerId>,
    },
    /// They do not any more.
    Went {
        customer: CustomerId,
        others: Vec<CustomerId>,
    },
}

impl Turn {
    /// What an event of one of the types above tells.
    pub(super) fn of(event: &StoredEvent) -> Result<Self, DecodeError> {
        match event.type_.as_str() {
            MERGED => {
                let message: CustomerMerged = event.message()?;
                let survivor = &message.surviving_customer_id;
                Ok(Self::GoesOn {
                    customer: id(event, "customer_id", &message.customer_id)?,
                    effective_at: moment(event, "merged_time", message.merged_time)?,
                    survivor: Some(id(event, "surviving_customer_id", survivor)?),
                })
            }
            UNMERGED => {
                let message: CustomerUnmerged = event.message()?;
                Ok(Self::GoesOn {
                    customer: id(event, "customer_id", &message.customer_id)?,
                    effective_at: moment(event, "unmerged_time", message.unmerged_time)?,
                    survivor: None,
                })
            }
            ABSORBED => {
                let message: CustomerAbsorbed = event.message()?;
                let also = &message.also_absorbed_customer_ids;
                Ok(Self::Came {
                    customer: id(event, "customer_id", &message.customer_id)?,
                    others: ids(event, &message.absorbed_customer_id, also)?,
                })
            }
            SEPARATED => {
                let message: CustomerSeparated = event.message()?;
                let also = &message.also_separated_customer_ids;
                Ok(Self::Went {
                    customer: id(event, "customer_id", &message.customer_id)?,
                    others: ids(event, &message.separated_customer_id, also)?,
                })
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }

    /// Takes it over. Consents that were recorded before must stand in their table: those that came with somebody who goes are deleted.
    pub(super) async fn apply(
        &self,
        connection: &mut PgConnection,
        event: &StoredEvent,
    ) -> Result<(), sqlx::Error> {
        match self {
            Self::GoesOn {
                customer,
                effective_at,
                survivor,
            } => goes_on(connection, event, *customer, *effective_at, *survivor).await,
            Self::Came { customer, others } => came(connection, event, *customer, others).await,
            Self::Went { customer, others } => went(connection, event, *customer, others).await,
        }
    }
}

async fn goes_on(
    connection: &mut PgConnection,
    event: &StoredEvent,
    customer: CustomerId,
    effective_at: OffsetDateTime,
    survivor: Option<CustomerId>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into merger (partition, tenant, customer_id, effective_at, position, survivor_id)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
    )
    .bind(i16::from(event.partition.number()))
    .bind(event.tenant.as_str())
    .bind(customer.0)
    .bind(effective_at)
    .bind(event.position)
    .bind(survivor.map(|survivor| survivor.0))
    .execute(connection)
    .await?;
    Ok(())
}

async fn came(
    connection: &mut PgConnection,
    event: &StoredEvent,
    customer: CustomerId,
    others: &[CustomerId],
) -> Result<(), sqlx::Error> {
    let (ids, partitions): (Vec<Uuid>, Vec<i16>) = others
        .iter()
        .map(|other| {
            let partition = Partition::of_customer(&event.tenant, *other);
            (other.0, i16::from(partition.number()))
        })
        .unzip();
    sqlx::query(
        "insert into absorbed (partition, tenant, customer_id, absorbed_id, absorbed_partition)
         select $1, $2, $3, absorbed_id, absorbed_partition
         from unnest($4::uuid[], $5::smallint[]) as t (absorbed_id, absorbed_partition)
         on conflict do nothing",
    )
    .bind(i16::from(event.partition.number()))
    .bind(event.tenant.as_str())
    .bind(customer.0)
    .bind(ids)
    .bind(partitions)
    .execute(connection)
    .await?;
    Ok(())
}

async fn went(
    connection: &mut PgConnection,
    event: &StoredEvent,
    customer: CustomerId,
    others: &[CustomerId],
) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = others.iter().map(|other| other.0).collect();
    for statement in [
        "delete from absorbed
         where partition = $1 and tenant = $2 and customer_id = $3 and absorbed_id = any($4) and $5 > 0",
        // What comes with another merger of the two stands behind this event.
        "delete from consent
         where partition = $1 and tenant = $2 and customer_id = $3 and original_customer_id = any($4) and position < $5",
    ] {
        sqlx::query(statement)
            .bind(i16::from(event.partition.number()))
            .bind(event.tenant.as_str())
            .bind(customer.0)
            .bind(&ids)
            .bind(event.position)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn id(event: &StoredEvent, field: &'static str, text: &str) -> Result<CustomerId, DecodeError> {
    text.parse().map_err(|_| DecodeError::invalid(event, field))
}

fn ids(event: &StoredEvent, one: &str, also: &[String]) -> Result<Vec<CustomerId>, DecodeError> {
    std::iter::once(one)
        .chain(also.iter().map(String::as_str))
        .map(|other| id(event, "a customer who comes or goes", other))
        .collect()
}

fn moment(
    event: &StoredEvent,
    field: &'static str,
    moment: Option<Timestamp>,
) -> Result<OffsetDateTime, DecodeError> {
    moment
        .and_then(|moment| timestamp::from_proto(&moment).ok())
        .ok_or_else(|| DecodeError::invalid(event, field))
}
