//! The log service that stands beside every service: what it refuses, and what it tells of an erasure.

use contracts::{common::v1 as pb, customers::v1 as customers_pb};
use futures::TryStreamExt as _;
use testing::{
    refusal::{malformed, refused},
    stack::TENANT,
};
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{ayse, email, erase, register, registration},
    stack::{LogClient, Stack},
};

fn of_erasure(customer_id: &str) -> pb::GetErasureRequest {
    pb::GetErasureRequest {
        customer_id: customer_id.to_owned(),
    }
}

fn of_subject(customer_id: &str) -> pb::ExportSubjectRequest {
    pb::ExportSubjectRequest {
        customer_id: customer_id.to_owned(),
    }
}

/// Every call, as `$check` wants it refused.
macro_rules! each_call {
    ($client:expr, |$call:ident| $check:expr) => {{
        let mut client: LogClient = $client;
        {
            let $call = client.read_log(pb::ReadLogRequest::default());
            $check
        }
        {
            let $call = client.get_heads(pb::GetHeadsRequest::default());
            $check
        }
        {
            let $call = client.get_progress(pb::GetProgressRequest::default());
            $check
        }
        {
            let $call = client.get_erasure(of_erasure(&Uuid::from_u128(1).to_string()));
            $check
        }
        {
            let $call = client.export_subject(of_subject(&Uuid::from_u128(1).to_string()));
            $check
        }
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_the_log_without_a_token_or_the_scope() {
    let stack = Stack::start().await;
    let nobody = LogClient::new(stack.channel_without_token());
    each_call!(nobody, |call| {
        let call = async { call.await.map(drop) };
        refused(&stack, Code::Unauthenticated, "TOKEN_MISSING", call).await;
    });
    let writer = LogClient::new(stack.channel_of(TENANT, &["customers.write", "interactions.*"]));
    each_call!(writer, |call| {
        let call = async { call.await.map(drop) };
        refused(&stack, Code::PermissionDenied, "SCOPE_MISSING", call).await;
    });
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_is_no_partition_and_what_is_no_customer() {
    let stack = Stack::start().await;
    let mut client = LogClient::new(stack.channel_of(TENANT, &["customers.read"]));
    let mut reading = client.clone();
    let read = async {
        let request = pb::ReadLogRequest {
            partition: 64,
            ..pb::ReadLogRequest::default()
        };
        reading.read_log(request).await.map(drop)
    };
    malformed(&stack, &["partition"], read).await;
    let mut reading = client.clone();
    let read = async {
        let request = pb::ReadLogRequest {
            after_position: u64::MAX,
            ..pb::ReadLogRequest::default()
        };
        reading.read_log(request).await.map(drop)
    };
    malformed(&stack, &["after_position"], read).await;
    let erasure = client.get_erasure(of_erasure("17"));
    malformed(&stack, &["customer_id"], erasure).await;
    let mut exporter = LogClient::new(stack.channel_of(TENANT, &["customers.export"]));
    let export = async { exporter.export_subject(of_subject("17")).await.map(drop) };
    malformed(&stack, &["customer_id"], export).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_of_erasures_of_its_own_tenant_alone() {
    let stack = Stack::start().await;
    let mut customers = stack.client();
    let id = register(&mut customers, registration()).await;
    let mut own = LogClient::new(stack.channel_of(TENANT, &["customers.read"]));
    let mut other = LogClient::new(stack.channel_of("other", &["customers.read"]));
    let before = own.get_erasure(of_erasure(&id)).await.unwrap();
    assert_eq!(before.into_inner().wiped, []);
    customers.erase_customer(erase(&id)).await.unwrap();
    let told = own.get_erasure(of_erasure(&id)).await.unwrap().into_inner();
    let key = told.wiped.iter().find(|wiped| wiped.what == "data_key");
    assert_eq!(key.map(|key| key.rows), Some(1), "{told:?}");
    let theirs = other.get_erasure(of_erasure(&id)).await.unwrap();
    assert_eq!(theirs.into_inner().wiped, []);
    stack.stop().await;
}

/// Types of the events that are exported, and what was sealed in them.
async fn exported(client: &mut LogClient, id: &str) -> Vec<(String, Vec<(String, String)>)> {
    let answers = client.export_subject(of_subject(id)).await.unwrap();
    let answers: Vec<_> = answers.into_inner().try_collect().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let exported = answers
        .into_iter()
        .map(|answer: pb::ExportSubjectResponse| {
            let event = answer.event.unwrap();
            let opened = answer.opened.iter();
            let opened = opened.map(|field| (field.path.clone(), text(&field.value)));
            let short = event.r#type.rsplit('.').next().unwrap();
            (short.to_owned(), opened.collect())
        });
    exported.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_all_of_one_customer_in_clear_and_nothing_of_others() {
    let stack = Stack::start().await;
    let mut customers = stack.client();
    let request = customers_pb::RegisterCustomerRequest {
        identifiers: vec![email("ayse@example.com")],
        profile: Some(customers_pb::Profile {
            occupation: "mimar".to_owned(),
            ..ayse()
        }),
        ..registration()
    };
    let id = register(&mut customers, request).await;
    let other = register(&mut customers, registration()).await;
    let rights = ["customers.export", "interactions.read"];
    let mut exporter = LogClient::new(stack.channel_of(TENANT, &rights));
    let mut stranger = LogClient::new(stack.channel_of("other", &rights));
    let field = |path: &str, value: &str| (path.to_owned(), value.to_owned());
    let names = [field("given_name", "Ayşe"), field("family_name", "Yılmaz")];
    let registered = |more: &[(String, String)]| {
        let opened = [&names[..], more].concat();
        ("CustomerRegistered".to_owned(), opened)
    };
    let expected = [
        registered(&[field("details.occupation", "mimar")]),
        (
            "IdentifierAdded".to_owned(),
            vec![field("value", "ayse@example.com")],
        ),
    ];
    let found = exported(&mut exporter, &id).await;
    // The claim has a partition of its own, which may be the customer's.
    let of_customer = found
        .iter()
        .filter(|(type_, _)| type_ != "IdentifierClaimed");
    assert_eq!(of_customer.cloned().collect::<Vec<_>>(), expected);
    assert_eq!(exported(&mut exporter, &other).await, [registered(&[])]);
    assert_eq!(exported(&mut stranger, &id).await, []);
    customers.erase_customer(erase(&id)).await.unwrap();
    let left = exported(&mut exporter, &id).await;
    assert!(left.iter().any(|(type_, _)| type_ == "CustomerErased"));
    assert!(left.iter().all(|(_, opened)| opened.is_empty()), "{left:?}");
    stack.stop().await;
}
