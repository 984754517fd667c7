//! Requests as clients send them.

use aggregate::CustomerId;
use contracts::{campaigns::v1 as pb, customers::v1 as customers};
use event_log::timestamp;
use testing::{eventually, stack::SOON};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::stack::Client;

pub(crate) fn moment(at: OffsetDateTime) -> Option<prost_types::Timestamp> {
    Some(timestamp::to_proto(at))
}

/// So many customers, in order of their ids.
pub(crate) fn strangers(count: usize) -> Vec<CustomerId> {
    let mut customers: Vec<_> = (0..count).map(|_| CustomerId(Uuid::new_v4())).collect();
    customers.sort();
    customers
}

/// A campaign by e-mail without holdout.
pub(crate) fn campaign(segment: Uuid) -> pb::CreateCampaignRequest {
    pb::CreateCampaignRequest {
        request_id: String::new(),
        name: "Geri dön".to_owned(),
        goal: pb::GoalKind::WinBack.into(),
        segment_id: segment.to_string(),
        offer: Some(pb::Offer {
            name: "Yüzde on".to_owned(),
            description: "Ten per cent off\nthe next purchase".to_owned(),
            cost_minor: 500,
            currency_code: "TRY".to_owned(),
        }),
        channel: customers::Channel::Email.into(),
        purpose: 0,
        holdout_share: 0.0,
        seed: 42,
    }
}

pub(crate) async fn create(client: &mut Client, request: pb::CreateCampaignRequest) -> String {
    client
        .create_campaign(request)
        .await
        .unwrap()
        .into_inner()
        .campaign_id
}

pub(crate) fn start_now(campaign_id: &str) -> pb::StartCampaignRequest {
    pb::StartCampaignRequest {
        request_id: String::new(),
        campaign_id: campaign_id.to_owned(),
        retrospective_as_of: None,
    }
}

pub(crate) fn start_as_of(campaign_id: &str, as_of: OffsetDateTime) -> pb::StartCampaignRequest {
    pb::StartCampaignRequest {
        retrospective_as_of: moment(as_of),
        ..start_now(campaign_id)
    }
}

pub(crate) async fn get(client: &mut Client, campaign_id: &str) -> pb::Campaign {
    let request = pb::GetCampaignRequest {
        campaign_id: campaign_id.to_owned(),
        consistency_token: String::new(),
    };
    client
        .get_campaign(request)
        .await
        .unwrap()
        .into_inner()
        .campaign
        .unwrap()
}

/// The campaign once it has decided for everyone. Its counts must be complete by then.
pub(crate) async fn running(client: &mut Client, campaign_id: &str) -> pb::Campaign {
    let client = &*client;
    eventually(SOON, "a running campaign", || async {
        let campaign = get(&mut client.clone(), campaign_id).await;
        (campaign.state() == pb::CampaignState::Running).then_some(campaign)
    })
    .await
}

/// Creates a campaign, starts it now, and waits until it has decided.
pub(crate) async fn run(client: &mut Client, request: pb::CreateCampaignRequest) -> pb::Campaign {
    let id = create(client, request).await;
    client.start_campaign(start_now(&id)).await.unwrap();
    running(client, &id).await
}

/// All decisions of a campaign, in order, read in pages of this size.
pub(crate) async fn decisions(
    client: &mut Client,
    campaign_id: &str,
    page_size: i32,
) -> Vec<pb::Decision> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListDecisionsRequest {
            campaign_id: campaign_id.to_owned(),
            page_size,
            page_token,
        };
        let page = client.list_decisions(request).await.unwrap().into_inner();
        assert!(page.decisions.len() <= usize::try_from(page_size).unwrap());
        all.extend(page.decisions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

/// Number of customers refused for a reason.
pub(crate) fn refused_for(campaign: &pb::Campaign, reason: pb::RefusalReason) -> u32 {
    let count = campaign
        .refused
        .iter()
        .find(|count| count.reason() == reason);
    count.map_or(0, |count| count.customers)
}
