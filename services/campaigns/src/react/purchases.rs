//! Purchases and returns, by which outcomes are measured.

use aggregate::CustomerId;
use contracts::interactions::v1::{PurchaseRecorded, ReturnRecorded};
use event_log::{DecodeError, Projection, ProjectionError, StoredEvent, Table, timestamp};
use prost_types::Timestamp;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

const PURCHASE: &str = "vefa.interactions.v1.PurchaseRecorded";
const RETURN: &str = "vefa.interactions.v1.ReturnRecorded";
/// No money changes hands.
const TOUCHPOINT: &str = "vefa.interactions.v1.TouchpointRecorded";

/// Column `kind` of a purchase.
pub(crate) const KIND_PURCHASE: i16 = 1;
/// Column `kind` of a return.
const KIND_RETURN: i16 = 2;

/// Keeps the rows of `purchase`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PurchasesProjection;

#[derive(Default)]
struct Columns {
    partition: Vec<i16>,
    tenant: Vec<String>,
    customer_id: Vec<Uuid>,
    occurred_at: Vec<OffsetDateTime>,
    purchase_id: Vec<Uuid>,
    kind: Vec<i16>,
    amount_minor: Vec<i64>,
    currency_code: Vec<String>,
}

struct Sale {
    customer_id: String,
    occurred_time: Option<Timestamp>,
    kind: i16,
    amount_minor: i64,
    currency_code: String,
}

fn sale(event: &StoredEvent) -> Result<Option<Sale>, DecodeError> {
    match (event.type_.as_str(), event.schema_version) {
        (PURCHASE, 1) => {
            let message: PurchaseRecorded = event.message()?;
            Ok(Some(Sale {
                customer_id: message.customer_id,
                occurred_time: message.occurred_time,
                kind: KIND_PURCHASE,
                amount_minor: message.total_minor,
                currency_code: message.currency_code,
            }))
        }
        (RETURN, 1) => {
            let message: ReturnRecorded = event.message()?;
            Ok(Some(Sale {
                customer_id: message.customer_id,
                occurred_time: message.occurred_time,
                kind: KIND_RETURN,
                amount_minor: message.total_minor,
                currency_code: message.currency_code,
            }))
        }
        (TOUCHPOINT, 1) => Ok(None),
        _ => Err(DecodeError::unknown(event)),
    }
}

impl Columns {
    fn add(&mut self, event: &StoredEvent, sale: Sale) -> Result<(), DecodeError> {
        let invalid = |field| DecodeError::invalid(event, field);
        let customer: CustomerId = sale
            .customer_id
            .parse()
            .map_err(|_| invalid("customer_id"))?;
        let occurred_at = sale
            .occurred_time
            .and_then(|moment| timestamp::from_proto(&moment).ok())
            .ok_or_else(|| invalid("occurred_time"))?;
        self.partition.push(event.partition.number().into());
        self.tenant.push(event.tenant.as_str().to_owned());
        self.customer_id.push(customer.0);
        self.occurred_at.push(occurred_at);
        // A purchase is the only event of its stream.
        self.purchase_id.push(event.stream_id.0);
        self.kind.push(sale.kind);
        self.amount_minor.push(sale.amount_minor);
        self.currency_code.push(sale.currency_code);
        Ok(())
    }
}

impl Projection for PurchasesProjection {
    fn name(&self) -> &'static str {
        "campaigns.purchases"
    }

    fn tables(&self) -> &'static [Table] {
        const { &[Table::new("purchase")] }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let mut columns = Columns::default();
        for event in events {
            if let Some(sale) = sale(event)? {
                columns.add(event, sale)?;
            }
        }
        if columns.tenant.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into purchase (partition, tenant, customer_id, occurred_at, purchase_id, kind, amount_minor, currency_code)
             select * from unnest($1::smallint[], $2::text[], $3::uuid[], $4::timestamptz[], $5::uuid[], $6::smallint[],
                $7::bigint[], $8::text[])
             on conflict do nothing",
        )
        .bind(columns.partition)
        .bind(columns.tenant)
        .bind(columns.customer_id)
        .bind(columns.occurred_at)
        .bind(columns.purchase_id)
        .bind(columns.kind)
        .bind(columns.amount_minor)
        .bind(columns.currency_code)
        .execute(connection)
        .await?;
        Ok(())
    }
}
