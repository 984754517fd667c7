//! The log service that stands beside every service: what it refuses, and what it tells of an erasure.

use contracts::common::v1 as pb;
use testing::{
    refusal::{malformed, refused},
    stack::TENANT,
};
use tonic::Code;
use uuid::Uuid;

use crate::{
    requests::{erase, register, registration},
    stack::{LogClient, Stack},
};

fn of_erasure(customer_id: &str) -> pb::GetErasureRequest {
    pb::GetErasureRequest {
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
