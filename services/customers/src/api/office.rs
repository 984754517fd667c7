//! Who looks after a customer: the front-office owner, who must be an employee, and the back-office team.

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{CommandError, Decision, Request};
use service::{Caller, status::Violations};
use tonic::Status;

use super::{
    Api, message, parse,
    refusal::{self, Refusal, from_rejection},
    stored,
};
use crate::domain::{Label, customer::CustomerCommand, office::Owner, profile::Affiliation};

impl Api {
    pub(super) async fn give_owner(
        &self,
        caller: &Caller,
        request: &pb::AssignOwnerRequest,
    ) -> Result<pb::AssignOwnerResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let employee = parse::party_id(&mut violations, "employee_id", &request.employee_id);
        let role = violations.parsed("role", Label::parse(&request.role));
        let at = parse::happened(
            &mut violations,
            "assigned_time",
            request.assigned_time.as_ref(),
            caller.now,
        );
        let owner = employee
            .zip(role)
            .map(|(employee, role)| Owner { employee, role });
        let given = customer.zip(owner).zip(at);
        let ((customer, owner), at) = parse::complete(violations, given)?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let employee = owner.employee;
        let command = CustomerCommand::AssignOwner { owner, at };
        let committed = self
            .log
            .transact(&recognised, || {
                self.decide_owner(&recognised, customer, employee, &command)
            })
            .await
            .map_err(|error| refusal::status(error, customer))?;
        Ok(pb::AssignOwnerResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    /// Decides on the customer, once it is certain that the owner is an employee: what somebody was registered as never changes.
    async fn decide_owner(
        &self,
        request: &Request,
        customer: CustomerId,
        employee: CustomerId,
        command: &CustomerCommand,
    ) -> Result<Decision, CommandError<Refusal>> {
        let mut loaded = self.surviving(&request.tenant, customer).await?;
        let append = loaded
            .decide(command, request)
            .map_err(|error| from_rejection(error, Refusal::Customer))?;
        let owner = self.surviving(&request.tenant, employee).await?.state;
        if owner.erasure().is_some() {
            let party = employee;
            return Err(CommandError::Rejected(Refusal::PartyErased { party }));
        }
        match owner.registration().map(|owner| owner.affiliation) {
            Some(Affiliation::Internal) => {}
            Some(Affiliation::External) => {
                return Err(CommandError::Rejected(Refusal::OwnerNotInternal {
                    employee,
                }));
            }
            None => return Err(CommandError::Rejected(Refusal::NoSuchOwner { employee })),
        }
        let response = pb::AssignOwnerResponse {
            etag: message::etag(loaded.version),
            consistency_token: String::new(),
        };
        Ok(Decision::new([append], &response))
    }

    pub(super) async fn take_owner(
        &self,
        caller: &Caller,
        request: &pb::ReleaseOwnerRequest,
    ) -> Result<pb::ReleaseOwnerResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let at = parse::happened(
            &mut violations,
            "released_time",
            request.released_time.as_ref(),
            caller.now,
        );
        let (customer, at) = parse::complete(violations, customer.zip(at))?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let command = CustomerCommand::ReleaseOwner { at };
        let changed = self.change(&recognised, customer, &command).await?;
        Ok(pb::ReleaseOwnerResponse {
            etag: changed.etag,
            consistency_token: changed.consistency_token,
        })
    }

    pub(super) async fn give_team(
        &self,
        caller: &Caller,
        request: &pb::AssignTeamRequest,
    ) -> Result<pb::AssignTeamResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let team = parse::optional(&mut violations, "team", &request.team, Label::parse);
        let at = parse::happened(
            &mut violations,
            "assigned_time",
            request.assigned_time.as_ref(),
            caller.now,
        );
        let (customer, at) = parse::complete(violations, customer.zip(at))?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let command = CustomerCommand::AssignTeam { team, at };
        let changed = self.change(&recognised, customer, &command).await?;
        Ok(pb::AssignTeamResponse {
            etag: changed.etag,
            consistency_token: changed.consistency_token,
        })
    }
}
