//! The history of consent, and its state at a moment; and what else of a customer the gate looks at.

use std::collections::HashMap;

use aggregate::{CustomerId, Partition, TenantId};
use contracts::customers::v1::{ConsentRecorded, ConsentWithdrawn, CustomerErased};
use event_log::{
    DecodeError, Projection, ProjectionError, StoredEvent, Subject, Table, erase, timestamp, wipe,
};
use prost_types::Timestamp;
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{mergers, restrictions};
use crate::{
    domain::{Channel, Consent, Purpose},
    wire,
};

const RECORDED: &str = "vefa.customers.v1.ConsentRecorded";
const WITHDRAWN: &str = "vefa.customers.v1.ConsentWithdrawn";
const ERASED: &str = "vefa.customers.v1.CustomerErased";
/// What else happens to customers; it does not concern consent.
const IRRELEVANT: [&str; 13] = [
    "vefa.customers.v1.CustomerRegistered",
    "vefa.customers.v1.ProfileUpdated",
    "vefa.customers.v1.IdentifierAdded",
    "vefa.customers.v1.IdentifierClaimed",
    "vefa.customers.v1.IdentifierReleased",
    "vefa.customers.v1.IdentifierRemoved",
    "vefa.customers.v1.OwnerAssigned",
    "vefa.customers.v1.OwnerReleased",
    "vefa.customers.v1.TeamAssigned",
    "vefa.customers.v1.LifecycleStageChanged",
    "vefa.customers.v1.RelationAdded",
    "vefa.customers.v1.RelationEnded",
    "vefa.customers.v1.DescendantAdded",
];

/// Keeps the rows of `consent`, `restriction`, `merger` and `absorbed`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsentsProjection;

/// The state of consent of each of these customers, of all that is known or of what was in effect at a moment (inclusive); what has expired by `now`, or by
/// that moment, is not granted. Customers who never gave any are absent.
pub(crate) async fn consents_at(
    pool: &PgPool,
    tenant: &TenantId,
    customers: &[CustomerId],
    channel: Channel,
    purpose: Purpose,
    moment: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<HashMap<CustomerId, Consent>, sqlx::Error> {
    let partitions: Vec<i16> = customers
        .iter()
        .map(|customer| Partition::of_customer(tenant, *customer).number().into())
        .collect();
    let ids: Vec<Uuid> = customers.iter().map(|customer| customer.0).collect();
    let rows: Vec<(Uuid, bool, Uuid)> = sqlx::query_as(
        "select asked.customer_id, latest.granted and (latest.expires_at is null or latest.expires_at > $7), latest.event_id
         from unnest($2::smallint[], $3::uuid[]) as asked (partition, customer_id)
         cross join lateral (
            select granted, expires_at, event_id from consent
            where partition = asked.partition and tenant = $1 and customer_id = asked.customer_id
                and channel = $4 and purpose = $5 and ($6::timestamptz is null or effective_at <= $6)
            order by effective_at desc, position desc
            limit 1
         ) latest",
    )
    .bind(tenant.as_str())
    .bind(partitions)
    .bind(ids)
    .bind(wire::number(wire::channel(channel)))
    .bind(wire::number(wire::purpose(purpose)))
    .bind(moment)
    .bind(moment.unwrap_or(now))
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(customer, granted, event_id)| (CustomerId(customer), Consent { granted, event_id }))
        .collect())
}

#[derive(Default)]
struct Columns {
    partition: Vec<i16>,
    tenant: Vec<String>,
    customer_id: Vec<Uuid>,
    channel: Vec<i16>,
    purpose: Vec<i16>,
    effective_at: Vec<OffsetDateTime>,
    position: Vec<i64>,
    granted: Vec<bool>,
    event_id: Vec<Uuid>,
    original_customer_id: Vec<Option<Uuid>>,
    expires_at: Vec<Option<OffsetDateTime>>,
}

struct Change {
    customer_id: String,
    channel: i32,
    purpose: i32,
    effective_time: Option<Timestamp>,
    granted: bool,
    original_customer_id: String,
    expire_time: Option<Timestamp>,
}

/// What an event means for consent.
enum Happened {
    Changed(Change),
    Restricted(restrictions::Turn),
    Merged(mergers::Turn),
    Erased(CustomerId),
    Irrelevant,
}

