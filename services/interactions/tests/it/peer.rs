//! A customers service with the real log, relay and server of one, whose API knows whom the test names.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use aggregate::{CustomerId, StreamId, TenantId};
use contracts::customers::v1::{self as pb, customers_service_server::CustomersService};
use event_log::{Append, EventLog, NewEvent, Stream, timestamp};
use prost::Message as _;
use service::{Caller, status};
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// The customers that the API knows.
#[derive(Clone, Default)]
pub(crate) struct Customers {
    known: Arc<Mutex<HashSet<(TenantId, CustomerId)>>>,
    asked: Arc<AtomicUsize>,
}

impl Customers {
    /// Lets the API know a new customer of a tenant. No event tells of it.
    pub(crate) fn add(&self, tenant: &str) -> CustomerId {
        let customer = CustomerId(Uuid::new_v4());
        self.add_this(tenant, customer);
        customer
    }

    pub(crate) fn add_this(&self, tenant: &str, customer: CustomerId) {
        let tenant = TenantId::parse(tenant).unwrap();
        self.known.lock().unwrap().insert((tenant, customer));
    }

    /// How often it was asked whether somebody exists.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Appends to the customers log what registering a customer appends, and something else.
pub(crate) async fn append_registered(
    log: &EventLog,
    tenant: &str,
    at: OffsetDateTime,
) -> CustomerId {
    let tenant = TenantId::parse(tenant).unwrap();
    let customer = CustomerId(Uuid::new_v4());
    let registered = pb::CustomerRegistered {
        customer_id: customer.to_string(),
        registered_time: Some(timestamp::to_proto(at)),
        ..pb::CustomerRegistered::default()
    };
    let claimed = pb::IdentifierClaimed {
        customer_id: customer.to_string(),
        ..pb::IdentifierClaimed::default()
    };
    let append = |stream: Stream, type_, payload: Vec<u8>| Append {
        stream,
        expected_version: 0,
        events: vec![NewEvent {
            event_id: Uuid::now_v7(),
            type_,
            schema_version: 1,
            payload: payload.into(),
            metadata: bytes::Bytes::new(),
            occurred_at: at,
        }],
        new_key: None,
        erases: false,
    };
    let appends = vec![
        append(
            Stream::of_customer(&tenant, customer).without_subject(),
            "vefa.customers.v1.CustomerRegistered",
            registered.encode_to_vec(),
        ),
        append(
            Stream::of_own(&tenant, StreamId(Uuid::new_v4())),
            "vefa.customers.v1.IdentifierClaimed",
            claimed.encode_to_vec(),
        ),
    ];
    testing::log::append(log, at, appends).await;
    customer
}

fn not_part_of_the_test<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not part of the test"))
}

/// Appends to the customers log what erasing a registered customer appends.
pub(crate) async fn append_erased(
    log: &EventLog,
    tenant: &str,
    customer: CustomerId,
    at: OffsetDateTime,
) {
    let tenant = TenantId::parse(tenant).unwrap();
    let erased = pb::CustomerErased {
        customer_id: customer.to_string(),
        reason: pb::ErasureReason::SubjectRequest.into(),
        erased_time: Some(timestamp::to_proto(at)),
    };
    let append = Append {
        stream: Stream::of_customer(&tenant, customer).without_subject(),
        expected_version: 1,
        events: vec![NewEvent {
            event_id: Uuid::now_v7(),
            type_: "vefa.customers.v1.CustomerErased",
            schema_version: 1,
            payload: erased.encode_to_vec().into(),
            metadata: bytes::Bytes::new(),
            occurred_at: at,
        }],
        new_key: None,
        erases: false,
    };
    testing::log::append(log, at, vec![append]).await;
}

/// Appends something to the customers log that happened to a customer, and gives the token of it.
pub(crate) async fn append_happened<M: prost::Message + prost::Name>(
    log: &EventLog,
    customer: CustomerId,
    type_: &'static str,
    message: &M,
    at: OffsetDateTime,
) -> String {
    assert_eq!(M::full_name(), type_);
    let tenant = TenantId::parse(testing::stack::TENANT).unwrap();
    let stream = Stream::of_customer(&tenant, customer).without_subject();
    let before = log.read_stream(&stream).await.unwrap().len();
    let append = Append {
        stream,
        expected_version: i64::try_from(before).unwrap(),
        events: vec![NewEvent {
            event_id: Uuid::now_v7(),
            type_,
            schema_version: 1,
            payload: message.encode_to_vec().into(),
            metadata: bytes::Bytes::new(),
            occurred_at: at,
        }],
        new_key: None,
        erases: false,
    };
    let committed = testing::log::append(log, at, vec![append]).await;
    committed.token.to_string()
}

#[tonic::async_trait]
impl CustomersService for Customers {
    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Result<Response<pb::GetCustomerResponse>, Status> {
        let caller = Caller::of(&request, "customers.read")?;
        self.asked.fetch_add(1, Ordering::SeqCst);
        let id = request.into_inner().customer_id;
        let customer: CustomerId = id.parse().unwrap();
        if self
            .known
            .lock()
            .unwrap()
            .contains(&(caller.tenant, customer))
        {
            Ok(Response::new(pb::GetCustomerResponse::default()))
        } else {
            Err(status::not_found("customer", &id))
        }
    }

