//! The services that the one under test follows: real logs, relays and servers, whose events the test writes.

use aggregate::{CustomerId, TenantId};
use contracts::{
    common::v1::EventMetadata, customers::v1 as customers, interactions::v1 as interactions,
};
use event_log::{Append, Decision, EventLog, NewEvent, Request, Stream, timestamp};
use prost::{Message, Name};
use service::{Config, Ground, ServiceName};
use sqlx::migrate::Migrator;
use time::OffsetDateTime;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::stack::tenant;

/// Something that runs beside the test.
pub(crate) struct Running {
    shutdown: CancellationToken,
    tasks: JoinSet<Result<(), Box<dyn std::error::Error + Send + Sync>>>,
}

impl Running {
    pub(crate) fn new<Fut, E>(work: impl FnOnce(CancellationToken) -> Fut) -> Self
    where
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let shutdown = CancellationToken::new();
        let work = work(shutdown.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { Ok(work.await?) });
        Self { shutdown, tasks }
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

/// A service that has a log and nothing else.
pub(crate) async fn serve_log(
    config: &Config,
    name: ServiceName,
    listener: TcpListener,
) -> (Running, EventLog) {
    let ground = Ground::open(name, config, Migrator::DEFAULT).await.unwrap();
    let log = ground.log().clone();
    let running = Running::new(|stop| ground.serve(listener, stop, |server| server));
    (running, log)
}

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
    let request = Request {
        tenant: stream.tenant.clone(),
        metadata: EventMetadata::default(),
        now: at,
        idempotency: None,
    };
    let event_id = Uuid::now_v7();
    let versions = log.read_stream(&stream).await.unwrap().len();
    let append = Append {
        stream,
        stream_type: "fact",
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
    };
    let decision = Decision::new([append], &());
    let committed = log
        .transact::<_, _, std::convert::Infallible>(&request, || async { Ok(decision.clone()) })
        .await
        .unwrap();
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
