//! Creating a campaign: what is kept, what is refused, what a repeat does.

use contracts::{campaigns::v1 as pb, customers::v1 as customers};
use testing::{
    refusal::{malformed, preconditions, refused},
    stack::tenant,
};
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

use crate::{
    requests::{campaign, create, get},
    stack::Stack,
};

#[tokio::test]
async fn a_campaign_is_created_as_a_draft() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = stack.segmentation.define(&tenant(), &[]);
    let mut request = campaign(segment);
    request.holdout_share = 0.25;
    request.seed = u64::MAX;
    let created = client
        .create_campaign(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert!(
        created.consistency_token.starts_with("campaigns.1."),
        "{created:?}"
    );
    let read = client
        .get_campaign(pb::GetCampaignRequest {
            campaign_id: created.campaign_id.clone(),
            consistency_token: created.consistency_token,
        })
        .await
        .unwrap()
        .into_inner();
    let expected = pb::Campaign {
        campaign_id: created.campaign_id,
        name: request.name,
        goal: request.goal,
        segment_id: segment.to_string(),
        offer: request.offer,
        channel: request.channel,
        purpose: customers::Purpose::Marketing.into(),
        holdout_share: 0.25,
        seed: u64::MAX,
        state: pb::CampaignState::Draft.into(),
        ..pb::Campaign::default()
    };
    assert_eq!(read.campaign, Some(expected));
    assert_eq!(stack.written().await, (1, 0));
    stack.stop().await;
}

#[tokio::test]
async fn an_offer_may_cost_nothing() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let mut request = campaign(stack.segmentation.define(&tenant(), &[]));
    request.offer = Some(pb::Offer {
        name: "A call".to_owned(),
        ..pb::Offer::default()
    });
    request.purpose = customers::Purpose::Research.into();
    let id = create(&mut client, request.clone()).await;
    let read = get(&mut client, &id).await;
    assert_eq!((read.offer, read.purpose), (request.offer, request.purpose));
    stack.stop().await;
}

#[tokio::test]
async fn a_malformed_campaign_is_refused_at_the_field() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = stack.segmentation.define(&tenant(), &[]);
    type Change = Box<dyn Fn(&mut pb::CreateCampaignRequest)>;
    fn offer(change: impl Fn(&mut pb::Offer) + 'static) -> Change {
        Box::new(move |request| change(request.offer.as_mut().unwrap()))
    }
    let cases: Vec<(&str, Change)> = vec![
        ("request_id", Box::new(|r| r.request_id = "x".repeat(129))),
        ("name", Box::new(|r| r.name = String::new())),
        ("name", Box::new(|r| r.name = "  ".to_owned())),
        ("name", Box::new(|r| r.name = "ş".repeat(65))),
        ("name", Box::new(|r| r.name = "a\0".to_owned())),
        ("goal", Box::new(|r| r.goal = 0)),
        ("goal", Box::new(|r| r.goal = 99)),
        (
            "segment_id",
            Box::new(|r| r.segment_id = "lapsing".to_owned()),
        ),
        ("offer", Box::new(|r| r.offer = None)),
        ("offer.name", offer(|o| o.name = String::new())),
        (
            "offer.description",
            offer(|o| o.description = "x".repeat(1025)),
        ),
        ("offer.cost_minor", offer(|o| o.cost_minor = -1)),
        (
            "offer.currency_code",
            offer(|o| o.currency_code = String::new()),
        ),
        (
            "offer.currency_code",
            offer(|o| o.currency_code = "ZZZ".to_owned()),
        ),
        (
            "offer.currency_code",
            offer(|o| {
                o.cost_minor = 0;
                o.currency_code = "try".to_owned();
            }),
        ),
        ("channel", Box::new(|r| r.channel = 0)),
        ("channel", Box::new(|r| r.channel = 5)),
        ("purpose", Box::new(|r| r.purpose = 4)),
        ("holdout_share", Box::new(|r| r.holdout_share = 0.91)),
        ("holdout_share", Box::new(|r| r.holdout_share = -0.1)),
        ("holdout_share", Box::new(|r| r.holdout_share = f64::NAN)),
        (
            "holdout_share",
            Box::new(|r| r.holdout_share = f64::INFINITY),
        ),
    ];
    for (field, change) in cases {
        let mut request = campaign(segment);
        change(&mut request);
        let call = client.create_campaign(request);
        malformed(&stack, &[field], call).await;
    }
    let nothing = client.create_campaign(pb::CreateCampaignRequest::default());
    malformed(
        &stack,
        &["name", "goal", "segment_id", "offer", "channel"],
        nothing,
    )
    .await;
    stack.stop().await;
}

#[tokio::test]
async fn a_segment_that_the_tenant_has_not_is_refused() {
    let stack = Stack::start().await;
    let other = aggregate::TenantId::parse("other").unwrap();
    let theirs = stack.segmentation.define(&other, &[]);
    for segment in [Uuid::new_v4(), theirs] {
        let mut client = stack.client();
        let call = client.create_campaign(campaign(segment));
        let status = refused(&stack, Code::FailedPrecondition, "UNKNOWN_SEGMENT", call).await;
        assert_eq!(preconditions(&status), [format!("segment/{segment}")]);
    }
    stack.stop().await;
}

#[tokio::test]
async fn without_the_segmentation_service_no_segment_is_called_unknown() {
    // Nobody listens on the port that nobody may listen on.
    let stack = Stack::start_with(&[("VEFA__PEERS__SEGMENTATION", "http://127.0.0.1:1")]).await;
    let segment = stack.segmentation.define(&tenant(), &[]);
    let mut client = stack.client();
    let call = client.create_campaign(campaign(segment));
    let status = refused(&stack, Code::Unavailable, "SEGMENTATION_UNAVAILABLE", call).await;
    assert!(
        status
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .is_some()
    );
    stack.stop().await;
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_time() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = stack.segmentation.define(&tenant(), &[]);
    let mut request = campaign(segment);
    request.request_id = "spring".to_owned();
    let first = client
        .create_campaign(request.clone())
        .await
        .unwrap()
        .into_inner();
    let again = client
        .create_campaign(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, first);
    // What has taken effect stays so, whatever became of the segment.
    stack.segmentation.remove(&tenant(), segment);
    let again = client
        .create_campaign(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again, first);
    assert_eq!(stack.written().await, (1, 1));

    request.seed += 1;
    let call = client.create_campaign(request);
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
async fn who_may_not_write_writes_nothing() {
    let stack = Stack::start().await;
    let request = campaign(stack.segmentation.define(&tenant(), &[]));
    let scopes = ["campaigns.read", "segmentation.*"];
    for (mut client, code, reason) in stack.outsiders(&scopes) {
        refused(
            &stack,
            code,
            reason,
            client.create_campaign(request.clone()),
        )
        .await;
        let start = client.start_campaign(pb::StartCampaignRequest::default());
        refused(&stack, code, reason, start).await;
    }
    stack.stop().await;
}
