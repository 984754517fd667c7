//! Following relations from one customer to the next.

use std::collections::{BTreeSet, VecDeque};

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::timestamp;
use service::{
    Caller, command,
    status::{self, Violations},
};
use tonic::Status;

use super::{Api, message, parse, refusal};
use crate::wire;

/// Customers in one hierarchy or household that are looked at.
pub(super) const PARTIES_MAX: usize = 1000;

impl Api {
    pub(super) async fn walk(
        &self,
        caller: &Caller,
        request: &pb::WalkRelationsRequest,
    ) -> Result<pb::WalkRelationsResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let type_ = wire::parse_relation_type(request.r#type);
        violations.check(type_.is_some(), "type", "must be given");
        let as_of = request.as_of.as_ref().map(timestamp::from_proto);
        let as_of = as_of.and_then(|moment| violations.parsed("as_of", moment));
        let (customer, type_) = parse::complete(violations, customer.zip(type_))?;
        let mut relations = Vec::new();
        let mut told = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut next: VecDeque<CustomerId> = [customer].into();
        while let Some(party) = next.pop_front() {
            if seen.contains(&party) {
                continue;
            }
            let loaded = self
                .surviving_as_of(&caller.tenant, party, as_of)
                .await
                .map_err(command::failed)?;
            let Some(registration) = loaded.state.registration() else {
                if party == customer {
                    return Err(status::not_found("customer", &customer.to_string()));
                }
                continue;
            };
            // Whoever was merged is one with who goes on, and stands here once.
            if !seen.insert(registration.customer) {
                continue;
            }
            // What is folded as of a moment has not ended by then.
            let lasting = loaded
                .state
                .relations()
                .iter()
                .filter(|relation| relation.type_ == type_ && relation.period.end.is_none());
            for relation in lasting {
                if told.insert(relation.id) {
                    relations.push(message::relation(relation));
                }
                next.extend([relation.from, relation.to]);
            }
            if seen.len() > PARTIES_MAX {
                return Err(refusal::hierarchy_too_large(customer));
            }
        }
        Ok(pb::WalkRelationsResponse { relations })
    }
}
