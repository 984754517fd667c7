//! What the services make of the history: value models, the best customers, those who slip away, and a
//! campaign that looks back.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use contracts::campaigns::v1::{
    Campaign, CampaignState, CreateCampaignRequest, GetCampaignRequest, GetOutcomeRequest,
    GetOutcomeResponse, GoalKind, Offer, StartCampaignRequest,
};
use contracts::customers::v1::{Channel, Purpose};
use contracts::segmentation::v1::{
    CustomerValue, DefineSegmentRequest, Fit, FitModelsRequest, GetCustomerValueRequest,
    ListCustomerValuesRequest, ListSegmentMembersRequest, ListTiersRequest, Segment, TierSummary,
    ValidateFitRequest, ValidateFitResponse, ValueOrder,
};
use futures::{StreamExt, TryStreamExt, stream};
use prost_types::Timestamp;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::time::{Instant, sleep};

use super::client::Clients;

/// The end of the 39 weeks that the models learn from.
pub(crate) const CALIBRATION_END: OffsetDateTime = datetime!(1997-09-30 23:59:59 UTC);
/// The end of the 39 weeks that they are judged by: the last day of the data.
pub(crate) const HOLDOUT_END: OffsetDateTime = datetime!(1998-06-30 23:59:59 UTC);
const HORIZON_WEEKS: u32 = 39;
const SEGMENT_NAME: &str = "slipping-away";
/// Came back at least once, silent for two months, and by now more likely gone than most, but not surely.
const SEGMENT_RULE: &str =
    "measures.frequency >= 1 && measures.recency_days > 60.0 && measures.p_alive < 0.6";
const HOLDOUT_SHARE: f64 = 0.3;
const HOLDOUT_SEED: u64 = 39;
/// Customers in each of the two lists of the report.
const LISTED: i32 = 10;
const PAGE: i32 = 1000;
const IN_FLIGHT: usize = 64;
const DECIDED_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// What segmentation says.
#[derive(Debug, Clone)]
pub(crate) struct Valuation {
    pub(crate) fit: Fit,
    pub(crate) validation: ValidateFitResponse,
    pub(crate) tiers: Vec<TierSummary>,
    /// Most expected value first, as of the end of calibration.
    pub(crate) best: Vec<CustomerValue>,
    /// Most value at risk first, as of the end of calibration.
    pub(crate) slipping: Vec<CustomerValue>,
    /// Everyone as of now, by customer id.
    pub(crate) now: BTreeMap<String, CustomerValue>,
}

/// The segment and the campaign on it.
#[derive(Debug, Clone)]
pub(crate) struct WinBack {
    pub(crate) segment: Segment,
    /// Members as of the end of calibration.
    pub(crate) members: usize,
    pub(crate) campaign: Campaign,
    pub(crate) outcome: GetOutcomeResponse,
}

/// Fits, validates and lists. Waits until segmentation has seen all that `facts_token` stands for.
pub(crate) async fn value(
    clients: &Clients,
    facts_token: String,
    customer_ids: &BTreeMap<String, String>,
) -> anyhow::Result<Valuation> {
    let mut segmentation = clients.segmentation.clone();
    let fit = segmentation
        .fit_models(FitModelsRequest {
            request_id: "demo-fit".to_owned(),
            calibration_end_time: Some(timestamp(CALIBRATION_END)),
            horizon_weeks: HORIZON_WEEKS,
            consistency_token: facts_token.clone(),
        })
        .await
        .context("fitting the models")?
        .into_inner();
    let fit = fit.fit.context("the answer holds no fit")?;
    let validation = segmentation
        .validate_fit(ValidateFitRequest {
            fit_id: fit.fit_id.clone(),
            until_time: Some(timestamp(HOLDOUT_END)),
            consistency_token: facts_token.clone(),
        })
        .await
        .context("comparing the prediction with what followed")?
        .into_inner();
    let tiers = segmentation
        .list_tiers(ListTiersRequest {
            fit_id: fit.fit_id.clone(),
        })
        .await
        .context("listing tiers")?
        .into_inner()
        .tiers;
    Ok(Valuation {
        best: list(clients, &fit, ValueOrder::ExpectedValue).await?,
        slipping: list(clients, &fit, ValueOrder::ValueAtRisk).await?,
        now: values_now(clients, facts_token, customer_ids).await?,
        fit,
        validation,
        tiers,
    })
}

async fn list(
    clients: &Clients,
    fit: &Fit,
    order: ValueOrder,
) -> anyhow::Result<Vec<CustomerValue>> {
    let request = ListCustomerValuesRequest {
        fit_id: fit.fit_id.clone(),
        order: order.into(),
        page_size: LISTED,
        page_token: String::new(),
    };
    let answer = clients
        .segmentation
        .clone()
        .list_customer_values(request)
        .await;
    Ok(answer
        .context("listing customers by value")?
        .into_inner()
        .values)
}

