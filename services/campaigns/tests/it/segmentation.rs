//! A segmentation service whose segments the test defines. It asks for a token as the real one does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aggregate::{CustomerId, TenantId};
use contracts::segmentation::v1::{self as pb, segmentation_service_server::SegmentationService};
use prost_types::Timestamp;
use service::{Caller, status};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// As many pages as a test may ask for.
const UNLIMITED: usize = 1_000_000;

#[derive(Clone)]
pub(crate) struct Segmentation(Arc<Shared>);

struct Shared {
    segments: Mutex<BTreeMap<(TenantId, Uuid), Segment>>,
    asked: Mutex<Vec<Option<Timestamp>>>,
    failures: Mutex<u32>,
    pages: Semaphore,
}

#[derive(Clone)]
struct Segment {
    members: Vec<CustomerId>,
    rule_version: u32,
    page_size_max: usize,
}

impl Default for Segmentation {
    fn default() -> Self {
        Self(Arc::new(Shared {
            segments: Mutex::default(),
            asked: Mutex::default(),
            failures: Mutex::default(),
            pages: Semaphore::new(UNLIMITED),
        }))
    }
}

impl Segmentation {
    /// Defines a segment of these members, in version 3 of its rule.
    pub(crate) fn define(&self, tenant: &TenantId, members: &[CustomerId]) -> Uuid {
        let id = Uuid::new_v4();
        let mut members = members.to_vec();
        members.sort();
        let segment = Segment {
            members,
            rule_version: 3,
            page_size_max: 1000,
        };
        self.0
            .segments
            .lock()
            .unwrap()
            .insert((tenant.clone(), id), segment);
        id
    }

    /// Gives a segment another rule, that selects these.
    pub(crate) fn redefine(&self, tenant: &TenantId, id: Uuid, members: &[CustomerId]) {
        let mut segments = self.0.segments.lock().unwrap();
        let segment = segments.get_mut(&(tenant.clone(), id)).unwrap();
        segment.members = members.to_vec();
        segment.members.sort();
        segment.rule_version += 1;
    }

    pub(crate) fn remove(&self, tenant: &TenantId, id: Uuid) {
        self.0
            .segments
            .lock()
            .unwrap()
            .remove(&(tenant.clone(), id));
    }

    /// Members come in pages of at most this many.
    pub(crate) fn limit_pages(&self, tenant: &TenantId, id: Uuid, page_size_max: usize) {
        let mut segments = self.0.segments.lock().unwrap();
        segments
            .get_mut(&(tenant.clone(), id))
            .unwrap()
            .page_size_max = page_size_max;
    }

    /// Answers this many pages of members, and leaves further questions without an answer until [`Self::release`].
    pub(crate) fn hold_after(&self, pages: usize) {
        self.0.pages.forget_permits(UNLIMITED);
        self.0.pages.add_permits(pages);
    }

    pub(crate) fn release(&self) {
        self.0.pages.add_permits(UNLIMITED);
    }

    /// The next questions for members are answered UNAVAILABLE.
    pub(crate) fn fail(&self, questions: u32) {
        *self.0.failures.lock().unwrap() = questions;
    }

    /// The moments as of which members were asked for.
    pub(crate) fn asked(&self) -> Vec<Option<Timestamp>> {
        self.0.asked.lock().unwrap().clone()
    }

    fn segment(&self, caller: &Caller, id: &str) -> Result<Segment, Status> {
        let uuid: Uuid = id.parse().unwrap();
        let segments = self.0.segments.lock().unwrap();
        let segment = segments.get(&(caller.tenant.clone(), uuid));
        segment
            .cloned()
            .ok_or_else(|| status::not_found("segment", id))
    }
}

fn not_part_of_the_test<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("not part of the test"))
}

#[tonic::async_trait]
impl SegmentationService for Segmentation {
    async fn get_segment(
        &self,
        request: Request<pb::GetSegmentRequest>,
    ) -> Result<Response<pb::GetSegmentResponse>, Status> {
        let caller = Caller::of(&request, "segmentation.read")?;
        self.segment(&caller, &request.into_inner().segment_id)?;
        Ok(Response::new(pb::GetSegmentResponse::default()))
    }

