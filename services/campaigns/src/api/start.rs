//! Starting a campaign. The decisions follow in the background.

use contracts::campaigns::v1 as pb;
use event_log::Stream;
use service::{Caller, command};
use tonic::Status;

use super::{Api, parse, rejected};
use crate::domain::{Campaign, CampaignCommand};

impl Api {
    /// Starts a draft.
    pub(super) async fn start(
        &self,
        caller: &Caller,
        request: &pb::StartCampaignRequest,
    ) -> Result<pb::StartCampaignResponse, Status> {
        let (id, retrospective_as_of) = parse::start(request, caller.now)?;
        // Told apart here from a stream that is something else; a campaign never goes away again.
        self.campaign(&caller.tenant, id).await?;
        let log_request = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?;
        let command = CampaignCommand::Start {
            id,
            effective_at: retrospective_as_of.unwrap_or(caller.now),
            retrospective: retrospective_as_of.is_some(),
        };
        let stream = Stream::of_own(&caller.tenant, id.into());
        let committed = self
            .log
            .execute::<Campaign, _>(&log_request, &stream, &command, |_| {
                pb::StartCampaignResponse::default()
            })
            .await
            .map_err(|error| command::refused(error, |rejection| rejected(id, rejection)))?;
        self.started.notify_one();
        Ok(pb::StartCampaignResponse {
            consistency_token: committed.token.to_string(),
        })
    }
}
