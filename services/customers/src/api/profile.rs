//! Changes of the profile.

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{CommandError, Decision, Request};
use service::{Caller, status::Violations};
use tonic::Status;

use super::{
    Api,
    change::{as_named, named},
    message, parse,
    refusal::{self, Refusal, from_rejection},
    stored,
};
use crate::domain::customer::CustomerCommand;

impl Api {
    pub(super) async fn update(
        &self,
        caller: &Caller,
        request: &pb::UpdateProfileRequest,
    ) -> Result<pb::UpdateProfileResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let change = parse::profile_change(
            &mut violations,
            request.profile.as_ref(),
            request.update_mask.as_ref(),
            caller.now.date(),
        );
        let seen = parse::etag(&mut violations, &request.etag);
        let customer = parse::complete(violations, customer)?;
        let command = CustomerCommand::UpdateProfile(change);
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let committed = self
            .log
            .transact(&recognised, || {
                self.decide_update(&recognised, customer, &command, seen)
            })
            .await
            .map_err(|error| refusal::status(error, customer))?;
        Ok(pb::UpdateProfileResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    async fn decide_update(
        &self,
        request: &Request,
        customer: CustomerId,
        command: &CustomerCommand,
        seen: Option<i64>,
    ) -> Result<Decision, CommandError<Refusal>> {
        let mut loaded = self.at_version(request, customer, seen).await?;
        let command = as_named(named(&loaded, customer), command.clone());
        let append = loaded
            .decide(&command, request)
            .map_err(|error| from_rejection(error, Refusal::Customer))?;
        let response = pb::UpdateProfileResponse {
            etag: message::etag(loaded.version),
            consistency_token: String::new(),
        };
        Ok(Decision::new([append], &response))
    }
}
