//! Following relations from one customer to the next.

use std::collections::{BTreeSet, VecDeque};

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{Stream, timestamp};
use service::{
    Caller, command,
    status::{self, Violations},
};
use tonic::Status;

use super::{Api, message, parse, refusal};
use crate::{domain::Customer, wire};

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
        let mut seen = BTreeSet::from([customer]);
        let mut next: VecDeque<CustomerId> = [customer].into();
        while let Some(party) = next.pop_front() {
            let stream = Stream::of_customer(&caller.tenant, party);
            let loaded = self
                .log
                .load_as_of::<Customer>(&stream, as_of)
                .await
                .map_err(command::failed)?;
            if party == customer && loaded.state.registration().is_none() {
                return Err(status::not_found("customer", &customer.to_string()));
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
                next.extend(
                    [relation.from, relation.to]
                        .into_iter()
                        .filter(|party| seen.insert(*party)),
                );
            }
            if seen.len() > PARTIES_MAX {
                return Err(refusal::hierarchy_too_large(customer));
            }
        }
        Ok(pb::WalkRelationsResponse { relations })
    }
}
