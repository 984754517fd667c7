//! Reading campaigns and decisions: pages, and what is refused.

use contracts::campaigns::v1 as pb;
use testing::{
    refusal::{malformed, refused},
    stack::tenant,
};
use time::macros::datetime;
use tonic::Code;
use uuid::Uuid;

use crate::{
    peers::consents,
    requests::{campaign, create, decisions, get, run, strangers},
    stack::{Client, Stack},
};

async fn page(client: &mut Client, page_size: i32, page_token: &str) -> pb::ListCampaignsResponse {
    let request = pb::ListCampaignsRequest {
        page_size,
        page_token: page_token.to_owned(),
    };
    client.list_campaigns(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn campaigns_are_listed_newest_first() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let people = strangers(4);
    consents(&stack.customers, people[0], datetime!(2026-01-01 0:00 UTC)).await;
    let segment = stack.segmentation.define(&tenant(), &people);
    let mut ids = Vec::new();
    for n in 0..5 {
        let mut request = campaign(segment);
        request.name = format!("Campaign {n}");
        ids.push(create(&mut client, request).await);
    }
    let started = run(&mut client, campaign(segment)).await;
    ids.push(started.campaign_id.clone());
    ids.reverse();

    let mut other = stack.client_of("other", &["campaigns.*"]);
    assert_eq!(
        page(&mut other, 10, "").await,
        pb::ListCampaignsResponse::default()
    );

    let events = stack.written().await.0;
    stack.applied("campaigns.campaigns", events).await;
    let mut listed = Vec::new();
    let mut token = String::new();
    for expected in [4, 2] {
        let answer = page(&mut client, 4, &token).await;
        assert_eq!(answer.campaigns.len(), expected);
        listed.extend(answer.campaigns);
        token = answer.next_page_token;
    }
    assert_eq!(token, "");
    let listed_ids: Vec<_> = listed
        .iter()
        .map(|campaign| campaign.campaign_id.clone())
        .collect();
    assert_eq!(listed_ids, ids);
    // A campaign is the same, listed or read alone.
    for campaign in &listed {
        assert_eq!(&get(&mut client, &campaign.campaign_id).await, campaign);
    }
    assert_eq!((listed[0].contacted, listed[0].decided), (1, 4));
    stack.stop().await;
}

#[tokio::test]
async fn a_read_waits_for_its_consistency_token() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let segment = stack.segmentation.define(&tenant(), &[]);
    let created = client
        .create_campaign(campaign(segment))
        .await
        .unwrap()
        .into_inner();
    let mut request = tonic::Request::new(pb::GetCampaignRequest {
        campaign_id: created.campaign_id,
        consistency_token: "campaigns.1.0-1000000".to_owned(),
    });
    request.set_timeout(std::time::Duration::from_millis(300));
    let status = client.get_campaign(request).await.unwrap_err();
    // Either side may be the first to notice.
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    stack.stop().await;
}

#[tokio::test]
async fn malformed_reads_are_refused_at_the_field() {
    let stack = Stack::start().await;
    let mut client = stack.client();
    let people = strangers(3);
    let segment = stack.segmentation.define(&tenant(), &people);
    let id = run(&mut client, campaign(segment)).await.campaign_id;
    let other_id = run(&mut client, campaign(segment)).await.campaign_id;
    let decisions_of = |campaign_id: &str, page_size, page_token: &str| pb::ListDecisionsRequest {
        campaign_id: campaign_id.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
    };
    let first = client
        .list_decisions(decisions_of(&id, 1, ""))
        .await
        .unwrap()
        .into_inner();
    let get = |campaign_id: &str, consistency_token: &str| pb::GetCampaignRequest {
        campaign_id: campaign_id.to_owned(),
        consistency_token: consistency_token.to_owned(),
    };
    for (field, request) in [
        ("campaign_id", get("x", "")),
        ("consistency_token", get(&id, "x")),
    ] {
        malformed(&stack, &[field], client.get_campaign(request)).await;
    }
    for (field, request) in [
        ("campaign_id", decisions_of("", 0, "")),
        ("page_size", decisions_of(&id, -1, "")),
        ("page_token", decisions_of(&id, 0, "x")),
        (
            "page_token",
            decisions_of(&other_id, 0, &first.next_page_token),
        ),
    ] {
        let call = client.list_decisions(request);
        malformed(&stack, &[field], call).await;
    }
    for (field, page_size, page_token) in [
        ("page_size", -1, ""),
        ("page_token", 0, "x"),
        ("page_token", 0, first.next_page_token.as_str()),
    ] {
        let call = client.list_campaigns(pb::ListCampaignsRequest {
            page_size,
            page_token: page_token.to_owned(),
        });
        malformed(&stack, &[field], call).await;
    }
    stack.stop().await;
}

#[tokio::test]
async fn what_is_no_campaign_of_the_tenant_is_not_found() {
    let stack = Stack::start().await;
    let people = strangers(1);
    let segment = stack.segmentation.define(&tenant(), &people);
    let id = run(&mut stack.client(), campaign(segment))
        .await
        .campaign_id;
    let cases = [
        (stack.client(), Uuid::new_v4().to_string()),
        // The customer has a stream in the same log.
        (stack.client(), people[0].to_string()),
        (stack.client_of("other", &["campaigns.*"]), id),
    ];
    for (mut client, campaign_id) in cases {
        let call = client.get_campaign(pb::GetCampaignRequest {
            campaign_id: campaign_id.clone(),
            ..pb::GetCampaignRequest::default()
        });
        refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
        let call = client.list_decisions(pb::ListDecisionsRequest {
            campaign_id: campaign_id.clone(),
            ..pb::ListDecisionsRequest::default()
        });
        refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
        let call = client.get_outcome(pb::GetOutcomeRequest {
            campaign_id,
            ..pb::GetOutcomeRequest::default()
        });
        refused(&stack, Code::NotFound, "NOT_FOUND", call).await;
    }
    assert_eq!(
        decisions(&mut stack.client(), &stack_campaign(&stack).await, 10)
            .await
            .len(),
        1
    );
    stack.stop().await;
}

/// The one campaign there is.
async fn stack_campaign(stack: &Stack) -> String {
    let answer = page(&mut stack.client(), 0, "").await;
    assert_eq!(answer.campaigns.len(), 1);
    answer.campaigns[0].campaign_id.clone()
}

#[tokio::test]
async fn who_may_not_read_is_told_nothing() {
    let stack = Stack::start().await;
    let scopes = ["campaigns.write", "customers.*"];
    for (mut client, code, reason) in stack.outsiders(&scopes) {
        refused(
            &stack,
            code,
            reason,
            client.get_campaign(pb::GetCampaignRequest::default()),
        )
        .await;
        refused(
            &stack,
            code,
            reason,
            client.list_campaigns(pb::ListCampaignsRequest::default()),
        )
        .await;
        refused(
            &stack,
            code,
            reason,
            client.list_decisions(pb::ListDecisionsRequest::default()),
        )
        .await;
        refused(
            &stack,
            code,
            reason,
            client.get_outcome(pb::GetOutcomeRequest::default()),
        )
        .await;
    }
    stack.stop().await;
}