    async fn list_segment_members(
        &self,
        request: Request<pb::ListSegmentMembersRequest>,
    ) -> Result<Response<pb::ListSegmentMembersResponse>, Status> {
        let caller = Caller::of(&request, "segmentation.read")?;
        let request = request.into_inner();
        self.0.asked.lock().unwrap().push(request.as_of);
        let fails = {
            let mut failures = self.0.failures.lock().unwrap();
            let fails = *failures > 0;
            *failures = failures.saturating_sub(1);
            fails
        };
        if fails {
            return Err(Status::unavailable("not now"));
        }
        self.0.pages.acquire().await.unwrap().forget();
        let segment = self.segment(&caller, &request.segment_id)?;
        let start = match request.page_token.as_str() {
            "" => 0,
            token => {
                let last: CustomerId = token.parse().unwrap();
                segment.members.partition_point(|member| *member <= last)
            }
        };
        let size = usize::try_from(request.page_size)
            .unwrap()
            .min(segment.page_size_max);
        let end = (start + size).min(segment.members.len());
        let page = &segment.members[start..end];
        let more = end < segment.members.len();
        Ok(Response::new(pb::ListSegmentMembersResponse {
            members: page
                .iter()
                .map(|customer| pb::SegmentMember {
                    customer_id: customer.to_string(),
                    entered_time: None,
                    rule_version: segment.rule_version,
                })
                .collect(),
            next_page_token: page
                .last()
                .filter(|_| more)
                .map(ToString::to_string)
                .unwrap_or_default(),
            rule_version: segment.rule_version,
        }))
    }

    async fn fit_models(
        &self,
        _: Request<pb::FitModelsRequest>,
    ) -> Result<Response<pb::FitModelsResponse>, Status> {
        not_part_of_the_test()
    }

    async fn get_fit(
        &self,
        _: Request<pb::GetFitRequest>,
    ) -> Result<Response<pb::GetFitResponse>, Status> {
        not_part_of_the_test()
    }

    async fn validate_fit(
        &self,
        _: Request<pb::ValidateFitRequest>,
    ) -> Result<Response<pb::ValidateFitResponse>, Status> {
        not_part_of_the_test()
    }

    async fn get_customer_value(
        &self,
        _: Request<pb::GetCustomerValueRequest>,
    ) -> Result<Response<pb::GetCustomerValueResponse>, Status> {
        not_part_of_the_test()
    }

    async fn list_customer_values(
        &self,
        _: Request<pb::ListCustomerValuesRequest>,
    ) -> Result<Response<pb::ListCustomerValuesResponse>, Status> {
        not_part_of_the_test()
    }

    async fn list_tiers(
        &self,
        _: Request<pb::ListTiersRequest>,
    ) -> Result<Response<pb::ListTiersResponse>, Status> {
        not_part_of_the_test()
    }

    async fn define_segment(
        &self,
        _: Request<pb::DefineSegmentRequest>,
    ) -> Result<Response<pb::DefineSegmentResponse>, Status> {
        not_part_of_the_test()
    }

    async fn update_segment(
        &self,
        _: Request<pb::UpdateSegmentRequest>,
    ) -> Result<Response<pb::UpdateSegmentResponse>, Status> {
        not_part_of_the_test()
    }

    async fn list_segments(
        &self,
        _: Request<pb::ListSegmentsRequest>,
    ) -> Result<Response<pb::ListSegmentsResponse>, Status> {
        not_part_of_the_test()
    }

    async fn preview_segment(
        &self,
        _: Request<pb::PreviewSegmentRequest>,
    ) -> Result<Response<pb::PreviewSegmentResponse>, Status> {
        not_part_of_the_test()
    }

    async fn explain_membership(
        &self,
        _: Request<pb::ExplainMembershipRequest>,
    ) -> Result<Response<pb::ExplainMembershipResponse>, Status> {
        not_part_of_the_test()
    }
}
