//! Registration: the customer and the claims on all identifiers in one step.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
};

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{CommandError, Decision, Request, Stream};
use service::{Caller, command, status::Violations};
use tonic::Status;

use super::{
    Api, message, parse,
    refusal::{self, Refusal, from_rejection},
    stored,
};
use crate::domain::{
    Customer,
    customer::{CustomerCommand, NewIdentifier, RegisterCustomer},
    identifier::Identifier,
};

/// Identifiers in one registration.
const IDENTIFIERS_MAX: usize = 16;

impl Api {
    pub(super) async fn register(
        &self,
        caller: &Caller,
        request: &pb::RegisterCustomerRequest,
    ) -> Result<pb::RegisterCustomerResponse, Status> {
        let (mut registration, identifiers) = registration(caller, request)?;
        for identifier in identifiers {
            let claim = self
                .claim_id(&caller.tenant, &identifier)
                .await
                .map_err(command::failed)?;
            registration
                .identifiers
                .push(NewIdentifier { claim, identifier });
        }
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        // Most who register are new. That they are is taken for granted at first, which spares three queries; the append finds out,
        // where there is one.
        let expect_new = AtomicBool::new(!request.validate_only);
        let committed = self
            .log
            .transact(&recognised, || {
                let expect_new = expect_new.swap(false, Ordering::Relaxed);
                self.decide_registration(&recognised, &registration, expect_new)
            })
            .await
            .map_err(|error| refusal::status(error, registration.customer))?;
        Ok(pb::RegisterCustomerResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    async fn decide_registration(
        &self,
        request: &Request,
        registration: &RegisterCustomer,
        expect_new: bool,
    ) -> Result<Decision, CommandError<Refusal>> {
        let customer = registration.customer;
        let stream = Stream::of_customer(&request.tenant, customer);
        let mut loaded = if expect_new {
            self.log.fresh_subject::<Customer>(&stream).await?
        } else {
            self.log.load::<Customer>(&stream).await?
        };
        let append = loaded
            .decide(&CustomerCommand::Register(registration.clone()), request)
            .map_err(|error| from_rejection(error, Refusal::Customer))?;
        let mut appends = vec![append];
        let mut claimed = HashSet::new();
        for (number, identifier) in registration.identifiers.iter().enumerate() {
            // One that is named twice is claimed once: a stream takes one append of a step.
            if claimed.insert(identifier.claim) {
                let path = format!("identifiers[{number}]");
                let claim = self.claim(request, customer, identifier, &path, expect_new);
                appends.push(claim.await?);
            }
        }
        let response = pb::RegisterCustomerResponse {
            customer_id: customer.to_string(),
            etag: message::etag(loaded.version),
            consistency_token: String::new(),
        };
        Ok(Decision::new(appends, &response))
    }
}

/// The registration that a request asks for, still without its identifiers, and these.
fn registration(
    caller: &Caller,
    request: &pb::RegisterCustomerRequest,
) -> Result<(RegisterCustomer, Vec<Identifier>), Status> {
    let mut violations = Violations::new();
    let customer = if request.customer_id.is_empty() {
        Some(CustomerId(
            caller.derive_id(&request.request_id, "customer"),
        ))
    } else {
        parse::customer_id(&mut violations, &request.customer_id)
    };
    let kind = parse::kind(&mut violations, request.kind);
    let affiliation = parse::affiliation(&mut violations, request.affiliation, kind);
    let profile = parse::profile(
        &mut violations,
        request.profile.as_ref(),
        kind,
        caller.now.date(),
    );
    let at = parse::happened(
        &mut violations,
        "registered_time",
        request.registered_time.as_ref(),
        caller.now,
    );
    let few = request.identifiers.len() <= IDENTIFIERS_MAX;
    violations.check(few, "identifiers", "must be 16 at most");
    let mut identifiers = Vec::new();
    for (number, message) in request.identifiers.iter().take(IDENTIFIERS_MAX).enumerate() {
        let path = format!("identifiers[{number}]");
        if let Some(given) = parse::identifier(&mut violations, &path, Some(message)) {
            let identifier = given.in_country(profile.country.as_ref());
            identifiers.extend(violations.parsed(&format!("{path}.value"), identifier));
        }
    }
    let command = customer.zip(kind).zip(affiliation).zip(at).map(
        |(((customer, kind), affiliation), registered_at)| RegisterCustomer {
            customer,
            kind,
            affiliation,
            profile,
            identifiers: Vec::new(),
            registered_at,
        },
    );
    Ok((parse::complete(violations, command)?, identifiers))
}
