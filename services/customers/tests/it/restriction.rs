//! Restriction of processing: seen, told, lifted, and in the way of an erasure.

use contracts::customers::v1 as pb;
use service::clock;
use testing::refusal::{malformed, preconditions, refused};
use time::Duration;
use tonic::Code;

use crate::{
    requests::{erase, get, lift, list_changes, moment, register, registration, restrict},
    stack::Stack,
};

const CLAIMS: pb::RestrictionReason = pb::RestrictionReason::LegalClaims;

#[tokio::test(flavor = "multi_thread")]
async fn processing_is_restricted_until_that_is_lifted() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    assert_eq!(get(&mut client, &id).await.restriction, None);
    let restricted = client.restrict_processing(restrict(&id, CLAIMS)).await;
    assert_eq!(restricted.unwrap().into_inner().etag, "2");
    let restriction = get(&mut client, &id).await.restriction.unwrap();
    assert_eq!(restriction.reason(), CLAIMS);
    let lifted = client.lift_restriction(lift(&id)).await.unwrap();
    assert_eq!(lifted.into_inner().etag, "3");
    assert_eq!(get(&mut client, &id).await.restriction, None);
    let then = pb::GetCustomerRequest {
        customer_id: id.clone(),
        as_of: restriction.since_time,
    };
    let then = client.get_customer(then).await.unwrap().into_inner();
    assert_eq!(then.customer.unwrap().restriction, Some(restriction));
    let changes = client.list_changes(list_changes(&id)).await.unwrap();
    let paths: Vec<_> = changes.into_inner().changes[1]
        .fields
        .iter()
        .map(|field| field.path.clone())
        .collect();
    assert_eq!(paths, ["restriction.reason", "restriction.since_time"]);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_be_kept_is_erased_by_legal_order_alone() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    client
        .restrict_processing(restrict(&id, CLAIMS))
        .await
        .unwrap();
    let status = refused(
        &stack,
        Code::FailedPrecondition,
        "PROCESSING_RESTRICTED",
        client.erase_customer(erase(&id)),
    )
    .await;
    assert_eq!(preconditions(&status), [format!("customer/{id}")]);
    let ordered = pb::EraseCustomerRequest {
        reason: pb::ErasureReason::LegalOrder.into(),
        ..erase(&id)
    };
    client.erase_customer(ordered).await.unwrap();
    assert_eq!(get(&mut client, &id).await.restriction, None);
    for call in [
        client
            .clone()
            .restrict_processing(restrict(&id, CLAIMS))
            .await
            .map(drop),
        client.clone().lift_restriction(lift(&id)).await.map(drop),
    ] {
        let refusal = async { call };
        refused(&stack, Code::FailedPrecondition, "CUSTOMER_ERASED", refusal).await;
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_restriction_that_is_malformed_or_out_of_order() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = register(&mut client, registration()).await;
    let wrong = pb::RestrictProcessingRequest {
        customer_id: "x".to_owned(),
        restricted_time: moment(clock::now() + Duration::hours(1)),
        ..pb::RestrictProcessingRequest::default()
    };
    let fields = ["customer_id", "reason", "restricted_time"];
    malformed(&stack, &fields, client.restrict_processing(wrong)).await;
    let wrong = pb::LiftRestrictionRequest {
        customer_id: "x".to_owned(),
        lifted_time: moment(clock::now() + Duration::hours(1)),
        ..pb::LiftRestrictionRequest::default()
    };
    let fields = ["customer_id", "lifted_time"];
    malformed(&stack, &fields, client.lift_restriction(wrong)).await;
    client
        .restrict_processing(restrict(&id, CLAIMS))
        .await
        .unwrap();
    let yesterday = moment(clock::now() - Duration::days(1));
    let early = pb::LiftRestrictionRequest {
        lifted_time: yesterday,
        ..lift(&id)
    };
    refused(
        &stack,
        Code::FailedPrecondition,
        "OUT_OF_ORDER",
        client.lift_restriction(early),
    )
    .await;
    let early = pb::RestrictProcessingRequest {
        restricted_time: yesterday,
        ..restrict(&id, pb::RestrictionReason::ObjectionPending)
    };
    refused(
        &stack,
        Code::FailedPrecondition,
        "OUT_OF_ORDER",
        client.restrict_processing(early),
    )
    .await;
    stack.stop().await;
}
