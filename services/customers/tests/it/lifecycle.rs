//! Where a customer stands in its life with the business.

use contracts::customers::v1 as pb;
use testing::refusal::{preconditions, refused};
use time::{Duration, OffsetDateTime, macros::datetime};
use tonic::Code;

use crate::{
    requests::{change_stage, get, moment, register, registration},
    stack::{Client, Stack},
};

const FIRST: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

async fn live(client: &mut Client, id: &str, stage: pb::LifecycleStage, reason: &str, day: i64) {
    let request = pb::ChangeLifecycleStageRequest {
        effective_time: moment(FIRST + Duration::days(day)),
        ..change_stage(id, stage, reason)
    };
    client.change_lifecycle_stage(request).await.unwrap();
}

async fn registered(client: &mut Client) -> String {
    let request = pb::RegisterCustomerRequest {
        registered_time: moment(FIRST),
        ..registration()
    };
    register(client, request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_is_told_and_can_be_asked_for_as_of_any_moment() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = registered(&mut client).await;
    live(
        &mut client,
        &id,
        pb::LifecycleStage::Active,
        "first-purchase",
        10,
    )
    .await;
    live(&mut client, &id, pb::LifecycleStage::Lost, "price", 20).await;
    live(
        &mut client,
        &id,
        pb::LifecycleStage::WonBack,
        "spring-offer",
        30,
    )
    .await;
    let now = get(&mut client, &id).await.lifecycle.unwrap();
    assert_eq!(now.stage(), pb::LifecycleStage::WonBack);
    assert_eq!(now.reason, "spring-offer");
    assert_eq!(now.since_time, moment(FIRST + Duration::days(30)));
    for (day, stage) in [
        (0, pb::LifecycleStage::Prospect),
        (9, pb::LifecycleStage::Prospect),
        (10, pb::LifecycleStage::Active),
        (29, pb::LifecycleStage::Lost),
    ] {
        let request = pb::GetCustomerRequest {
            customer_id: id.clone(),
            as_of: moment(FIRST + Duration::days(day)),
        };
        let answer = client.get_customer(request).await.unwrap().into_inner();
        let then = answer.customer.unwrap().lifecycle.unwrap();
        assert_eq!(then.stage(), stage, "on day {day}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_stage_that_cannot_follow() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = registered(&mut client).await;
    let back = change_stage(&id, pb::LifecycleStage::WonBack, "hope");
    let status = refused(
        &stack,
        Code::FailedPrecondition,
        "STAGE_NOT_REACHABLE",
        client.change_lifecycle_stage(back),
    )
    .await;
    assert_eq!(preconditions(&status), [format!("customer/{id}")]);
    let lost = change_stage(&id, pb::LifecycleStage::Lost, "");
    refused(
        &stack,
        Code::FailedPrecondition,
        "REASON_REQUIRED",
        client.change_lifecycle_stage(lost),
    )
    .await;
    let early = pb::ChangeLifecycleStageRequest {
        effective_time: moment(FIRST - Duration::days(1)),
        ..change_stage(&id, pb::LifecycleStage::Active, "")
    };
    refused(
        &stack,
        Code::FailedPrecondition,
        "OUT_OF_ORDER",
        client.change_lifecycle_stage(early),
    )
    .await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_twice_moves_a_customer_once() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = registered(&mut client).await;
    let request = pb::ChangeLifecycleStageRequest {
        request_id: "move-1".to_owned(),
        ..change_stage(&id, pb::LifecycleStage::Active, "first-purchase")
    };
    let first = client
        .change_lifecycle_stage(request.clone())
        .await
        .unwrap();
    let written = stack.written().await;
    let again = client
        .change_lifecycle_stage(request.clone())
        .await
        .unwrap();
    assert_eq!(again.into_inner(), first.into_inner());
    assert_eq!(stack.written().await, written);
    let other = pb::ChangeLifecycleStageRequest {
        reason: "because".to_owned(),
        ..request
    };
    let status = client.change_lifecycle_stage(other).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    stack.stop().await;
}
