//! A segment that fills while the import runs, and a campaign on it that starts when all is in: what segmentation
//! and campaigns have made of the events that they followed.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use contracts::campaigns::v1::{
    ArmOutcome, Campaign, CampaignState, CreateCampaignRequest, GetCampaignRequest,
    GetOutcomeRequest, GoalKind, Offer, RefusalCount, RefusalReason, StartCampaignRequest,
};
use contracts::customers::v1::{Channel, Purpose};
use contracts::segmentation::v1::{DefineSegmentRequest, ListSegmentMembersRequest};
use tokio::time::{Instant, sleep};

use super::expected::{Bought, Expected};
use super::{LIMIT, PAUSE};
use crate::demo::client::Clients;
use crate::demo::evaluate::{CALIBRATION_END, HOLDOUT_END, timestamp};

/// Whoever fulfils it does so for ever, so that everyone enters once at most and nobody leaves.
const RULE: &str = "measures.purchase_days >= 2";
/// Both arms together are what is compared, so that the share does not matter, but without a holdout there is no
/// outcome.
const HOLDOUT_SHARE: f64 = 0.3;
/// More than the members there can be.
const PAGE: i32 = 1000;

/// The segment and the campaign.
pub(super) struct Gated {
    segment_id: String,
    campaign_id: String,
}

/// Defines both, so that all four logs have an event from the beginning.
pub(super) async fn define(clients: &Clients) -> anyhow::Result<Gated> {
    let defined = clients
        .segmentation
        .clone()
        .define_segment(DefineSegmentRequest {
            request_id: "came-back".to_owned(),
            name: "came-back".to_owned(),
            rule: RULE.to_owned(),
        })
        .await
        .context("defining the segment")?
        .into_inner();
    let segment = defined.segment.context("the answer holds no segment")?;
    let created = clients
        .campaigns
        .clone()
        .create_campaign(CreateCampaignRequest {
            request_id: "thanks".to_owned(),
            name: "Thanks".to_owned(),
            goal: GoalKind::Loyalty.into(),
            segment_id: segment.segment_id.clone(),
            offer: Some(Offer {
                name: "Thanks".to_owned(),
                ..Offer::default()
            }),
            channel: Channel::Email.into(),
            purpose: Purpose::Marketing.into(),
            holdout_share: HOLDOUT_SHARE,
            seed: 1,
        })
        .await
        .context("creating the campaign")?
        .into_inner();
    Ok(Gated {
        segment_id: segment.segment_id,
        campaign_id: created.campaign_id,
    })
}

/// Who entered the segment and did not leave.
pub(super) async fn members(clients: &Clients, gated: &Gated) -> anyhow::Result<BTreeSet<String>> {
    let page = clients
        .segmentation
        .clone()
        .list_segment_members(ListSegmentMembersRequest {
            segment_id: gated.segment_id.clone(),
            page_size: PAGE,
            ..ListSegmentMembersRequest::default()
        })
        .await
        .context("listing the segment's members")?
        .into_inner();
    ensure!(
        page.next_page_token.is_empty(),
        "more members than customers"
    );
    let members = page.members.into_iter();
    Ok(members.map(|member| member.customer_id).collect())
}

/// Starts the campaign as of the end of calibration. Its decisions show what it knows of consents, its outcome what
/// it knows of purchases.
pub(super) async fn check_campaign(
    clients: &Clients,
    gated: &Gated,
    expected: &Expected,
) -> anyhow::Result<()> {
    let campaign = decide(clients, gated).await?;
    let consented = expected.bought_since_calibration(true);
    let others = expected.bought_since_calibration(false);
    assert_eq!(campaign.decided, consented.customers + others.customers);
    assert_eq!(campaign.contacted + campaign.held_out, consented.customers);
    let refused = RefusalCount {
        reason: RefusalReason::NoConsent.into(),
        customers: others.customers,
    };
    assert_eq!(campaign.refused, [refused]);
    let outcome = clients
        .campaigns
        .clone()
        .get_outcome(GetOutcomeRequest {
            campaign_id: gated.campaign_id.clone(),
            until_time: Some(timestamp(HOLDOUT_END)),
            confidence_level: 0.0,
            consistency_token: clients.facts_token().await?,
        })
        .await
        .context("asking for the outcome")?
        .into_inner();
    let arms = [outcome.contacted, outcome.held_out];
    assert_eq!(bought(arms.into_iter().flatten()), consented);
    Ok(())
}

async fn decide(clients: &Clients, gated: &Gated) -> anyhow::Result<Campaign> {
    let mut campaigns = clients.campaigns.clone();
    let started = campaigns
        .start_campaign(StartCampaignRequest {
            request_id: "thanks-start".to_owned(),
            campaign_id: gated.campaign_id.clone(),
            retrospective_as_of: Some(timestamp(CALIBRATION_END)),
        })
        .await
        .context("starting the campaign")?
        .into_inner();
    let deadline = Instant::now() + LIMIT;
    loop {
        let request = GetCampaignRequest {
            campaign_id: gated.campaign_id.clone(),
            consistency_token: started.consistency_token.clone(),
        };
        let campaign = campaigns.get_campaign(request).await;
        let campaign = campaign.context("asking for the campaign")?.into_inner();
        let campaign = campaign.campaign.context("the answer holds no campaign")?;
        if campaign.state() == CampaignState::Running {
            return Ok(campaign);
        }
        ensure!(
            Instant::now() < deadline,
            "after {LIMIT:?} the campaign has decided on {} customers and is not done",
            campaign.decided
        );
        sleep(PAUSE).await;
    }
}

fn bought(arms: impl Iterator<Item = ArmOutcome>) -> Bought {
    arms.fold(Bought::default(), |sum, arm| Bought {
        customers: sum.customers + arm.customers,
        buyers: sum.buyers + arm.buyers,
        purchases: sum.purchases + arm.purchases,
        revenue_minor: sum.revenue_minor + arm.revenue_minor,
    })
}
