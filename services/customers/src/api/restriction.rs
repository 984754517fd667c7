//! Restriction of processing.

use contracts::customers::v1 as pb;
use service::{Caller, status::Violations};
use tonic::Status;

use super::{Api, parse};
use crate::{domain::customer::CustomerCommand, wire};

impl Api {
    pub(super) async fn restrict(
        &self,
        caller: &Caller,
        request: &pb::RestrictProcessingRequest,
    ) -> Result<pb::RestrictProcessingResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let reason = wire::parse_restriction_reason(request.reason);
        violations.check(reason.is_some(), "reason", "must be given");
        let at = request.restricted_time.as_ref();
        let at = parse::happened(&mut violations, "restricted_time", at, caller.now);
        let given = customer.zip(reason).zip(at);
        let ((customer, reason), at) = parse::complete(violations, given)?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let command = CustomerCommand::Restrict { reason, at };
        let changed = self.change(&recognised, customer, &command).await?;
        Ok(pb::RestrictProcessingResponse {
            etag: changed.etag,
            consistency_token: changed.consistency_token,
        })
    }

    pub(super) async fn lift(
        &self,
        caller: &Caller,
        request: &pb::LiftRestrictionRequest,
    ) -> Result<pb::LiftRestrictionResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let at = request.lifted_time.as_ref();
        let at = parse::happened(&mut violations, "lifted_time", at, caller.now);
        let (customer, at) = parse::complete(violations, customer.zip(at))?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let command = CustomerCommand::LiftRestriction { at };
        let changed = self.change(&recognised, customer, &command).await?;
        Ok(pb::LiftRestrictionResponse {
            etag: changed.etag,
            consistency_token: changed.consistency_token,
        })
    }
}
