//! What follows from the customers log: who exists.

use contracts::customers::v1::CustomerRegistered;
use event_log::{DecodeError, Projection, ProjectionError, StoredEvent, Table, timestamp};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Event by which a customer begins to exist.
const CUSTOMER_REGISTERED: &str = "vefa.customers.v1.CustomerRegistered";
/// What else happens to customers; whether they exist does not depend on it.
const IRRELEVANT: [&str; 12] = [
    "vefa.customers.v1.ProfileUpdated",
    "vefa.customers.v1.IdentifierAdded",
    "vefa.customers.v1.IdentifierClaimed",
    "vefa.customers.v1.ConsentRecorded",
    "vefa.customers.v1.ConsentWithdrawn",
    "vefa.customers.v1.OwnerAssigned",
    "vefa.customers.v1.OwnerReleased",
    "vefa.customers.v1.TeamAssigned",
    "vefa.customers.v1.LifecycleStageChanged",
    "vefa.customers.v1.RelationAdded",
    "vefa.customers.v1.RelationEnded",
    "vefa.customers.v1.DescendantAdded",
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
}

impl Columns {
    fn of(events: &[StoredEvent]) -> Result<Self, DecodeError> {
        let mut columns = Self::default();
        for event in events {
            match (event.type_.as_str(), event.schema_version) {
                (CUSTOMER_REGISTERED, 1) => columns.add(event)?,
                (type_, 1) if IRRELEVANT.contains(&type_) => {}
                _ => return Err(DecodeError::unknown(event)),
            }
        }
        Ok(columns)
    }

    fn add(&mut self, event: &StoredEvent) -> Result<(), DecodeError> {
        let message: CustomerRegistered = event.message()?;
        let customer_id = Uuid::try_parse(&message.customer_id);
        let registered = message.registered_time.as_ref().map(timestamp::from_proto);
        let Some(Ok(registered_at)) = registered else {
            return Err(DecodeError::invalid(event, "registered_time"));
        };
        self.partition.push(event.partition.number().into());
        self.tenant.push(event.tenant.as_str().to_owned());
        self.customer_id
            .push(customer_id.map_err(|_| DecodeError::invalid(event, "customer_id"))?);
        self.registered_at.push(registered_at);
        Ok(())
    }
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
        if columns.customer_id.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into known_customer (partition, tenant, customer_id, registered_at)
             select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[])
             on conflict do nothing",
        )
        .bind(columns.partition)
        .bind(columns.tenant)
        .bind(columns.customer_id)
        .bind(columns.registered_at)
        .execute(connection)
        .await?;
        Ok(())
    }
}
