//! Creating a campaign on a segment that exists.

use std::time::Duration;

use aggregate::TenantId;
use contracts::{
    campaigns::v1 as pb,
    segmentation::v1::{GetSegmentRequest, segmentation_service_client::SegmentationServiceClient},
};
use event_log::{CommandError, Decision, Stream};
use service::{Caller, command, status};
use tonic::{Code, Status};

use super::{Api, parse, rejected, stored};
use crate::domain::{Campaign, CampaignCommand, CampaignId, CampaignRejection, SegmentId};

/// When a caller may try again after the segmentation service did not answer.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// Why a campaign is not created. A repeat of a request that has taken effect is answered as the first time all the same.
enum Refusal {
    /// The campaign itself says no.
    Campaign(CampaignRejection),
    /// It cannot be made on this segment, or that cannot be found out.
    Segment(Box<Status>),
}

impl From<CampaignRejection> for Refusal {
    fn from(rejection: CampaignRejection) -> Self {
        Self::Campaign(rejection)
    }
}

impl Api {
    /// Creates a draft.
    pub(super) async fn create(
        &self,
        caller: &Caller,
        request: &pb::CreateCampaignRequest,
    ) -> Result<pb::CreateCampaignResponse, Status> {
        let plan = parse::plan(request)?;
        let id = CampaignId(caller.derive_id(&request.request_id, "campaign"));
        let log_request = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?;
        let stream = Stream::of_own(&caller.tenant, id.into());
        let segment = plan.segment;
        let command = CampaignCommand::Create { id, plan };
        let response = pb::CreateCampaignResponse {
            campaign_id: id.to_string(),
            consistency_token: String::new(),
        };
        let decide = || async {
            let mut loaded = self.log.load::<Campaign>(&stream).await?;
            let append = loaded.decide(&command, &log_request).map_err(refusal)?;
            self.require_segment(&caller.tenant, segment)
                .await
                .map_err(|status| CommandError::Rejected(Refusal::Segment(Box::new(status))))?;
            Ok(Decision::new([append], &response))
        };
        let committed = self
            .log
            .transact(&log_request, decide)
            .await
            .map_err(|error| {
                command::refused(error, |refusal| match refusal {
                    Refusal::Campaign(rejection) => rejected(id, rejection),
                    Refusal::Segment(status) => *status,
                })
            })?;
        Ok(pb::CreateCampaignResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    /// Passes if the tenant has this segment.
    async fn require_segment(&self, tenant: &TenantId, segment: SegmentId) -> Result<(), Status> {
        let mut segmentation = SegmentationServiceClient::new(self.segmentation.for_tenant(tenant));
        let request = GetSegmentRequest {
            segment_id: segment.to_string(),
        };
        let Err(status) = segmentation.get_segment(request).await else {
            return Ok(());
        };
        match status.code() {
            Code::NotFound => Err(status::failed_precondition(
                "UNKNOWN_SEGMENT",
                &format!("segment/{segment}"),
                &format!("there is no segment {segment}"),
            )),
            // It has understood the question and does not answer it: somebody has a bug.
            Code::InvalidArgument
            | Code::Unauthenticated
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::AlreadyExists => Err(status::internal(&status)),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => {
                tracing::warn!(
                    error = status::chain(&status),
                    "the segmentation service is not available"
                );
                Err(status::unavailable(
                    "SEGMENTATION_UNAVAILABLE",
                    "it cannot be found out just now whether the segment exists",
                    RETRY_DELAY,
                ))
            }
        }
    }
}

fn refusal(error: CommandError<CampaignRejection>) -> CommandError<Refusal> {
    match error {
        CommandError::Rejected(rejection) => CommandError::Rejected(rejection.into()),
        CommandError::IdempotencyMismatch => CommandError::IdempotencyMismatch,
        CommandError::Contended => CommandError::Contended,
        CommandError::Failed(error) => CommandError::Failed(error),
    }
}
