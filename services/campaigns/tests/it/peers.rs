//! What the services that the one under test follows record, as the test has it.

use aggregate::{CustomerId, TenantId};
use contracts::{customers::v1 as customers, interactions::v1 as interactions};
use event_log::{Append, EventLog, NewEvent, Stream, timestamp};
use prost::{Message, Name};
use testing::stack::tenant;
use time::OffsetDateTime;
use uuid::Uuid;

/// An event as it was appended.
pub(crate) struct Appended {
    pub(crate) event_id: Uuid,
    pub(crate) token: String,
}

async fn append<M: Message + Name>(
    log: &EventLog,
    stream: Stream,
    type_: &'static str,
    message: &M,
    at: OffsetDateTime,
) -> Appended {
    assert_eq!(M::full_name(), type_);
    let event_id = Uuid::now_v7();
    let versions = log.read_stream(&stream).await.unwrap().len();
    let append = Append {
        stream,
        expected_version: i64::try_from(versions).unwrap(),
        events: vec![NewEvent {
            event_id,
            type_,
            schema_version: 1,
            payload: message.encode_to_vec().into(),
            metadata: bytes::Bytes::new(),
            occurred_at: at,
        }],
        new_key: None,
        erases: false,
    };
    let committed = testing::log::append(log, at, vec![append]).await;
    Appended {
        event_id,
        token: committed.token.to_string(),
    }
}

/// A customer of [`tenant`] agrees to be contacted by e-mail for marketing.
pub(crate) async fn consents(log: &EventLog, customer: CustomerId, at: OffsetDateTime) -> Appended {
    consents_to(
        log,
        &tenant(),
        customer,
        customers::Channel::Email,
        customers::Purpose::Marketing,
        at,
    )
    .await
}

pub(crate) async fn consents_to(
    log: &EventLog,
    tenant: &TenantId,
    customer: CustomerId,
    channel: customers::Channel,
    purpose: customers::Purpose,
    at: OffsetDateTime,
) -> Appended {
    let recorded = customers::ConsentRecorded {
        customer_id: customer.to_string(),
        channel: channel.into(),
        purpose: purpose.into(),
        given_time: Some(timestamp::to_proto(at)),
        ..customers::ConsentRecorded::default()
    };
    let stream = Stream::of_customer(tenant, customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.ConsentRecorded",
        &recorded,
        at,
    )
    .await
}

/// A customer of [`tenant`] agrees to marketing by e-mail until a moment.
pub(crate) async fn consents_until(
    log: &EventLog,
    customer: CustomerId,
    at: OffsetDateTime,
    until: OffsetDateTime,
) -> Appended {
    let recorded = customers::ConsentRecorded {
        customer_id: customer.to_string(),
        channel: customers::Channel::Email.into(),
        purpose: customers::Purpose::Marketing.into(),
        given_time: Some(timestamp::to_proto(at)),
        expire_time: Some(timestamp::to_proto(until)),
        ..customers::ConsentRecorded::default()
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.ConsentRecorded",
        &recorded,
        at,
    )
    .await
}

/// A customer of [`tenant`] withdraws what [`consents`] gave.
pub(crate) async fn withdraws(
    log: &EventLog,
    customer: CustomerId,
    at: OffsetDateTime,
) -> Appended {
    let withdrawn = customers::ConsentWithdrawn {
        customer_id: customer.to_string(),
        channel: customers::Channel::Email.into(),
        purpose: customers::Purpose::Marketing.into(),
        withdrawn_time: Some(timestamp::to_proto(at)),
        ..customers::ConsentWithdrawn::default()
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.ConsentWithdrawn",
        &withdrawn,
        at,
    )
    .await
}

/// Processing of what is known of a customer of [`tenant`] is restricted.
pub(crate) async fn is_restricted(
    log: &EventLog,
    customer: CustomerId,
    at: OffsetDateTime,
) -> Appended {
    let restricted = customers::ProcessingRestricted {
        customer_id: customer.to_string(),
        reason: customers::RestrictionReason::LegalClaims.into(),
        restricted_time: Some(timestamp::to_proto(at)),
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.ProcessingRestricted",
        &restricted,
        at,
    )
    .await
}

/// And no longer.
pub(crate) async fn restriction_lifted(
    log: &EventLog,
    customer: CustomerId,
    at: OffsetDateTime,
) -> Appended {
    let lifted = customers::RestrictionLifted {
        customer_id: customer.to_string(),
        lifted_time: Some(timestamp::to_proto(at)),
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.RestrictionLifted",
        &lifted,
        at,
    )
    .await
}