fn happened(event: &StoredEvent) -> Result<Happened, DecodeError> {
    match (event.type_.as_str(), event.schema_version) {
        (RECORDED, 1) => {
            let message: ConsentRecorded = event.message()?;
            Ok(Happened::Changed(Change {
                customer_id: message.customer_id,
                channel: message.channel,
                purpose: message.purpose,
                effective_time: message.given_time,
                granted: true,
                original_customer_id: message.original_customer_id,
                expire_time: message.expire_time,
            }))
        }
        (WITHDRAWN, 1) => {
            let message: ConsentWithdrawn = event.message()?;
            Ok(Happened::Changed(Change {
                customer_id: message.customer_id,
                channel: message.channel,
                purpose: message.purpose,
                effective_time: message.withdrawn_time,
                granted: false,
                original_customer_id: message.original_customer_id,
                expire_time: None,
            }))
        }
        (restrictions::RESTRICTED, 1) => {
            restrictions::Turn::restricted(event).map(Happened::Restricted)
        }
        (restrictions::LIFTED, 1) => restrictions::Turn::lifted(event).map(Happened::Restricted),
        (mergers::MERGED | mergers::UNMERGED | mergers::ABSORBED | mergers::SEPARATED, 1) => {
            mergers::Turn::of(event).map(Happened::Merged)
        }
        (ERASED, 1) => {
            let message: CustomerErased = event.message()?;
            let customer = message.customer_id.parse();
            let customer = customer.map_err(|_| DecodeError::invalid(event, "customer_id"))?;
            Ok(Happened::Erased(customer))
        }
        (type_, 1) if IRRELEVANT.contains(&type_) => Ok(Happened::Irrelevant),
        _ => Err(DecodeError::unknown(event)),
    }
}

impl Columns {
    fn add(&mut self, event: &StoredEvent, change: &Change) -> Result<(), DecodeError> {
        let invalid = |field| DecodeError::invalid(event, field);
        let customer: CustomerId = change
            .customer_id
            .parse()
            .map_err(|_| invalid("customer_id"))?;
        let original: Option<CustomerId> = match change.original_customer_id.as_str() {
            "" => None,
            id => Some(id.parse().map_err(|_| invalid("original_customer_id"))?),
        };
        let channel = wire::parse_channel(change.channel).ok_or_else(|| invalid("channel"))?;
        let purpose = wire::parse_purpose(change.purpose).ok_or_else(|| invalid("purpose"))?;
        let effective_at = change
            .effective_time
            .as_ref()
            .and_then(|moment| timestamp::from_proto(moment).ok())
            .ok_or_else(|| invalid("given_time or withdrawn_time"))?;
        let expires_at = match &change.expire_time {
            None => None,
            Some(moment) => {
                let moment = timestamp::from_proto(moment);
                Some(moment.map_err(|_| invalid("expire_time"))?)
            }
        };
        self.partition.push(event.partition.number().into());
        self.tenant.push(event.tenant.as_str().to_owned());
        self.customer_id.push(customer.0);
        self.channel.push(wire::number(wire::channel(channel)));
        self.purpose.push(wire::number(wire::purpose(purpose)));
        self.effective_at.push(effective_at);
        self.position.push(event.position);
        self.granted.push(change.granted);
        self.event_id.push(event.event_id);
        self.original_customer_id
            .push(original.map(|original| original.0));
        self.expires_at.push(expires_at);
        Ok(())
    }
}

impl Projection for ConsentsProjection {
    fn name(&self) -> &'static str {
        "campaigns.consents"
    }

    fn tables(&self) -> &'static [Table] {
        const {
            &[
                Table::new("consent"),
                Table::new("restriction"),
                Table::new("merger"),
                Table::new("absorbed"),
            ]
        }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let mut columns = Columns::default();
        let (mut erased, mut mergers) = (Vec::new(), Vec::new());
        for event in events {
            match happened(event)? {
                Happened::Changed(change) => columns.add(event, &change)?,
                Happened::Restricted(turn) => restrictions::add(connection, event, &turn).await?,
                Happened::Merged(turn) => mergers.push((event, turn)),
                Happened::Erased(customer) => erased.push(Subject {
                    tenant: event.tenant.clone(),
                    customer,
                }),
                Happened::Irrelevant => {}
            }
        }
        columns.write(connection).await?;
        for (event, turn) in mergers {
            turn.apply(connection, event).await?;
        }
        // Behind what they agreed to in the same batch.
        erase(connection, &erased).await?;
        // Without a row there is no consent, so that the gate lets nobody contact whoever was erased.
        wipe(connection, &["consent", "restriction"], &erased).await?;
        Ok(())
    }
}

impl Columns {
    async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let columns = self;
        if columns.tenant.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into consent (partition, tenant, customer_id, channel, purpose, effective_at, position, granted, event_id,
                original_customer_id, expires_at)
             select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::smallint[], $5::smallint[], $6::timestamptz[],
                $7::bigint[], $8::boolean[], $9::uuid[], $10::uuid[], $11::timestamptz[])
             on conflict do nothing",
        )
        .bind(columns.partition)
        .bind(columns.tenant)
        .bind(columns.customer_id)
        .bind(columns.channel)
        .bind(columns.purpose)
        .bind(columns.effective_at)
        .bind(columns.position)
        .bind(columns.granted)
        .bind(columns.event_id)
        .bind(columns.original_customer_id)
        .bind(columns.expires_at)
        .execute(connection)
        .await?;
        Ok(())
    }
}
