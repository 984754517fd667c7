//! Reads: one customer from its stream, many from the read model, the owner of an identifier from its claim.

use aggregate::{CustomerId, TenantId};
use contracts::customers::v1 as pb;
use event_log::timestamp;
use service::{
    Caller, command,
    page::{self, Query},
    status::{self, Violations},
};
use time::OffsetDateTime;
use tonic::Status;
use uuid::Uuid;

use super::{Api, identifier::claim_stream, message, parse};
use crate::{
    domain::{IdentifierClaim, identifier::Identifier},
    read_model::{self, Place},
};

impl Api {
    pub(super) async fn customer(
        &self,
        caller: &Caller,
        request: &pb::GetCustomerRequest,
    ) -> Result<pb::GetCustomerResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let as_of = request.as_of.as_ref().map(timestamp::from_proto);
        let as_of = as_of.and_then(|moment| violations.parsed("as_of", moment));
        let customer = parse::complete(violations, customer)?;
        let loaded = self
            .surviving_as_of(&caller.tenant, customer, as_of)
            .await
            .map_err(command::failed)?;
        // A past state has no version: what was told late stands behind events that had not happened yet.
        let etag = if as_of.is_none() {
            message::etag(loaded.version)
        } else {
            String::new()
        };
        let found = message::customer(&loaded.state, etag, as_of.unwrap_or(caller.now));
        let found = found.ok_or_else(|| status::not_found("customer", &customer.to_string()))?;
        Ok(pb::GetCustomerResponse {
            customer: Some(found),
        })
    }

    pub(super) async fn customers(
        &self,
        caller: &Caller,
        request: &pb::ListCustomersRequest,
    ) -> Result<pb::ListCustomersResponse, Status> {
        let mut violations = Violations::new();
        let filter = parse::filter(&mut violations, &request.filter);
        let order = parse::order(&mut violations, &request.order_by);
        violations.into_result()?;
        let size = page::size(request.page_size, &self.limits)?;
        let query = Query::new("ListCustomers")
            .with(caller.tenant.as_str())
            .with(&request.filter)
            .with(&request.order_by);
        let after: Option<(Vec<OffsetDateTime>, Uuid)> = query.cursor(&request.page_token)?;
        let after = after.map(|(moments, id)| Place {
            moments,
            customer: CustomerId(id),
        });
        if after.as_ref().is_some_and(|place| !order.has(place)) {
            return Err(status::invalid_field("page_token", "is not a page token"));
        }
        caller
            .wait(
                &self.log,
                &self.list,
                self.log.name(),
                &request.consistency_token,
            )
            .await?;
        // One more than asked for tells whether there is a next page.
        let mut customers = read_model::page(
            self.log.pool(),
            &caller.tenant,
            filter.as_ref(),
            &order,
            after.as_ref(),
            size + 1,
        )
        .await
        .map_err(command::database)?;
        let has_more = customers.len() > size as usize;
        customers.truncate(size as usize);
        let next_page_token = match customers.last() {
            Some(last) if has_more => {
                let place = order.place(last);
                query.token(&(place.moments, place.customer.0))
            }
            Some(_) | None => String::new(),
        };
        Ok(pb::ListCustomersResponse {
            customers: customers.iter().map(message::listed).collect(),
            next_page_token,
        })
    }

    pub(super) async fn resolve(
        &self,
        caller: &Caller,
        request: &pb::ResolveIdentifierRequest,
    ) -> Result<pb::ResolveIdentifierResponse, Status> {
        let mut violations = Violations::new();
        let given = parse::identifier(&mut violations, "identifier", request.identifier.as_ref());
        let identifier =
            given.and_then(|given| violations.parsed("identifier.value", given.in_country(None)));
        let as_of = request.as_of.as_ref().map(timestamp::from_proto);
        let as_of = as_of.and_then(|moment| violations.parsed("as_of", moment));
        let identifier = parse::complete(violations, identifier)?;
        let owner = self.owner_of(&caller.tenant, &identifier, as_of).await?;
        let owner = owner.ok_or_else(|| status::not_found("identifier", "identifier"))?;
        Ok(pb::ResolveIdentifierResponse {
            customer_id: owner.to_string(),
        })
    }

    /// Who owns an identifier, or owned it at a past moment.
    pub(super) async fn owner_of(
        &self,
        tenant: &TenantId,
        identifier: &Identifier,
        as_of: Option<OffsetDateTime>,
    ) -> Result<Option<CustomerId>, Status> {
        let claim = self.claim_id(tenant, identifier).await;
        let stream = claim_stream(tenant, claim.map_err(command::failed)?);
        let loaded = self
            .log
            .load_as_of::<IdentifierClaim>(&stream, as_of)
            .await
            .map_err(command::failed)?;
        Ok(loaded.state.owner())
    }
}