/// A customer of [`tenant`] is erased.
pub(crate) async fn is_erased(
    log: &EventLog,
    customer: CustomerId,
    at: OffsetDateTime,
) -> Appended {
    let erased = customers::CustomerErased {
        customer_id: customer.to_string(),
        reason: customers::ErasureReason::SubjectRequest.into(),
        erased_time: Some(timestamp::to_proto(at)),
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(log, stream, "vefa.customers.v1.CustomerErased", &erased, at).await
}

fn texts(customers: &[CustomerId]) -> Vec<String> {
    customers.iter().map(CustomerId::to_string).collect()
}

/// A customer of [`tenant`] is merged into another, as its own log tells.
pub(crate) async fn is_merged(
    log: &EventLog,
    customer: CustomerId,
    survivor: CustomerId,
    at: OffsetDateTime,
) -> Appended {
    let merged = customers::CustomerMerged {
        customer_id: customer.to_string(),
        surviving_customer_id: survivor.to_string(),
        merged_time: Some(timestamp::to_proto(at)),
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(log, stream, "vefa.customers.v1.CustomerMerged", &merged, at).await
}

/// And that is undone.
pub(crate) async fn is_unmerged(
    log: &EventLog,
    customer: CustomerId,
    survivor: CustomerId,
    at: OffsetDateTime,
) -> Appended {
    let unmerged = customers::CustomerUnmerged {
        customer_id: customer.to_string(),
        surviving_customer_id: survivor.to_string(),
        unmerged_time: Some(timestamp::to_proto(at)),
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.CustomerUnmerged",
        &unmerged,
        at,
    )
    .await
}

/// A customer of [`tenant`] goes on for others, the first of whom was merged into it.
pub(crate) async fn absorbs(
    log: &EventLog,
    customer: CustomerId,
    others: &[CustomerId],
    at: OffsetDateTime,
) -> Appended {
    let absorbed = customers::CustomerAbsorbed {
        customer_id: customer.to_string(),
        absorbed_customer_id: others[0].to_string(),
        also_absorbed_customer_ids: texts(&others[1..]),
        absorbed_time: Some(timestamp::to_proto(at)),
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.CustomerAbsorbed",
        &absorbed,
        at,
    )
    .await
}

/// And does not any more.
pub(crate) async fn is_separated(
    log: &EventLog,
    customer: CustomerId,
    others: &[CustomerId],
    at: OffsetDateTime,
) -> Appended {
    let separated = customers::CustomerSeparated {
        customer_id: customer.to_string(),
        separated_customer_id: others[0].to_string(),
        also_separated_customer_ids: texts(&others[1..]),
        separated_time: Some(timestamp::to_proto(at)),
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.CustomerSeparated",
        &separated,
        at,
    )
    .await
}

/// A consent to e-mail for marketing stands with a customer of [`tenant`] because another has it, who was merged into it.
pub(crate) async fn consents_come(
    log: &EventLog,
    customer: CustomerId,
    original: CustomerId,
    at: OffsetDateTime,
) -> Appended {
    let recorded = customers::ConsentRecorded {
        customer_id: customer.to_string(),
        channel: customers::Channel::Email.into(),
        purpose: customers::Purpose::Marketing.into(),
        given_time: Some(timestamp::to_proto(at)),
        original_customer_id: original.to_string(),
        ..customers::ConsentRecorded::default()
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.ConsentRecorded",
        &recorded,
        at,
    )
    .await
}

/// Something happens to a customer that does not concern campaigns.
pub(crate) async fn registers(
    log: &EventLog,
    customer: CustomerId,
    at: OffsetDateTime,
) -> Appended {
    let registered = customers::CustomerRegistered {
        customer_id: customer.to_string(),
        ..customers::CustomerRegistered::default()
    };
    let stream = Stream::of_customer(&tenant(), customer).without_subject();
    append(
        log,
        stream,
        "vefa.customers.v1.CustomerRegistered",
        &registered,
        at,
    )
    .await
}

/// A customer of [`tenant`] buys for an amount in minor units.
pub(crate) async fn buys(
    log: &EventLog,
    customer: CustomerId,
    at: OffsetDateTime,
    total_minor: i64,
    currency: &str,
) -> Appended {
    let id = Uuid::new_v4();
    let recorded = interactions::PurchaseRecorded {
        purchase_id: id.to_string(),
        customer_id: customer.to_string(),
        occurred_time: Some(timestamp::to_proto(at)),
        currency_code: currency.to_owned(),
        total_minor,
        ..interactions::PurchaseRecorded::default()
    };
    let stream =
        Stream::about_customer(&tenant(), customer, aggregate::StreamId(id)).without_subject();
    append(
        log,
        stream,
        "vefa.interactions.v1.PurchaseRecorded",
        &recorded,
        at,
    )
    .await
}

/// A customer of [`tenant`] gives goods for an amount in minor units back.
pub(crate) async fn returns(
    log: &EventLog,
    customer: CustomerId,
    at: OffsetDateTime,
    total_minor: i64,
) -> Appended {
    let id = Uuid::new_v4();
    let recorded = interactions::ReturnRecorded {
        purchase_id: id.to_string(),
        customer_id: customer.to_string(),
        occurred_time: Some(timestamp::to_proto(at)),
        currency_code: "TRY".to_owned(),
        total_minor,
        ..interactions::ReturnRecorded::default()
    };
    let stream =
        Stream::about_customer(&tenant(), customer, aggregate::StreamId(id)).without_subject();
    append(
        log,
        stream,
        "vefa.interactions.v1.ReturnRecorded",
        &recorded,
        at,
    )
    .await
}

/// A contact without a purchase.
pub(crate) async fn calls(log: &EventLog, customer: CustomerId, at: OffsetDateTime) -> Appended {
    let id = Uuid::new_v4();
    let recorded = interactions::TouchpointRecorded {
        touchpoint_id: id.to_string(),
        customer_id: customer.to_string(),
        occurred_time: Some(timestamp::to_proto(at)),
        ..interactions::TouchpointRecorded::default()
    };
    let stream =
        Stream::about_customer(&tenant(), customer, aggregate::StreamId(id)).without_subject();
    append(
        log,
        stream,
        "vefa.interactions.v1.TouchpointRecorded",
        &recorded,
        at,
    )
    .await
}
