//! From the log of customers: who was merged into whom. Each of the two tells it by an event of its own, and what each tells is written
//! in its own row, so that the rows do not depend on which comes first.

use aggregate::CustomerId;
use contracts::customers::v1::{
    CustomerAbsorbed, CustomerMerged, CustomerSeparated, CustomerUnmerged,
};
use event_log::{DecodeError, StoredEvent};

use super::{Touch, uuid};
use crate::{evaluate::Which, read_model::mergers::Turns};

pub(super) const CUSTOMER_MERGED: &str = "vefa.customers.v1.CustomerMerged";
pub(super) const CUSTOMER_UNMERGED: &str = "vefa.customers.v1.CustomerUnmerged";
pub(super) const CUSTOMER_ABSORBED: &str = "vefa.customers.v1.CustomerAbsorbed";
pub(super) const CUSTOMER_SEPARATED: &str = "vefa.customers.v1.CustomerSeparated";

/// Whom such events touch, and what they say.
#[derive(Default)]
pub(super) struct Mergers<'a> {
    pub(super) turns: Turns,
    pub(super) touches: Vec<Touch<'a>>,
}

impl<'a> Mergers<'a> {
    /// Takes over an event of one of the types above.
    pub(super) fn add(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        match event.type_.as_str() {
            CUSTOMER_MERGED => self.merged(event),
            CUSTOMER_UNMERGED => self.unmerged(event),
            CUSTOMER_ABSORBED => self.absorbed(event),
            CUSTOMER_SEPARATED => self.separated(event),
            _ => Err(DecodeError::unknown(event)),
        }
    }

    /// Whoever was merged leaves every segment. Who goes on is evaluated because of the facts that come with it: if it has told of
    /// them, because it is the survivor of somebody touched; if not, when it does.
    fn merged(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: CustomerMerged = event.message()?;
        let customer = id(event, "customer_id", &message.customer_id)?;
        let survivor = id(
            event,
            "surviving_customer_id",
            &message.surviving_customer_id,
        )?;
        self.turns.goes_on(
            (event.partition, event.tenant.clone(), customer),
            Some(survivor),
        );
        self.touch(event, customer, true);
        Ok(())
    }

    fn unmerged(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: CustomerUnmerged = event.message()?;
        let customer = id(event, "customer_id", &message.customer_id)?;
        let survivor = id(
            event,
            "surviving_customer_id",
            &message.surviving_customer_id,
        )?;
        self.turns
            .goes_on((event.partition, event.tenant.clone(), customer), None);
        self.touch(event, customer, false);
        self.touch(event, survivor, false);
        Ok(())
    }

    /// Touches those who come too: what is recorded of them at the same moment either is seen here or sees this.
    fn absorbed(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: CustomerAbsorbed = event.message()?;
        let customer = id(event, "customer_id", &message.customer_id)?;
        let come = others(
            event,
            ("absorbed_customer_id", &message.absorbed_customer_id),
            (
                "also_absorbed_customer_ids",
                &message.also_absorbed_customer_ids,
            ),
        )?;
        self.count_with(event, customer, &come, true);
        Ok(())
    }

    fn separated(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: CustomerSeparated = event.message()?;
        let customer = id(event, "customer_id", &message.customer_id)?;
        let gone = others(
            event,
            ("separated_customer_id", &message.separated_customer_id),
            (
                "also_separated_customer_ids",
                &message.also_separated_customer_ids,
            ),
        )?;
        self.count_with(event, customer, &gone, false);
        Ok(())
    }

    fn count_with(
        &mut self,
        event: &'a StoredEvent,
        customer: CustomerId,
        others: &[CustomerId],
        count: bool,
    ) {
        self.touch(event, customer, false);
        for other in others {
            let key = (event.partition, event.tenant.clone(), customer);
            self.turns.counts_with(key, *other, count);
            self.touch(event, *other, false);
        }
    }

    fn touch(&mut self, event: &'a StoredEvent, customer: CustomerId, gone: bool) {
        self.touches.push(Touch {
            event,
            customer,
            backfill: false,
            gone,
            changes: Which::All,
        });
    }
}

fn id(event: &StoredEvent, field: &'static str, text: &str) -> Result<CustomerId, DecodeError> {
    uuid(event, field, text).map(CustomerId)
}

fn others(
    event: &StoredEvent,
    (field, one): (&'static str, &str),
    (also_field, also): (&'static str, &[String]),
) -> Result<Vec<CustomerId>, DecodeError> {
    let also = also.iter().map(|other| id(event, also_field, other));
    std::iter::once(id(event, field, one)).chain(also).collect()
}
