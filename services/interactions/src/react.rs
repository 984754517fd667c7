//! What follows from the customers log: who exists, who is one and the same, and whose key goes.

mod mergers;

use aggregate::{CustomerId, Partition};
use contracts::customers::v1::{CustomerErased, CustomerRegistered};
use event_log::{
    DecodeError, Projection, ProjectionError, StoredEvent, Subject, Table, erase, timestamp,
};
use prost_types::Timestamp;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Event by which a customer begins to exist.
const CUSTOMER_REGISTERED: &str = "vefa.customers.v1.CustomerRegistered";
/// Event by which everything personal of a customer goes.
const CUSTOMER_ERASED: &str = "vefa.customers.v1.CustomerErased";
/// What else happens to customers; whether they exist does not depend on it.
const IRRELEVANT: [&str; 16] = [
    "vefa.customers.v1.ProfileUpdated",
    "vefa.customers.v1.IdentifierAdded",
    "vefa.customers.v1.IdentifierClaimed",
    "vefa.customers.v1.IdentifierReleased",
    "vefa.customers.v1.IdentifierRemoved",
    "vefa.customers.v1.ConsentRecorded",
    "vefa.customers.v1.ConsentWithdrawn",
    "vefa.customers.v1.OwnerAssigned",
    "vefa.customers.v1.OwnerReleased",
    "vefa.customers.v1.TeamAssigned",
    "vefa.customers.v1.LifecycleStageChanged",
    "vefa.customers.v1.RelationAdded",
    "vefa.customers.v1.RelationEnded",
    "vefa.customers.v1.DescendantAdded",
    "vefa.customers.v1.ProcessingRestricted",
    "vefa.customers.v1.RestrictionLifted",
];

/// Keeps the rows of `known_customer`.
#[derive(Clone, Debug)]
pub(crate) struct KnownCustomersProjection;

#[derive(Default)]
struct Columns {
    partition: Vec<i16>,
    tenant: Vec<String>,
    customer_id: Vec<Uuid>,
    registered_at: Vec<OffsetDateTime>,
    erased: Vec<Subject>,
    erased_at: Vec<OffsetDateTime>,
    mergers: mergers::Turns,
}

impl Columns {
    fn of(events: &[StoredEvent]) -> Result<Self, DecodeError> {
        let mut columns = Self::default();
        for event in events {
            match (event.type_.as_str(), event.schema_version) {
                (CUSTOMER_REGISTERED, 1) => columns.register(event)?,
                (CUSTOMER_ERASED, 1) => columns.erase(event)?,
                (
                    mergers::MERGED | mergers::UNMERGED | mergers::ABSORBED | mergers::SEPARATED,
                    1,
                ) => columns.mergers.add(event)?,
                (type_, 1) if IRRELEVANT.contains(&type_) => {}
                _ => return Err(DecodeError::unknown(event)),
            }
        }
        Ok(columns)
    }

    fn register(&mut self, event: &StoredEvent) -> Result<(), DecodeError> {
        let message: CustomerRegistered = event.message()?;
        let registered_at = moment(event, "registered_time", message.registered_time.as_ref())?;
        self.partition.push(event.partition.number().into());
        self.tenant.push(event.tenant.as_str().to_owned());
        self.customer_id
            .push(customer(event, &message.customer_id)?.0);
        self.registered_at.push(registered_at);
        Ok(())
    }

    fn erase(&mut self, event: &StoredEvent) -> Result<(), DecodeError> {
        let message: CustomerErased = event.message()?;
        self.erased.push(Subject {
            tenant: event.tenant.clone(),
            customer: customer(event, &message.customer_id)?,
        });
        self.erased_at
            .push(moment(event, "erased_time", message.erased_time.as_ref())?);
        Ok(())
    }
}

fn customer(event: &StoredEvent, id: &str) -> Result<CustomerId, DecodeError> {
    id.parse()
        .map_err(|_| DecodeError::invalid(event, "customer_id"))
}

fn moment(
    event: &StoredEvent,
    field: &'static str,
    moment: Option<&Timestamp>,
) -> Result<OffsetDateTime, DecodeError> {
    moment
        .and_then(|moment| timestamp::from_proto(moment).ok())
        .ok_or_else(|| DecodeError::invalid(event, field))
}

impl Projection for KnownCustomersProjection {
    fn name(&self) -> &'static str {
        "interactions.known_customers"
    }

    fn tables(&self) -> &'static [Table] {
        const { &[Table::new("known_customer")] }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let columns = Columns::of(events)?;
        // The contacts of somebody who was erased stay, and what was said in them goes with the key.
        erase(connection, &columns.erased).await?;
        columns.write(connection).await?;
        Ok(())
    }
}

impl Columns {
    async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.customer_id.is_empty() {
            sqlx::query(
                "insert into known_customer (partition, tenant, customer_id, registered_at)
                 select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[])
                 on conflict do nothing",
            )
            .bind(self.partition)
            .bind(self.tenant)
            .bind(self.customer_id)
            .bind(self.registered_at)
            .execute(&mut *connection)
            .await?;
        }
        self.mergers.write(connection).await?;
        for (subject, at) in self.erased.iter().zip(self.erased_at) {
            let partition = Partition::of_customer(&subject.tenant, subject.customer);
            sqlx::query(
                "update known_customer set erased_at = $4 where partition = $1 and tenant = $2 and customer_id = $3",
            )
            .bind(i16::from(partition.number()))
            .bind(subject.tenant.as_str())
            .bind(subject.customer.0)
            .bind(at)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}
