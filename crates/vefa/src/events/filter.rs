//! Which events are wanted.

use std::collections::BTreeSet;

use aggregate::{CustomerId, Partition, TenantId};
use anyhow::Result;
use contracts::common::v1::LoggedEvent;
use event_log::timestamp;
use prost_reflect::{DynamicMessage, Value};
use service::ServiceName;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::serve::parse_name;
use event_json::EventTypes;

/// The wishes that all commands share.
#[derive(clap::Args)]
pub(crate) struct Wanted {
    /// Only of this service; may be given several times. All four when it is not given.
    #[arg(long = "service", value_parser = parse_name)]
    services: Vec<ServiceName>,
    /// Only of this type, such as PurchaseRecorded or its full name; may be given several times.
    #[arg(long = "type")]
    types: Vec<String>,
}

impl Wanted {
    /// Each once, in the order of the installation.
    pub(crate) fn services(&self) -> Vec<ServiceName> {
        let wanted = |name: &ServiceName| self.services.is_empty() || self.services.contains(name);
        ServiceName::ALL.into_iter().filter(wanted).collect()
    }

    /// The full names; none for all types.
    ///
    /// # Errors
    /// When there is no such type.
    pub(crate) fn types(&self, types: &EventTypes) -> Result<BTreeSet<String>> {
        self.types
            .iter()
            .map(|name| Ok(types.full_name(name)?))
            .collect()
    }
}

/// A moment as RFC 3339 writes it.
pub(crate) fn parse_moment(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "not a moment of RFC 3339, such as 2026-01-31T00:00:00Z".to_owned())
}

/// What an event must be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Of one of these types; of any when empty.
    pub(crate) types: BTreeSet<String>,
    /// On the customer's own stream, or with the customer named in its payload.
    pub(crate) customer: Option<CustomerId>,
    /// Recorded at this moment or later.
    pub(crate) since: Option<OffsetDateTime>,
    /// Recorded before this moment.
    pub(crate) until: Option<OffsetDateTime>,
}

impl Filter {
    /// The partitions in which such events can be. What is about a customer lies in the customer's own, but for the claims on identifiers,
    /// which only customers has.
    pub(crate) fn partitions(&self, tenant: &TenantId, service: ServiceName) -> Vec<Partition> {
        match self.customer {
            Some(customer) if service != ServiceName::Customers => {
                vec![Partition::of_customer(tenant, customer)]
            }
            Some(_) | None => Partition::all().collect(),
        }
    }

    /// Whether the event is wanted.
    pub(crate) fn takes(&self, event: &LoggedEvent, types: &EventTypes) -> bool {
        (self.types.is_empty() || self.types.contains(&event.r#type))
            && self.takes_moment(event)
            && self
                .customer
                .is_none_or(|customer| is_about(event, customer, types))
    }

    fn takes_moment(&self, event: &LoggedEvent) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let recorded = event.recorded_time.as_ref();
        let Some(recorded) = recorded.and_then(|moment| timestamp::from_proto(moment).ok()) else {
            return false;
        };
        self.since.is_none_or(|since| recorded >= since)
            && self.until.is_none_or(|until| recorded < until)
    }
}

fn is_about(event: &LoggedEvent, customer: CustomerId, types: &EventTypes) -> bool {
    let id = customer.to_string();
    let names = |message: DynamicMessage| {
        let field = message.get_field_by_name("customer_id");
        field.is_some_and(|field| matches!(field.as_ref(), Value::String(text) if *text == id))
    };
    event.stream_id == id || types.decode(event).is_some_and(names)
}
