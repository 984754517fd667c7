//! Consents: recording and withdrawing them.

use contracts::customers::v1 as pb;
use service::{Caller, status::Violations};
use tonic::Status;

use super::{Api, parse};

impl Api {
    pub(super) async fn record(
        &self,
        caller: &Caller,
        request: &pb::RecordConsentRequest,
    ) -> Result<pb::RecordConsentResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let command = parse::consent(&mut violations, request, caller.now);
        let (customer, command) = parse::complete(violations, customer.zip(command))?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let changed = self.change(&recognised, customer, &command).await?;
        Ok(pb::RecordConsentResponse {
            etag: changed.etag,
            consistency_token: changed.consistency_token,
        })
    }

    pub(super) async fn withdraw(
        &self,
        caller: &Caller,
        request: &pb::WithdrawConsentRequest,
    ) -> Result<pb::WithdrawConsentResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let command = parse::withdrawal(&mut violations, request, caller.now);
        let (customer, command) = parse::complete(violations, customer.zip(command))?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let changed = self.change(&recognised, customer, &command).await?;
        Ok(pb::WithdrawConsentResponse {
            etag: changed.etag,
            consistency_token: changed.consistency_token,
        })
    }
}
