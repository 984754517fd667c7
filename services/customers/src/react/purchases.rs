//! Purchases, as interactions records them: rows of them, and reviews of the stage of whoever bought.

use std::collections::BTreeMap;

use aggregate::CustomerId;
use contracts::{common::v1::EventMetadata, interactions::v1::PurchaseRecorded};
use event_log::{
    DecodeError, Projection, ProjectionError, StoredEvent, Table, schedule_in, timestamp,
};
use service::clock;
use sqlx::PgConnection;

use super::{
    rows::{self, Key},
    stages::review,
};
use crate::domain::lifecycle::Purchases;

const PURCHASE: &str = "vefa.interactions.v1.PurchaseRecorded";
/// What else happens to customers; none of it is a purchase.
const IRRELEVANT: [&str; 2] = [
    "vefa.interactions.v1.ReturnRecorded",
    "vefa.interactions.v1.TouchpointRecorded",
];

/// Keeps the rows of `customer_purchases`, and has the stage of whoever bought reviewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PurchasesProjection;

/// What a batch tells of a customer.
struct Bought<'a> {
    purchases: Purchases,
    last: &'a StoredEvent,
}

fn bought(events: &[StoredEvent]) -> Result<BTreeMap<Key, Bought<'_>>, DecodeError> {
    let mut all: BTreeMap<Key, Bought<'_>> = BTreeMap::new();
    for event in events {
        match (event.type_.as_str(), event.schema_version) {
            (PURCHASE, 1) => {
                let message: PurchaseRecorded = event.message()?;
                let invalid = |field| DecodeError::invalid(event, field);
                let customer = message.customer_id.parse();
                let customer: CustomerId = customer.map_err(|_| invalid("customer_id"))?;
                let at = message
                    .occurred_time
                    .and_then(|moment| timestamp::from_proto(&moment).ok())
                    .ok_or_else(|| invalid("occurred_time"))?;
                let bought = all
                    .entry((event.tenant.clone(), customer))
                    .or_insert(Bought {
                        purchases: Purchases {
                            first_at: at,
                            last_at: at,
                        },
                        last: event,
                    });
                let Purchases { first_at, last_at } = bought.purchases;
                bought.purchases = Purchases {
                    first_at: first_at.min(at),
                    last_at: last_at.max(at),
                };
                bought.last = event;
            }
            (type_, 1) if IRRELEVANT.contains(&type_) => {}
            _ => return Err(DecodeError::unknown(event)),
        }
    }
    Ok(all)
}

fn spans<'a>(bought: &'a BTreeMap<Key, Bought<'_>>) -> Vec<(&'a Key, Purchases)> {
    let all = bought.iter();
    all.map(|(key, bought)| (key, bought.purchases)).collect()
}

/// The customer is to be reviewed at once, because of what was bought last.
fn due(key: &Key, bought: &Bought<'_>) -> event_log::Timer {
    let (tenant, customer) = key;
    let event = bought.last;
    // Metadata that cannot be read is none: it is for tracing, and nothing depends on it.
    let cause = event.metadata().unwrap_or_default();
    let metadata = EventMetadata {
        causation_id: event.event_id.to_string(),
        ..cause
    };
    review(tenant, *customer, clock::now(), &metadata)
}

impl Projection for PurchasesProjection {
    fn name(&self) -> &'static str {
        "customers.purchases"
    }

    fn tables(&self) -> &'static [Table] {
        const {
            &[Table {
                name: "customer_purchases",
                aside: &["settled"],
            }]
        }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let bought = bought(events)?;
        let settled = rows::settled(connection, bought.keys()).await?;
        let reviews: Vec<_> = bought
            .iter()
            .filter(|(key, _)| !settled.contains(key))
            .map(|(key, bought)| due(key, bought))
            .collect();
        schedule_in(connection, &reviews).await?;
        let unsettled = rows::save(connection, &spans(&bought)).await?;
        // Reviewed at this very moment, before it was known what was bought.
        if unsettled.iter().any(|key| settled.contains(key)) {
            return Err(ProjectionError::Overtaken);
        }
        Ok(())
    }

    async fn derive(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        rows::save(connection, &spans(&bought(events)?)).await?;
        Ok(())
    }

    async fn react(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let reviews: Vec<_> = bought(events)?
            .iter()
            .map(|(key, bought)| due(key, bought))
            .collect();
        schedule_in(connection, &reviews).await?;
        Ok(())
    }
}
