//! Stages of life.

use contracts::customers::v1 as pb;
use service::{Caller, status::Violations};
use tonic::Status;

use super::{Api, parse};
use crate::{
    domain::{Label, customer::CustomerCommand},
    wire,
};

impl Api {
    pub(super) async fn change_stage(
        &self,
        caller: &Caller,
        request: &pb::ChangeLifecycleStageRequest,
    ) -> Result<pb::ChangeLifecycleStageResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let stage = wire::parse_stage(request.stage);
        violations.check(stage.is_some(), "stage", "must be given");
        let reason = parse::optional(&mut violations, "reason", &request.reason, Label::parse);
        let at = parse::happened(
            &mut violations,
            "effective_time",
            request.effective_time.as_ref(),
            caller.now,
        );
        let given = customer.zip(stage).zip(at);
        let ((customer, stage), at) = parse::complete(violations, given)?;
        let command = CustomerCommand::ChangeStage { stage, reason, at };
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let changed = self.change(&recognised, customer, &command).await?;
        Ok(pb::ChangeLifecycleStageResponse {
            etag: changed.etag,
            consistency_token: changed.consistency_token,
        })
    }
}
