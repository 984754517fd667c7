//! Identifiers: adding one to a customer and taking it away, and the claims that keep each to one owner.

use aggregate::{CustomerId, StreamId, TenantId};
use contracts::customers::v1 as pb;
use event_log::{Append, CommandError, Decision, Loaded, LogError, Request, Stream};
use service::{Caller, command, status::Violations};
use tonic::Status;
use uuid::Uuid;

use super::{
    Api,
    change::{as_named, named},
    message, parse,
    refusal::{self, Refusal, from_rejection},
    stored,
};
use crate::{
    domain::{
        Customer, IdentifierClaim,
        claim::{ClaimCommand, ClaimIdentifier, IdentifierTaken},
        customer::{CustomerCommand, CustomerRejection, NewIdentifier},
        identifier::{ClaimId, GivenIdentifier, Identifier, IdentifierType},
    },
    wire,
};

impl Api {
    pub(super) async fn add(
        &self,
        caller: &Caller,
        request: &pb::AddIdentifierRequest,
    ) -> Result<pb::AddIdentifierResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let given = parse::identifier(&mut violations, "identifier", request.identifier.as_ref());
        let (customer, given) = parse::complete(violations, customer.zip(given))?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let committed = self
            .log
            .transact(&recognised, || {
                self.decide_addition(&recognised, customer, &given)
            })
            .await
            .map_err(|error| refusal::status(error, customer))?;
        let response: pb::AddIdentifierResponse = stored(&committed)?;
        let identifier = if request.validate_only {
            self.normalised(&caller.tenant, customer, &given).await?
        } else {
            self.revealed(&caller.tenant, customer, response.identifier)
                .await?
        };
        Ok(pb::AddIdentifierResponse {
            identifier,
            consistency_token: committed.token.to_string(),
            ..response
        })
    }

    async fn decide_addition(
        &self,
        request: &Request,
        customer: CustomerId,
        given: &GivenIdentifier,
    ) -> Result<Decision, CommandError<Refusal>> {
        let (mut loaded, owner, identifier) = self.meant(request, customer, given).await?;
        let claimed = self
            .claim(request, owner, &identifier, "identifier", false)
            .await?;
        let response_identifier = concealed(&identifier);
        let add = CustomerCommand::AddIdentifier {
            identifier,
            at: request.now,
        };
        let added = loaded
            .decide(&as_named(named(&loaded, customer), add), request)
            .map_err(|error| from_rejection(error, Refusal::Customer))?;
        let response = pb::AddIdentifierResponse {
            identifier: Some(response_identifier),
            etag: message::etag(loaded.version),
            consistency_token: String::new(),
        };
        // The customer comes first: its partition is the one that the consistency token stands for.
        Ok(Decision::new([added, claimed], &response))
    }

    /// Who goes on for the customer, with its id, and the identifier as it means it.
    async fn meant(
        &self,
        request: &Request,
        customer: CustomerId,
        given: &GivenIdentifier,
    ) -> Result<(Loaded<Customer>, CustomerId, NewIdentifier), CommandError<Refusal>> {
        let loaded = self.surviving(&request.tenant, customer).await?;
        // Before the country of nobody is asked for.
        let registration = loaded.state.registration().ok_or_else(|| {
            CommandError::Rejected(Refusal::Customer(CustomerRejection::NotRegistered))
        })?;
        let owner = registration.customer;
        let identifier = given
            .in_country(loaded.state.profile().country.as_ref())
            .map_err(|error| CommandError::Rejected(Refusal::Phone(error)))?;
        let claim = self.claim_id(&request.tenant, &identifier).await?;
        Ok((loaded, owner, NewIdentifier { claim, identifier }))
    }

    pub(super) async fn remove(
        &self,
        caller: &Caller,
        request: &pb::RemoveIdentifierRequest,
    ) -> Result<pb::RemoveIdentifierResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let given = parse::identifier(&mut violations, "identifier", request.identifier.as_ref());
        let (customer, given) = parse::complete(violations, customer.zip(given))?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let committed = self
            .log
            .transact(&recognised, || {
                self.decide_removal(&recognised, customer, &given)
            })
            .await
            .map_err(|error| refusal::status(error, customer))?;
        Ok(pb::RemoveIdentifierResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    async fn decide_removal(
        &self,
        request: &Request,
        customer: CustomerId,
        given: &GivenIdentifier,
    ) -> Result<Decision, CommandError<Refusal>> {
        let (mut loaded, owner, NewIdentifier { claim, identifier }) =
            self.meant(request, customer, given).await?;
        let at = request.now;
        let removed = loaded
            .decide(&CustomerCommand::RemoveIdentifier { claim, at }, request)
            .map_err(|error| from_rejection(error, Refusal::Customer))?;
        let release = ClaimCommand::Release(ClaimIdentifier {
            claim,
            customer: owner,
            type_: identifier.type_(),
        });
        let released = self.on_claim(request, claim, &release).await?;
        let response = pb::RemoveIdentifierResponse {
            etag: message::etag(loaded.version),
            consistency_token: String::new(),
        };
        Ok(Decision::new([removed, released], &response))
    }

    /// A command on a claim that its owner may give.
    pub(super) async fn on_claim(
        &self,
        request: &Request,
        claim: ClaimId,
        command: &ClaimCommand,
    ) -> Result<Append, CommandError<Refusal>> {
        let stream = claim_stream(&request.tenant, claim);
        let mut loaded = self.log.load::<IdentifierClaim>(&stream).await?;
        let path = "identifier".to_owned();
        loaded.decide(command, request).map_err(|error| {
            from_rejection(error, |IdentifierTaken| Refusal::IdentifierTaken { path })
        })
    }

    /// The identifier as it would be shown if the customer had it.
    async fn normalised(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        given: &GivenIdentifier,
    ) -> Result<Option<pb::Identifier>, Status> {
        let loaded = self.surviving(tenant, customer).await;
        let state = loaded.map_err(command::failed)?.state;
        let identifier = given.in_country(state.profile().country.as_ref());
        Ok(identifier
            .ok()
            .map(|identifier| message::shown(identifier.type_(), Some(&identifier))))
    }

    /// The identifier that a stored response stands for.
    async fn revealed(
        &self,
        tenant: &TenantId,
        customer: CustomerId,
        concealed: Option<pb::Identifier>,
    ) -> Result<Option<pb::Identifier>, Status> {
        let claim = concealed
            .and_then(|identifier| Uuid::try_parse(&identifier.value).ok())
            .map(ClaimId);
        let loaded = self.surviving(tenant, customer).await;
        let loaded = loaded.map_err(command::failed)?;
        let mut identifiers = loaded.state.identifiers().iter();
        Ok(identifiers
            .find(|owned| Some(owned.claim) == claim)
            .map(message::identifier))
    }

    /// Claims an identifier for a customer; `path` says where it stands in the request. With `expect_new` it is taken for granted that
    /// nobody has it, and the append finds out.
    pub(super) async fn claim(
        &self,
        request: &Request,
        customer: CustomerId,
        identifier: &NewIdentifier,
        path: &str,
        expect_new: bool,
    ) -> Result<Append, CommandError<Refusal>> {
        let stream = claim_stream(&request.tenant, identifier.claim);
        let mut loaded = if expect_new {
            self.log.fresh::<IdentifierClaim>(&stream).await?
        } else {
            self.log.load::<IdentifierClaim>(&stream).await?
        };
        let command = ClaimCommand::Claim(ClaimIdentifier {
            claim: identifier.claim,
            customer,
            type_: identifier.identifier.type_(),
        });
        loaded.decide(&command, request).map_err(|error| {
            from_rejection(error, |IdentifierTaken| Refusal::IdentifierTaken {
                path: path.to_owned(),
            })
        })
    }

    /// The claim on an identifier: always the same within a tenant, and of no use to whoever has not the tenant's key.
    pub(super) async fn claim_id(
        &self,
        tenant: &TenantId,
        identifier: &Identifier,
    ) -> Result<ClaimId, LogError> {
        let type_ = match identifier.type_() {
            IdentifierType::Email => "email",
            IdentifierType::Phone => "phone",
            IdentifierType::External => "external",
            IdentifierType::Tckn => "tckn",
            IdentifierType::Vkn => "vkn",
        };
        // No part has control characters, so that no two identifiers give the same text.
        let text = [type_, identifier.system(), identifier.value()].join("\0");
        let digest = self
            .log
            .keys()
            .digest(tenant, "identifier", text.as_bytes())
            .await?;
        let (id, _) = digest.split_first_chunk().expect("a digest has 32 bytes");
        Ok(ClaimId(Uuid::from_bytes(*id)))
    }
}

/// The stream of a claim. It belongs to no customer and holds nothing personal.
pub(super) fn claim_stream(tenant: &TenantId, claim: ClaimId) -> Stream {
    Stream::of_own(tenant, StreamId(claim.0))
}

/// The identifier as a response keeps it that is stored for a repeat, which must hold nothing personal: the claim stands for
/// the value.
fn concealed(identifier: &NewIdentifier) -> pb::Identifier {
    pb::Identifier {
        r#type: wire::identifier_type(identifier.identifier.type_()).into(),
        value: identifier.claim.0.to_string(),
        system: String::new(),
    }
}
