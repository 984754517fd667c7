//! The gRPC API: requests to commands, state to answers, and every refusal as a precise status.

mod create;
mod lists;
mod message;
mod outcome;
mod parse;
mod start;

use std::{sync::Arc, time::Duration};

use aggregate::{Aggregate as _, TenantId};
use contracts::campaigns::v1::{
    CreateCampaignRequest, CreateCampaignResponse, GetCampaignRequest, GetCampaignResponse,
    GetOutcomeRequest, GetOutcomeResponse, ListCampaignsRequest, ListCampaignsResponse,
    ListDecisionsRequest, ListDecisionsResponse, StartCampaignRequest, StartCampaignResponse,
    campaigns_service_server::CampaignsService,
};
use event_log::{Committed, EventLog, Stored as _, Stream, SubjectCipher};
use prost::Message;
use service::{Caller, Peer, command, config::Limits, status};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

use crate::{
    codec,
    domain::{Campaign, CampaignId, CampaignRejection, CampaignState, Plan},
    read_model::{CampaignsProjection, counts},
};

const READ: &str = "campaigns.read";
const WRITE: &str = "campaigns.write";

/// The service's answers.
pub(crate) struct Api {
    pub(crate) log: EventLog,
    pub(crate) segmentation: Peer,
    /// Wakes whoever decides for audiences.
    pub(crate) started: Arc<Notify>,
    pub(crate) retention: Duration,
    pub(crate) limits: Limits,
}

impl Api {
    /// A campaign as it stands in its stream.
    async fn campaign(
        &self,
        tenant: &TenantId,
        id: CampaignId,
    ) -> Result<(Plan, CampaignState), Status> {
        let stream = Stream::of_own(tenant, id.into());
        let events = self
            .log
            .read_stream(&stream)
            .await
            .map_err(command::failed)?;
        // A stream of something else, such as the decisions about a customer, is no campaign.
        if !events.first().is_some_and(codec::is_of_campaign) {
            return Err(status::not_found("campaign", &id.to_string()));
        }
        let cipher = SubjectCipher::none(tenant);
        let mut campaign = Campaign::default();
        for event in &events {
            let event =
                Campaign::decode(event, &cipher).map_err(|error| status::internal(&error))?;
            campaign.evolve(&event);
        }
        let (plan, state) = campaign
            .created()
            .ok_or_else(|| status::not_found("campaign", &id.to_string()))?;
        Ok((plan.clone(), state))
    }

    /// A campaign with its counts.
    async fn counted(
        &self,
        caller: &Caller,
        request: &GetCampaignRequest,
    ) -> Result<GetCampaignResponse, Status> {
        let id = parse::campaign_id(&request.campaign_id)?;
        caller
            .wait(
                &self.log,
                &CampaignsProjection,
                self.log.name(),
                &request.consistency_token,
            )
            .await?;
        let (plan, state) = self.campaign(&caller.tenant, id).await?;
        let counted = counts(self.log.pool(), &caller.tenant, &[id])
            .await
            .map_err(command::database)?;
        let campaign = message::campaign(id, &plan, state, counted.get(&id));
        Ok(GetCampaignResponse {
            campaign: Some(campaign),
        })
    }
}

/// What a campaign's own refusals are called.
fn rejected(id: CampaignId, rejection: CampaignRejection) -> Status {
    let subject = format!("campaign/{id}");
    match rejection {
        CampaignRejection::Unknown => status::not_found("campaign", &id.to_string()),
        CampaignRejection::AlreadyCreated => {
            status::already_exists("campaign", &id.to_string(), "CAMPAIGN_EXISTS")
        }
        CampaignRejection::AlreadyStarted => {
            status::failed_precondition("ALREADY_STARTED", &subject, &rejection.to_string())
        }
        CampaignRejection::NotDeciding => {
            status::failed_precondition("NOT_DECIDING", &subject, &rejection.to_string())
        }
    }
}

/// The answer of the first time.
fn stored<M: Message + Default>(committed: &Committed) -> Result<M, Status> {
    M::decode(committed.response.as_slice()).map_err(|error| status::internal(&error))
}

#[tonic::async_trait]
impl CampaignsService for Api {
    async fn create_campaign(
        &self,
        request: Request<CreateCampaignRequest>,
    ) -> Result<Response<CreateCampaignResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.create(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn start_campaign(
        &self,
        request: Request<StartCampaignRequest>,
    ) -> Result<Response<StartCampaignResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.start(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_campaign(
        &self,
        request: Request<GetCampaignRequest>,
    ) -> Result<Response<GetCampaignResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.counted(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_campaigns(
        &self,
        request: Request<ListCampaignsRequest>,
    ) -> Result<Response<ListCampaignsResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.campaigns(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_decisions(
        &self,
        request: Request<ListDecisionsRequest>,
    ) -> Result<Response<ListDecisionsResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.decisions(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_outcome(
        &self,
        request: Request<GetOutcomeRequest>,
    ) -> Result<Response<GetOutcomeResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.outcome(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }
}
