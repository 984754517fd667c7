//! The gRPC API: requests to commands, state to answers, and every refusal as a precise status.

mod fits;
mod members;
mod parse;
mod segments;
mod values;

use std::time::Duration;

use contracts::segmentation::v1::{
    DefineSegmentRequest, DefineSegmentResponse, ExplainMembershipRequest,
    ExplainMembershipResponse, FitModelsRequest, FitModelsResponse, GetCustomerValueRequest,
    GetCustomerValueResponse, GetFitRequest, GetFitResponse, GetSegmentRequest, GetSegmentResponse,
    ListCustomerValuesRequest, ListCustomerValuesResponse, ListSegmentMembersRequest,
    ListSegmentMembersResponse, ListSegmentsRequest, ListSegmentsResponse, ListTiersRequest,
    ListTiersResponse, PreviewSegmentRequest, PreviewSegmentResponse, UpdateSegmentRequest,
    UpdateSegmentResponse, ValidateFitRequest, ValidateFitResponse,
    segmentation_service_server::SegmentationService,
};
use event_log::{ConsistencyToken, EventLog};
use service::{Caller, Deadline, command, config::Limits, status};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use crate::{
    progress::{self, Behind},
    react::{CustomerFacts, InteractionFacts},
    read_model::Catalogue,
    work::Worker,
};

const READ: &str = "segmentation.read";
const WRITE: &str = "segmentation.write";

/// How long a request without a deadline waits for work in the background.
const WORK_MAX: Duration = Duration::from_secs(30);
/// When a caller may try again while facts are being rebuilt.
const REBUILD_RETRY_DELAY: Duration = Duration::from_secs(5);

/// The service's answers.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) log: EventLog,
    pub(crate) worker: Worker,
    pub(crate) limits: Limits,
    pub(crate) retention: Duration,
}

impl Api {
    /// Waits until everything here shows what the tokens stand for.
    async fn wait(&self, caller: &Caller, tokens: &str) -> Result<(), Status> {
        caller
            .wait(&self.log, &CustomerFacts, progress::CUSTOMERS, tokens)
            .await?;
        caller
            .wait(&self.log, &InteractionFacts, progress::INTERACTIONS, tokens)
            .await?;
        caller
            .wait(&self.log, &Catalogue, progress::OWN, tokens)
            .await
    }

    /// A token for all that this service has appended so far: memberships and scores lie in every partition.
    async fn token(&self) -> Result<String, Status> {
        let heads = self.log.heads().await.map_err(command::failed)?;
        let heads = heads.into_iter().filter(|(_, position)| *position > 0);
        Ok(ConsistencyToken::new(self.log.name(), self.log.epoch(), heads).to_string())
    }

    /// Refuses what would be wrong on half of the facts.
    async fn require_all_facts(&self) -> Result<(), Status> {
        let mut connection = self.log.pool().acquire().await.map_err(command::database)?;
        let behind = Behind::read(&mut connection, None)
            .await
            .map_err(command::database)?;
        if behind.is_anything() {
            let message = "the facts are being rebuilt and not complete yet";
            return Err(status::unavailable(
                "FACTS_BEHIND",
                message,
                REBUILD_RETRY_DELAY,
            ));
        }
        Ok(())
    }
}

/// Until when the caller waits.
fn deadline<T>(request: &Request<T>) -> Instant {
    Deadline::of(request).map_or_else(|| Instant::now() + WORK_MAX, Deadline::instant)
}

/// Waits for work in the background. It goes on when the caller has gone.
async fn in_time(
    deadline: Instant,
    work: impl Future<Output = Result<(), sqlx::Error>>,
) -> Result<(), Status> {
    match tokio::time::timeout_at(deadline, work).await {
        Ok(done) => done.map_err(command::database),
        Err(_) => Err(status::deadline_exceeded(
            "EVALUATION_UNDER_WAY",
            "it was recorded; not everyone was evaluated in time, and that goes on",
        )),
    }
}

#[tonic::async_trait]
impl SegmentationService for Api {
    async fn fit_models(
        &self,
        request: Request<FitModelsRequest>,
    ) -> Result<Response<FitModelsResponse>, Status> {
        let (caller, deadline) = (Caller::of(&request, WRITE)?, deadline(&request));
        self.fit(&caller, deadline, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_fit(
        &self,
        request: Request<GetFitRequest>,
    ) -> Result<Response<GetFitResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.fit_by_id(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn validate_fit(
        &self,
        request: Request<ValidateFitRequest>,
    ) -> Result<Response<ValidateFitResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.validation(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_customer_value(
        &self,
        request: Request<GetCustomerValueRequest>,
    ) -> Result<Response<GetCustomerValueResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.value_of(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_customer_values(
        &self,
        request: Request<ListCustomerValuesRequest>,
    ) -> Result<Response<ListCustomerValuesResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.values(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_tiers(
        &self,
        request: Request<ListTiersRequest>,
    ) -> Result<Response<ListTiersResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.tiers(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn define_segment(
        &self,
        request: Request<DefineSegmentRequest>,
    ) -> Result<Response<DefineSegmentResponse>, Status> {
        let (caller, deadline) = (Caller::of(&request, WRITE)?, deadline(&request));
        self.define(&caller, deadline, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn update_segment(
        &self,
        request: Request<UpdateSegmentRequest>,
    ) -> Result<Response<UpdateSegmentResponse>, Status> {
        let (caller, deadline) = (Caller::of(&request, WRITE)?, deadline(&request));
        self.update(&caller, deadline, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_segment(
        &self,
        request: Request<GetSegmentRequest>,
    ) -> Result<Response<GetSegmentResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.segment_by_id(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_segments(
        &self,
        request: Request<ListSegmentsRequest>,
    ) -> Result<Response<ListSegmentsResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.segments(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn preview_segment(
        &self,
        request: Request<PreviewSegmentRequest>,
    ) -> Result<Response<PreviewSegmentResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.preview(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_segment_members(
        &self,
        request: Request<ListSegmentMembersRequest>,
    ) -> Result<Response<ListSegmentMembersResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.members(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn explain_membership(
        &self,
        request: Request<ExplainMembershipRequest>,
    ) -> Result<Response<ExplainMembershipResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.explanation(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }
}
