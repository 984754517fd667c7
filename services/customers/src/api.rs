//! The gRPC API: requests to commands, state to answers, and every refusal as a precise status.

mod change;
mod consent;
mod duplicates;
mod erasure;
mod history;
mod identifier;
mod lifecycle;
mod merge;
mod message;
mod office;
mod parse;
mod profile;
mod read;
mod refusal;
mod register;
mod relation;
mod restriction;
mod search;
mod walk;

use std::time::Duration;

use contracts::customers::v1::{
    AddIdentifierRequest, AddIdentifierResponse, AddRelationRequest, AddRelationResponse,
    AssignOwnerRequest, AssignOwnerResponse, AssignTeamRequest, AssignTeamResponse,
    ChangeLifecycleStageRequest, ChangeLifecycleStageResponse, EndRelationRequest,
    EndRelationResponse, EraseCustomerRequest, EraseCustomerResponse, GetCustomerRequest,
    GetCustomerResponse, GetErasureReceiptRequest, GetErasureReceiptResponse,
    LiftRestrictionRequest, LiftRestrictionResponse, ListChangesRequest, ListChangesResponse,
    ListCustomersRequest, ListCustomersResponse, ListDuplicateCandidatesRequest,
    ListDuplicateCandidatesResponse, MergeCustomersRequest, MergeCustomersResponse,
    PreviewMergeRequest, PreviewMergeResponse, RecordConsentRequest, RecordConsentResponse,
    RegisterCustomerRequest, RegisterCustomerResponse, ReleaseOwnerRequest, ReleaseOwnerResponse,
    RemoveIdentifierRequest, RemoveIdentifierResponse, ResolveIdentifierRequest,
    ResolveIdentifierResponse, RestrictProcessingRequest, RestrictProcessingResponse,
    SearchCustomersRequest, SearchCustomersResponse, UnmergeCustomerRequest,
    UnmergeCustomerResponse, UpdateProfileRequest, UpdateProfileResponse, WalkRelationsRequest,
    WalkRelationsResponse, WithdrawConsentRequest, WithdrawConsentResponse,
    customers_service_server::CustomersService,
};
use event_log::{Committed, EventLog};
use prost::Message;
use service::{Caller, Erasures, config::Limits, status};
use tonic::{Request, Response, Status};

use crate::read_model::CustomerList;

const READ: &str = "customers.read";
const WRITE: &str = "customers.write";
const ERASE: &str = "customers.erase";

/// The service's answers.
pub(crate) struct Api {
    pub(crate) log: EventLog,
    pub(crate) list: CustomerList,
    pub(crate) limits: Limits,
    /// Where it is asked what was destroyed: every service, this one first.
    pub(crate) erasures: Vec<Erasures>,
    /// How long a repeated command gets its first answer.
    pub(crate) retention: Duration,
}

/// The response of a command: as it was stored, now or when the request first came.
fn stored<M: Message + Default>(committed: &Committed) -> Result<M, Status> {
    M::decode(committed.response.as_slice()).map_err(|error| status::internal(&error))
}

#[tonic::async_trait]
impl CustomersService for Api {
    async fn register_customer(
        &self,
        request: Request<RegisterCustomerRequest>,
    ) -> Result<Response<RegisterCustomerResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.register(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn update_profile(
        &self,
        request: Request<UpdateProfileRequest>,
    ) -> Result<Response<UpdateProfileResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.update(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn add_identifier(
        &self,
        request: Request<AddIdentifierRequest>,
    ) -> Result<Response<AddIdentifierResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.add(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn remove_identifier(
        &self,
        request: Request<RemoveIdentifierRequest>,
    ) -> Result<Response<RemoveIdentifierResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.remove(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn record_consent(
        &self,
        request: Request<RecordConsentRequest>,
    ) -> Result<Response<RecordConsentResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.record(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn withdraw_consent(
        &self,
        request: Request<WithdrawConsentRequest>,
    ) -> Result<Response<WithdrawConsentResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.withdraw(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn assign_owner(
        &self,
        request: Request<AssignOwnerRequest>,
    ) -> Result<Response<AssignOwnerResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.give_owner(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn release_owner(
        &self,
        request: Request<ReleaseOwnerRequest>,
    ) -> Result<Response<ReleaseOwnerResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.take_owner(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn assign_team(
        &self,
        request: Request<AssignTeamRequest>,
    ) -> Result<Response<AssignTeamResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.give_team(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn change_lifecycle_stage(
        &self,
        request: Request<ChangeLifecycleStageRequest>,
    ) -> Result<Response<ChangeLifecycleStageResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.change_stage(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn add_relation(
        &self,
        request: Request<AddRelationRequest>,
    ) -> Result<Response<AddRelationResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.relate(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn end_relation(
        &self,
        request: Request<EndRelationRequest>,
    ) -> Result<Response<EndRelationResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.part(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn restrict_processing(
        &self,
        request: Request<RestrictProcessingRequest>,
    ) -> Result<Response<RestrictProcessingResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.restrict(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn lift_restriction(
        &self,
        request: Request<LiftRestrictionRequest>,
    ) -> Result<Response<LiftRestrictionResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.lift(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn merge_customers(
        &self,
        request: Request<MergeCustomersRequest>,
    ) -> Result<Response<MergeCustomersResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.merge(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn preview_merge(
        &self,
        request: Request<PreviewMergeRequest>,
    ) -> Result<Response<PreviewMergeResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.preview(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn unmerge_customer(
        &self,
        request: Request<UnmergeCustomerRequest>,
    ) -> Result<Response<UnmergeCustomerResponse>, Status> {
        let caller = Caller::of(&request, WRITE)?;
        self.unmerge(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn erase_customer(
        &self,
        request: Request<EraseCustomerRequest>,
    ) -> Result<Response<EraseCustomerResponse>, Status> {
        let caller = Caller::of(&request, ERASE)?;
        self.erase(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_erasure_receipt(
        &self,
        request: Request<GetErasureReceiptRequest>,
    ) -> Result<Response<GetErasureReceiptResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.receipt(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn walk_relations(
        &self,
        request: Request<WalkRelationsRequest>,
    ) -> Result<Response<WalkRelationsResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.walk(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_customer(
        &self,
        request: Request<GetCustomerRequest>,
    ) -> Result<Response<GetCustomerResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.customer(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_changes(
        &self,
        request: Request<ListChangesRequest>,
    ) -> Result<Response<ListChangesResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.changes(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_customers(
        &self,
        request: Request<ListCustomersRequest>,
    ) -> Result<Response<ListCustomersResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.customers(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn search_customers(
        &self,
        request: Request<SearchCustomersRequest>,
    ) -> Result<Response<SearchCustomersResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.search(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list_duplicate_candidates(
        &self,
        request: Request<ListDuplicateCandidatesRequest>,
    ) -> Result<Response<ListDuplicateCandidatesResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.duplicates(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn resolve_identifier(
        &self,
        request: Request<ResolveIdentifierRequest>,
    ) -> Result<Response<ResolveIdentifierResponse>, Status> {
        let caller = Caller::of(&request, READ)?;
        self.resolve(&caller, &request.into_inner())
            .await
            .map(Response::new)
    }
}
