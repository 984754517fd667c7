//! What customers and interactions record, appended to their logs as they would.

use aggregate::{CustomerId, StreamId, TenantId};
use contracts::{
    common::v1::EventMetadata, customers::v1 as customers, interactions::v1 as interactions,
};
use event_log::{Append, EventLog, NewEvent, Stream, timestamp};
use prost::Message as _;
use testing::stack::TENANT;
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::stack::Segmentation;

/// Appends in one transaction.
const APPENDS_MAX: usize = 500;
const REGISTERED_AT: OffsetDateTime = datetime!(1996-12-31 12:00 UTC);

/// Something that happened, and where it is recorded.
#[derive(Clone)]
pub(crate) struct Fact {
    pub(crate) event_id: Uuid,
    append: Append,
}

pub(crate) fn customer() -> CustomerId {
    CustomerId(Uuid::new_v4())
}

fn tenant(tenant: &str) -> TenantId {
    TenantId::parse(tenant).unwrap()
}

fn fact(stream: Stream, version: i64, type_: &'static str, message: &impl prost::Message) -> Fact {
    let event_id = Uuid::now_v7();
    let append = Append {
        stream: stream.without_subject(),
        expected_version: version,
        events: vec![NewEvent {
            event_id,
            type_,
            schema_version: 1,
            payload: message.encode_to_vec().into(),
            metadata: EventMetadata::default().encode_to_vec().into(),
            occurred_at: service::clock::now(),
        }],
        new_key: None,
        erases: false,
    };
    Fact { event_id, append }
}

/// A person of a country is registered.
pub(crate) fn registered_in(tenant_name: &str, customer: CustomerId, country: &str) -> Fact {
    let message = customers::CustomerRegistered {
        customer_id: customer.to_string(),
        kind: customers::CustomerKind::Person.into(),
        locale: "tr".to_owned(),
        country_code: country.to_owned(),
        registered_time: Some(timestamp::to_proto(REGISTERED_AT)),
        ..customers::CustomerRegistered::default()
    };
    let stream = Stream::of_customer(&tenant(tenant_name), customer);
    fact(stream, 0, "vefa.customers.v1.CustomerRegistered", &message)
}

pub(crate) fn registered(customer: CustomerId) -> Fact {
    registered_in(TENANT, customer, "TR")
}

/// A customer is erased. `version` is that of the customer's stream before.
pub(crate) fn erased(customer: CustomerId, version: i64) -> Fact {
    let message = customers::CustomerErased {
        customer_id: customer.to_string(),
        reason: customers::ErasureReason::SubjectRequest.into(),
        erased_time: Some(timestamp::to_proto(service::clock::now())),
    };
    let stream = Stream::of_customer(&tenant(TENANT), customer);
    fact(
        stream,
        version,
        "vefa.customers.v1.CustomerErased",
        &message,
    )
}

/// Something that the log of customers tells of a customer. `version` is that of the customer's stream before.
fn told(
    customer: CustomerId,
    version: i64,
    type_: &'static str,
    message: &impl prost::Message,
) -> Fact {
    let stream = Stream::of_customer(&tenant(TENANT), customer);
    fact(stream, version, type_, message)
}

fn texts(customers: &[CustomerId]) -> Vec<String> {
    customers.iter().map(CustomerId::to_string).collect()
}

/// A customer is merged into another, as its own log tells.
pub(crate) fn merged(customer: CustomerId, survivor: CustomerId, version: i64) -> Fact {
    let message = customers::CustomerMerged {
        customer_id: customer.to_string(),
        surviving_customer_id: survivor.to_string(),
        merged_time: Some(timestamp::to_proto(service::clock::now())),
    };
    told(
        customer,
        version,
        "vefa.customers.v1.CustomerMerged",
        &message,
    )
}

/// A customer goes on for others, the first of whom was merged into it and the rest before into that one.
pub(crate) fn absorbed(customer: CustomerId, others: &[CustomerId], version: i64) -> Fact {
    let message = customers::CustomerAbsorbed {
        customer_id: customer.to_string(),
        absorbed_customer_id: others[0].to_string(),
        also_absorbed_customer_ids: texts(&others[1..]),
        absorbed_time: Some(timestamp::to_proto(service::clock::now())),
    };
    told(
        customer,
        version,
        "vefa.customers.v1.CustomerAbsorbed",
        &message,
    )
}

/// The merger of a customer into another is undone, as its own log tells.
pub(crate) fn unmerged(customer: CustomerId, survivor: CustomerId, version: i64) -> Fact {
    let message = customers::CustomerUnmerged {
        customer_id: customer.to_string(),
        surviving_customer_id: survivor.to_string(),
        unmerged_time: Some(timestamp::to_proto(service::clock::now())),
    };
    told(
        customer,
        version,
        "vefa.customers.v1.CustomerUnmerged",
        &message,
    )
}

/// A customer no longer goes on for others, the first of whom had been merged into it.
pub(crate) fn separated(customer: CustomerId, others: &[CustomerId], version: i64) -> Fact {
    let message = customers::CustomerSeparated {
        customer_id: customer.to_string(),
        separated_customer_id: others[0].to_string(),
        also_separated_customer_ids: texts(&others[1..]),
        separated_time: Some(timestamp::to_proto(service::clock::now())),
    };
    told(
        customer,
        version,
        "vefa.customers.v1.CustomerSeparated",
        &message,
    )
}

