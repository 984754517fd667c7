//! The history of restrictions, and who is restricted at a moment. Written by the projection of consents, so that whoever waits for the one sees
//! the other.

use std::collections::HashSet;

use aggregate::{CustomerId, TenantId};
use contracts::customers::v1::{ProcessingRestricted, RestrictionLifted};
use event_log::{DecodeError, StoredEvent, timestamp};
use prost_types::Timestamp;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::standing::History;

pub(super) const RESTRICTED: &str = "vefa.customers.v1.ProcessingRestricted";
pub(super) const LIFTED: &str = "vefa.customers.v1.RestrictionLifted";

const HISTORY: History = History {
    table: "restriction",
    holds: "latest.restricted",
};

/// Those of these customers who are restricted, by all that is known or by what was in effect at a moment (inclusive).
pub(crate) async fn restricted_at(
    pool: &PgPool,
    tenant: &TenantId,
    customers: &[CustomerId],
    moment: Option<OffsetDateTime>,
) -> Result<HashSet<CustomerId>, sqlx::Error> {
    HISTORY.holds_at(pool, tenant, customers, moment).await
}

/// A turn in the history of a customer.
pub(super) struct Turn {
    customer: CustomerId,
    effective_at: OffsetDateTime,
    restricted: bool,
}

impl Turn {
    pub(super) fn restricted(event: &StoredEvent) -> Result<Self, DecodeError> {
        let message: ProcessingRestricted = event.message()?;
        let moment = message.restricted_time.as_ref();
        Self::of(event, &message.customer_id, "restricted_time", moment, true)
    }

    pub(super) fn lifted(event: &StoredEvent) -> Result<Self, DecodeError> {
        let message: RestrictionLifted = event.message()?;
        let moment = message.lifted_time.as_ref();
        Self::of(event, &message.customer_id, "lifted_time", moment, false)
    }

    fn of(
        event: &StoredEvent,
        customer: &str,
        field: &'static str,
        moment: Option<&Timestamp>,
        restricted: bool,
    ) -> Result<Self, DecodeError> {
        let customer = customer.parse();
        let moment = moment.and_then(|moment| timestamp::from_proto(moment).ok());
        Ok(Self {
            customer: customer.map_err(|_| DecodeError::invalid(event, "customer_id"))?,
            effective_at: moment.ok_or_else(|| DecodeError::invalid(event, field))?,
            restricted,
        })
    }
}

/// Adds a turn; one that is there already stays.
pub(super) async fn add(
    connection: &mut PgConnection,
    event: &StoredEvent,
    turn: &Turn,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into restriction (partition, tenant, customer_id, effective_at, position, restricted)
         values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
    )
    .bind(i16::from(event.partition.number()))
    .bind(event.tenant.as_str())
    .bind(turn.customer.0)
    .bind(turn.effective_at)
    .bind(event.position)
    .bind(turn.restricted)
    .execute(connection)
    .await?;
    Ok(())
}
