//! From the customers log: who was merged into whom.

use std::collections::BTreeMap;

use aggregate::{CustomerId, Partition, TenantId};
use contracts::customers::v1::{
    CustomerAbsorbed, CustomerMerged, CustomerSeparated, CustomerUnmerged,
};
use event_log::{DecodeError, StoredEvent};
use sqlx::PgConnection;
use uuid::Uuid;

use super::customer;

pub(super) const MERGED: &str = "vefa.customers.v1.CustomerMerged";
pub(super) const UNMERGED: &str = "vefa.customers.v1.CustomerUnmerged";
pub(super) const ABSORBED: &str = "vefa.customers.v1.CustomerAbsorbed";
pub(super) const SEPARATED: &str = "vefa.customers.v1.CustomerSeparated";

type Key = (Partition, TenantId, CustomerId);

/// What a batch of events says of mergers. Of several turns the last one stands.
#[derive(Default)]
pub(super) struct Turns {
    survivors: BTreeMap<Key, Option<CustomerId>>,
    absorbed: BTreeMap<(Key, CustomerId), bool>,
}

impl Turns {
    /// Takes over an event of one of the types above.
    pub(super) fn add(&mut self, event: &StoredEvent) -> Result<(), DecodeError> {
        match event.type_.as_str() {
            MERGED => {
                let message: CustomerMerged = event.message()?;
                let survivor = customer(event, &message.surviving_customer_id)?;
                let key = key(event, &message.customer_id)?;
                self.survivors.insert(key, Some(survivor));
            }
            UNMERGED => {
                let message: CustomerUnmerged = event.message()?;
                self.survivors
                    .insert(key(event, &message.customer_id)?, None);
            }
            ABSORBED => {
                let message: CustomerAbsorbed = event.message()?;
                let key = key(event, &message.customer_id)?;
                let also = &message.also_absorbed_customer_ids;
                self.count(event, &key, &message.absorbed_customer_id, also, true)?;
            }
            SEPARATED => {
                let message: CustomerSeparated = event.message()?;
                let key = key(event, &message.customer_id)?;
                let also = &message.also_separated_customer_ids;
                self.count(event, &key, &message.separated_customer_id, also, false)?;
            }
            _ => return Err(DecodeError::unknown(event)),
        }
        Ok(())
    }

    fn count(
        &mut self,
        event: &StoredEvent,
        key: &Key,
        one: &str,
        also: &[String],
        counts: bool,
    ) -> Result<(), DecodeError> {
        for other in std::iter::once(one).chain(also.iter().map(String::as_str)) {
            let other = customer(event, other)?;
            self.absorbed.insert((key.clone(), other), counts);
        }
        Ok(())
    }

    /// Writes what a batch says, row by row: mergers are rare.
    pub(super) async fn write(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        for ((partition, tenant, customer), survivor) in self.survivors {
            sqlx::query(
                "update known_customer set survivor_id = $4 where partition = $1 and tenant = $2 and customer_id = $3",
            )
            .bind(i16::from(partition.number()))
            .bind(tenant.as_str())
            .bind(customer.0)
            .bind(survivor.map(|survivor| survivor.0))
            .execute(&mut *connection)
            .await?;
        }
        let mut by_key: BTreeMap<Key, [Vec<Uuid>; 2]> = BTreeMap::new();
        for ((key, other), counts) in self.absorbed {
            by_key.entry(key).or_default()[usize::from(counts)].push(other.0);
        }
        for ((partition, tenant, customer), [gone, come]) in by_key {
            // In order and once each, so that rows made anew are the same.
            sqlx::query(
                "update known_customer set absorbed = array(
                    select id from unnest(absorbed || $4::uuid[]) as id except select id from unnest($5::uuid[]) as id order by id
                 )
                 where partition = $1 and tenant = $2 and customer_id = $3",
            )
            .bind(i16::from(partition.number()))
            .bind(tenant.as_str())
            .bind(customer.0)
            .bind(come)
            .bind(gone)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

fn key(event: &StoredEvent, id: &str) -> Result<Key, DecodeError> {
    Ok((event.partition, event.tenant.clone(), customer(event, id)?))
}