pub(super) async fn values_now(
    clients: &Clients,
    facts_token: String,
    customer_ids: &BTreeMap<String, String>,
) -> anyhow::Result<BTreeMap<String, CustomerValue>> {
    let (clients, facts_token) = (&clients, &facts_token);
    stream::iter(customer_ids.values())
        .map(|customer_id| async move {
            let request = GetCustomerValueRequest {
                customer_id: customer_id.clone(),
                as_of: None,
                consistency_token: facts_token.clone(),
            };
            let answer = clients
                .segmentation
                .clone()
                .get_customer_value(request)
                .await;
            let value = answer
                .with_context(|| format!("asking for the value of {customer_id}"))?
                .into_inner()
                .value
                .with_context(|| format!("{customer_id} has no value"))?;
            anyhow::Ok((customer_id.clone(), value))
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
}

/// Defines the segment of those who slip away, and runs a campaign on it as of the end of calibration.
pub(crate) async fn win_back(clients: &Clients, facts_token: String) -> anyhow::Result<WinBack> {
    let segment = clients
        .segmentation
        .clone()
        .define_segment(DefineSegmentRequest {
            request_id: "demo-segment".to_owned(),
            name: SEGMENT_NAME.to_owned(),
            rule: SEGMENT_RULE.to_owned(),
        })
        .await
        .context("defining the segment")?
        .into_inner();
    let segment = segment.segment.context("the answer holds no segment")?;
    let members = count_members(clients, &segment).await?;
    let campaign = run_campaign(clients, &segment).await?;
    let outcome = clients
        .campaigns
        .clone()
        .get_outcome(GetOutcomeRequest {
            campaign_id: campaign.campaign_id.clone(),
            until_time: Some(timestamp(HOLDOUT_END)),
            confidence_level: 0.0,
            consistency_token: facts_token,
        })
        .await
        .context("asking for the outcome")?
        .into_inner();
    Ok(WinBack {
        segment,
        members,
        campaign,
        outcome,
    })
}

async fn count_members(clients: &Clients, segment: &Segment) -> anyhow::Result<usize> {
    let mut members = 0;
    let mut page_token = String::new();
    loop {
        let request = ListSegmentMembersRequest {
            segment_id: segment.segment_id.clone(),
            as_of: Some(timestamp(CALIBRATION_END)),
            page_size: PAGE,
            page_token,
            consistency_token: String::new(),
        };
        let page = clients
            .segmentation
            .clone()
            .list_segment_members(request)
            .await;
        let page = page.context("listing the segment's members")?.into_inner();
        members += page.members.len();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(members);
        }
    }
}

/// Creates and starts it, and waits until everyone is decided on.
async fn run_campaign(clients: &Clients, segment: &Segment) -> anyhow::Result<Campaign> {
    let mut campaigns = clients.campaigns.clone();
    let created = campaigns
        .create_campaign(CreateCampaignRequest {
            request_id: "demo-campaign".to_owned(),
            name: "Win back those who slip away".to_owned(),
            goal: GoalKind::WinBack.into(),
            segment_id: segment.segment_id.clone(),
            offer: Some(Offer {
                name: "A CD on us".to_owned(),
                description: "A CD of your choice with the next order.".to_owned(),
                cost_minor: 1_200,
                currency_code: "USD".to_owned(),
            }),
            channel: Channel::Email.into(),
            purpose: Purpose::Marketing.into(),
            holdout_share: HOLDOUT_SHARE,
            seed: HOLDOUT_SEED,
        })
        .await
        .context("creating the campaign")?
        .into_inner();
    let started = campaigns
        .start_campaign(StartCampaignRequest {
            request_id: "demo-campaign-start".to_owned(),
            campaign_id: created.campaign_id.clone(),
            retrospective_as_of: Some(timestamp(CALIBRATION_END)),
        })
        .await
        .context("starting the campaign")?
        .into_inner();
    let deadline = Instant::now() + DECIDED_LIMIT;
    loop {
        let request = GetCampaignRequest {
            campaign_id: created.campaign_id.clone(),
            consistency_token: started.consistency_token.clone(),
        };
        let campaign = campaigns.get_campaign(request).await;
        let campaign = campaign.context("asking for the campaign")?.into_inner();
        let campaign = campaign.campaign.context("the answer holds no campaign")?;
        if campaign.state() == CampaignState::Running {
            return Ok(campaign);
        }
        if Instant::now() > deadline {
            bail!(
                "the campaign has decided on {} customers in {DECIDED_LIMIT:?} and is not done",
                campaign.decided
            );
        }
        sleep(POLL).await;
    }
}

pub(super) fn timestamp(moment: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: moment.unix_timestamp(),
        nanos: 0,
    }
}