    async fn register_customer(
        &self,
        _: Request<pb::RegisterCustomerRequest>,
    ) -> Result<Response<pb::RegisterCustomerResponse>, Status> {
        not_part_of_the_test()
    }

    async fn update_profile(
        &self,
        _: Request<pb::UpdateProfileRequest>,
    ) -> Result<Response<pb::UpdateProfileResponse>, Status> {
        not_part_of_the_test()
    }

    async fn add_identifier(
        &self,
        _: Request<pb::AddIdentifierRequest>,
    ) -> Result<Response<pb::AddIdentifierResponse>, Status> {
        not_part_of_the_test()
    }

    async fn record_consent(
        &self,
        _: Request<pb::RecordConsentRequest>,
    ) -> Result<Response<pb::RecordConsentResponse>, Status> {
        not_part_of_the_test()
    }

    async fn withdraw_consent(
        &self,
        _: Request<pb::WithdrawConsentRequest>,
    ) -> Result<Response<pb::WithdrawConsentResponse>, Status> {
        not_part_of_the_test()
    }

    async fn assign_owner(
        &self,
        _: Request<pb::AssignOwnerRequest>,
    ) -> Result<Response<pb::AssignOwnerResponse>, Status> {
        not_part_of_the_test()
    }

    async fn release_owner(
        &self,
        _: Request<pb::ReleaseOwnerRequest>,
    ) -> Result<Response<pb::ReleaseOwnerResponse>, Status> {
        not_part_of_the_test()
    }

    async fn assign_team(
        &self,
        _: Request<pb::AssignTeamRequest>,
    ) -> Result<Response<pb::AssignTeamResponse>, Status> {
        not_part_of_the_test()
    }

    async fn change_lifecycle_stage(
        &self,
        _: Request<pb::ChangeLifecycleStageRequest>,
    ) -> Result<Response<pb::ChangeLifecycleStageResponse>, Status> {
        not_part_of_the_test()
    }

    async fn list_changes(
        &self,
        _: Request<pb::ListChangesRequest>,
    ) -> Result<Response<pb::ListChangesResponse>, Status> {
        not_part_of_the_test()
    }

    async fn add_relation(
        &self,
        _: Request<pb::AddRelationRequest>,
    ) -> Result<Response<pb::AddRelationResponse>, Status> {
        not_part_of_the_test()
    }

    async fn end_relation(
        &self,
        _: Request<pb::EndRelationRequest>,
    ) -> Result<Response<pb::EndRelationResponse>, Status> {
        not_part_of_the_test()
    }

    async fn restrict_processing(
        &self,
        _: Request<pb::RestrictProcessingRequest>,
    ) -> Result<Response<pb::RestrictProcessingResponse>, Status> {
        not_part_of_the_test()
    }

    async fn lift_restriction(
        &self,
        _: Request<pb::LiftRestrictionRequest>,
    ) -> Result<Response<pb::LiftRestrictionResponse>, Status> {
        not_part_of_the_test()
    }

    async fn erase_customer(
        &self,
        _: Request<pb::EraseCustomerRequest>,
    ) -> Result<Response<pb::EraseCustomerResponse>, Status> {
        not_part_of_the_test()
    }

    async fn get_erasure_receipt(
        &self,
        _: Request<pb::GetErasureReceiptRequest>,
    ) -> Result<Response<pb::GetErasureReceiptResponse>, Status> {
        not_part_of_the_test()
    }

    async fn walk_relations(
        &self,
        _: Request<pb::WalkRelationsRequest>,
    ) -> Result<Response<pb::WalkRelationsResponse>, Status> {
        not_part_of_the_test()
    }

    async fn list_customers(
        &self,
        _: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        not_part_of_the_test()
    }

    async fn search_customers(
        &self,
        _: Request<pb::SearchCustomersRequest>,
    ) -> Result<Response<pb::SearchCustomersResponse>, Status> {
        not_part_of_the_test()
    }

    async fn list_duplicate_candidates(
        &self,
        _: Request<pb::ListDuplicateCandidatesRequest>,
    ) -> Result<Response<pb::ListDuplicateCandidatesResponse>, Status> {
        not_part_of_the_test()
    }

    async fn resolve_identifier(
        &self,
        _: Request<pb::ResolveIdentifierRequest>,
    ) -> Result<Response<pb::ResolveIdentifierResponse>, Status> {
        not_part_of_the_test()
    }

    async fn remove_identifier(
        &self,
        _: Request<pb::RemoveIdentifierRequest>,
    ) -> Result<Response<pb::RemoveIdentifierResponse>, Status> {
        not_part_of_the_test()
    }

    async fn merge_customers(
        &self,
        _: Request<pb::MergeCustomersRequest>,
    ) -> Result<Response<pb::MergeCustomersResponse>, Status> {
        not_part_of_the_test()
    }

    async fn preview_merge(
        &self,
        _: Request<pb::PreviewMergeRequest>,
    ) -> Result<Response<pb::PreviewMergeResponse>, Status> {
        not_part_of_the_test()
    }

    async fn unmerge_customer(
        &self,
        _: Request<pb::UnmergeCustomerRequest>,
    ) -> Result<Response<pb::UnmergeCustomerResponse>, Status> {
        not_part_of_the_test()
    }
}