/// A customer moves to another country; an empty one is cleared. `version` is that of the customer's stream before.
pub(crate) fn moved(customer: CustomerId, country: &str, version: i64) -> Fact {
    let message = customers::ProfileUpdated {
        customer_id: customer.to_string(),
        country_code: Some(country.to_owned()),
        ..customers::ProfileUpdated::default()
    };
    let stream = Stream::of_customer(&tenant(TENANT), customer);
    fact(
        stream,
        version,
        "vefa.customers.v1.ProfileUpdated",
        &message,
    )
}

/// A purchase that can be changed before it is recorded.
pub(crate) fn purchase_message(
    customer: CustomerId,
    at: OffsetDateTime,
    amount_minor: i64,
) -> interactions::PurchaseRecorded {
    interactions::PurchaseRecorded {
        purchase_id: Uuid::new_v4().to_string(),
        customer_id: customer.to_string(),
        source: "shop".to_owned(),
        source_id: Uuid::new_v4().to_string(),
        occurred_time: Some(timestamp::to_proto(at)),
        received_time: Some(timestamp::to_proto(at)),
        currency_code: "USD".to_owned(),
        lines: vec![interactions::PurchaseLine {
            category: "music".to_owned(),
            quantity: 1,
            amount_minor,
            ..interactions::PurchaseLine::default()
        }],
        total_minor: amount_minor,
        margin_minor: None,
        channel: "web".to_owned(),
        backfill: false,
    }
}

fn about(tenant_name: &str, customer_id: &str, id: &str) -> Stream {
    let customer: CustomerId = customer_id.parse().unwrap();
    Stream::about_customer(
        &tenant(tenant_name),
        customer,
        StreamId(id.parse().unwrap()),
    )
}

pub(crate) fn recorded_in(tenant_name: &str, message: &interactions::PurchaseRecorded) -> Fact {
    let stream = about(tenant_name, &message.customer_id, &message.purchase_id);
    fact(stream, 0, "vefa.interactions.v1.PurchaseRecorded", message)
}

pub(crate) fn recorded(message: &interactions::PurchaseRecorded) -> Fact {
    recorded_in(TENANT, message)
}

pub(crate) fn purchased(customer: CustomerId, at: OffsetDateTime, amount_minor: i64) -> Fact {
    recorded(&purchase_message(customer, at, amount_minor))
}

pub(crate) fn returned(customer: CustomerId, at: OffsetDateTime, amount_minor: i64) -> Fact {
    let message = interactions::ReturnRecorded {
        purchase_id: Uuid::new_v4().to_string(),
        customer_id: customer.to_string(),
        occurred_time: Some(timestamp::to_proto(at)),
        received_time: Some(timestamp::to_proto(at)),
        currency_code: "USD".to_owned(),
        total_minor: amount_minor,
        ..interactions::ReturnRecorded::default()
    };
    let stream = about(TENANT, &message.customer_id, &message.purchase_id);
    fact(stream, 0, "vefa.interactions.v1.ReturnRecorded", &message)
}

pub(crate) fn touched(customer: CustomerId, at: OffsetDateTime) -> Fact {
    let message = interactions::TouchpointRecorded {
        touchpoint_id: Uuid::new_v4().to_string(),
        customer_id: customer.to_string(),
        channel: interactions::TouchpointChannel::Email.into(),
        direction: interactions::Direction::Outbound.into(),
        occurred_time: Some(timestamp::to_proto(at)),
        received_time: Some(timestamp::to_proto(at)),
        ..interactions::TouchpointRecorded::default()
    };
    let stream = about(TENANT, &message.customer_id, &message.touchpoint_id);
    fact(
        stream,
        0,
        "vefa.interactions.v1.TouchpointRecorded",
        &message,
    )
}

/// Something that segmentation does not know.
pub(crate) fn unheard_of(customer: CustomerId) -> Fact {
    let stream = about(TENANT, &customer.to_string(), &Uuid::new_v4().to_string());
    fact(stream, 0, "vefa.interactions.v1.Unheard", &())
}

impl Segmentation {
    /// Appends to a log. Facts of one stream must be given one after the other.
    pub(crate) async fn feed(&self, log: &EventLog, facts: &[Fact]) {
        for facts in facts.chunks(APPENDS_MAX) {
            let appends = facts.iter().map(|fact| fact.append.clone()).collect();
            testing::log::append(log, service::clock::now(), appends).await;
        }
    }

    /// Registers a customer of [`TENANT`].
    pub(crate) async fn register(&self) -> CustomerId {
        let customer = customer();
        self.feed(&self.customers, &[registered(customer)]).await;
        customer
    }

    /// Records something about a customer, and gives the id of the event.
    pub(crate) async fn record(&self, fact: Fact) -> Uuid {
        let event_id = fact.event_id;
        self.feed(&self.interactions, &[fact]).await;
        event_id
    }
}
