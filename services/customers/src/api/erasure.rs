//! Erasure of a customer, and the receipt of what was destroyed where.

use aggregate::CustomerId;
use contracts::{common::v1 as common, customers::v1 as pb};
use event_log::{CommandError, Decision, Request, Stored as _, Stream, Subject, Wiped, timestamp};
use futures::future::join_all;
use service::{
    Caller, Erasures, ServiceName, command,
    status::{self, Violations},
};
use tonic::Status;

use super::{
    Api, message, parse,
    refusal::{self, Refusal, from_rejection},
    stored,
};
use crate::{
    domain::{
        Customer,
        claim::{ClaimCommand, ClaimIdentifier},
        customer::CustomerCommand,
        erasure::Erasure,
    },
    read_model, wire,
};

impl Api {
    pub(super) async fn erase(
        &self,
        caller: &Caller,
        request: &pb::EraseCustomerRequest,
    ) -> Result<pb::EraseCustomerResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let reason = wire::parse_erasure_reason(request.reason);
        violations.check(reason.is_some(), "reason", "must be given");
        let seen = parse::etag(&mut violations, &request.etag);
        let (customer, reason) = parse::complete(violations, customer.zip(reason))?;
        let erasure = Erasure {
            reason,
            at: caller.now,
        };
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let committed = self
            .log
            .transact(&recognised, || {
                self.decide_erasure(&recognised, customer, erasure, seen)
            })
            .await
            .map_err(|error| refusal::status(error, customer))?;
        Ok(pb::EraseCustomerResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    /// Erases the customer with all who were merged into it, and releases the identifiers in the same step.
    async fn decide_erasure(
        &self,
        request: &Request,
        customer: CustomerId,
        erasure: Erasure,
        seen: Option<i64>,
    ) -> Result<Decision, CommandError<Refusal>> {
        let mut loaded = self.at_version(request, customer, seen).await?;
        let owned = loaded.state.identifiers().to_vec();
        let merged: Vec<CustomerId> = loaded.state.mergers().ids().collect();
        let registration = loaded.state.registration();
        let owner = registration.map_or(customer, |registration| registration.customer);
        let erase = CustomerCommand::Erase(erasure);
        let erased = loaded
            .decide(&erase, request)
            .map_err(|error| from_rejection(error, Refusal::Customer))?;
        let mut appends = vec![erased];
        // All of them are one and the same, and each has a key of its own.
        for one in merged {
            let mut one = self.as_it_is(request, one).await?;
            let erased = one.decide(&erase, request);
            appends.push(erased.map_err(|error| from_rejection(error, Refusal::Customer))?);
        }
        for identifier in owned {
            let release = ClaimCommand::Release(ClaimIdentifier {
                claim: identifier.claim,
                customer: owner,
                type_: identifier.type_,
            });
            appends.push(self.on_claim(request, identifier.claim, &release).await?);
        }
        let response = pb::EraseCustomerResponse {
            etag: message::etag(loaded.version),
            consistency_token: String::new(),
        };
        Ok(Decision::new(appends, &response))
    }

    pub(super) async fn receipt(
        &self,
        caller: &Caller,
        request: &pb::GetErasureReceiptRequest,
    ) -> Result<pb::GetErasureReceiptResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let customer = parse::complete(violations, customer)?;
        let stream = Stream::of_customer(&caller.tenant, customer);
        let events = self
            .log
            .read_stream(&stream)
            .await
            .map_err(command::failed)?;
        if events.is_empty() {
            return Err(status::not_found("customer", &customer.to_string()));
        }
        let erased = events
            .iter()
            .find(|event| Some(event.type_.as_str()) == Customer::ERASURE)
            .ok_or_else(|| {
                status::failed_precondition(
                    "CUSTOMER_NOT_ERASED",
                    &format!("customer/{customer}"),
                    "the customer was not erased",
                )
            })?;
        let told: pb::CustomerErased =
            erased.message().map_err(|error| status::internal(&error))?;
        let subject = Subject {
            tenant: caller.tenant.clone(),
            customer,
        };
        let asked = self
            .erasures
            .iter()
            .map(|erasures| service_erasure(erasures, &subject));
        let services = join_all(asked).await;
        Ok(pb::GetErasureReceiptResponse {
            erasure: Some(pb::Erasure {
                reason: told.reason,
                erased_time: told.erased_time,
            }),
            // Metadata that cannot be read is none.
            actor: erased.metadata().unwrap_or_default().actor,
            event_id: erased.event_id.to_string(),
            complete: services
                .iter()
                .all(|service| service.state() == pb::ErasureState::Done),
            services,
        })
    }
}

/// Others destroy key and rows in one step. Here the key goes with the event, and the rows when they follow it.
fn is_done(service: ServiceName, wiped: &[Wiped]) -> bool {
    let mut wiped = wiped.iter();
    match service {
        ServiceName::Customers => wiped.any(|wiped| wiped.what == read_model::TABLE),
        ServiceName::Interactions | ServiceName::Segmentation | ServiceName::Campaigns => {
            wiped.next().is_some()
        }
    }
}

async fn service_erasure(erasures: &Erasures, subject: &Subject) -> pb::ServiceErasure {
    let (state, wiped) = match erasures.of(subject).await {
        Some(wiped) if is_done(erasures.service(), &wiped) => (pb::ErasureState::Done, wiped),
        Some(wiped) => (pb::ErasureState::Pending, wiped),
        None => (pb::ErasureState::Unknown, Vec::new()),
    };
    pb::ServiceErasure {
        service: erasures.service().to_string(),
        state: state.into(),
        wiped: wiped
            .into_iter()
            .map(|wiped| common::Wiped {
                what: wiped.what,
                rows: wiped.rows,
                wiped_time: Some(timestamp::to_proto(wiped.wiped_at)),
            })
            .collect(),
    }
}
