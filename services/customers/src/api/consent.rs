//! Consents: recording and withdrawing them.

use contracts::customers::v1 as pb;
use service::{Caller, status::Violations};
use tonic::Status;

use super::{Api, parse, stored};

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
        let committed = self
            .change(&recognised, customer, &command, |etag| {
                pb::RecordConsentResponse {
                    etag,
                    consistency_token: String::new(),
                }
            })
            .await?;
        Ok(pb::RecordConsentResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
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
        let committed = self
            .change(&recognised, customer, &command, |etag| {
                pb::WithdrawConsentResponse {
                    etag,
                    consistency_token: String::new(),
                }
            })
            .await?;
        Ok(pb::WithdrawConsentResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }
}
