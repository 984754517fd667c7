//! Starting a campaign: once, for a moment that is not in the future.

use contracts::campaigns::v1 as pb;
use testing::{
    refusal::{malformed, refused},
    stack::tenant,
};
use time::{Duration, macros::datetime};
use tonic::Code;
use uuid::Uuid;

use crate::{
    peers::consents,
    requests::{campaign, create, get, moment, run, running, start_as_of, start_now, strangers},
    stack::Stack,
};

#[tokio::test]
async fn a_campaign_decides_for_the_moment_of_its_start() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = stack.segmentation.define(&tenant(), &[]);
    let id = create(&mut client, campaign(segment)).await;
    let before = service::clock::now();
    client.start_campaign(start_now(&id)).await.unwrap();
    let after = service::clock::now();
    let campaign = running(&mut client, &id).await;
    let effective_at = event_log::timestamp::from_proto(&campaign.effective_time.unwrap()).unwrap();
    assert!((before..=after).contains(&effective_at), "{effective_at}");
    assert!(!campaign.retrospective);
    assert_eq!((campaign.decided, campaign.segment_rule_version), (0, 3));
    stack.stop().await;
}

#[tokio::test]
async fn a_campaign_is_started_once() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = stack.segmentation.define(&tenant(), &[]);
    let campaign = run(&mut client, campaign(segment)).await;
    let call = client.start_campaign(start_now(&campaign.campaign_id));
    refused(&stack, Code::FailedPrecondition, "ALREADY_STARTED", call).await;
    let call = client.start_campaign(start_as_of(
        &campaign.campaign_id,
        datetime!(2020-01-01 0:00 UTC),
    ));
    refused(&stack, Code::FailedPrecondition, "ALREADY_STARTED", call).await;
    stack.stop().await;
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_time() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = stack.segmentation.define(&tenant(), &[]);
    let id = create(&mut client, campaign(segment)).await;
    let request = pb::StartCampaignRequest {
        request_id: "go".to_owned(),
        ..start_now(&id)
    };
    let first = client
        .start_campaign(request.clone())
        .await
        .unwrap()
        .into_inner();
    let started = running(&mut client, &id).await;
    let again = client
        .start_campaign(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, first);
    assert_eq!(get(&mut client, &id).await, started);

    let other = pb::StartCampaignRequest {
        retrospective_as_of: moment(datetime!(2020-01-01 0:00 UTC)),
        ..request
    };
    let call = client.start_campaign(other);
    refused(
        &stack,
        Code::AlreadyExists,
        "REQUEST_ID_REUSED_WITH_OTHER_CONTENT",
        call,
    )
    .await;
    stack.stop().await;
}

#[tokio::test]
async fn a_malformed_start_is_refused_at_the_field() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let id = create(
        &mut client,
        campaign(stack.segmentation.define(&tenant(), &[])),
    )
    .await;
    let mut no_moment = start_as_of(&id, datetime!(2020-01-01 0:00 UTC));
    no_moment.retrospective_as_of.as_mut().unwrap().nanos = -1;
    let cases = [
        ("campaign_id", start_now("")),
        ("campaign_id", start_now("spring")),
        ("retrospective_as_of", no_moment),
        (
            "retrospective_as_of",
            start_as_of(&id, service::clock::now() + Duration::minutes(1)),
        ),
    ];
    for (field, request) in cases {
        let call = client.start_campaign(request);
        malformed(&stack, &[field], call).await;
    }
    assert_eq!(
        get(&mut client, &id).await.state(),
        pb::CampaignState::Draft
    );
    stack.stop().await;
}

#[tokio::test]
async fn what_is_no_campaign_of_the_tenant_is_not_found() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let customers = strangers(1);
    consents(
        &stack.customers,
        customers[0],
        datetime!(2026-01-01 0:00 UTC),
    )
    .await;
    let segment = stack.segmentation.define(&tenant(), &customers);
    let campaign = run(&mut client, campaign(segment)).await;
    let mut other = stack.client_of("other", &["campaigns.*"]);
    let call = other.start_campaign(start_now(&campaign.campaign_id));
    refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    // The customer has a stream in the same log.
    for id in [Uuid::new_v4(), customers[0].0] {
        let call = client.start_campaign(start_now(&id.to_string()));
        refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    }
    stack.stop().await;
}
