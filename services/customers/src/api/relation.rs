//! Relations: both customers take them over in one step, and no hierarchy leads back to where it began.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{CommandError, Decision, Loaded, Request};
use service::{Caller, status::Violations};
use time::OffsetDateTime;
use tonic::Status;

use super::{
    Api, message, parse,
    refusal::{self, Refusal, from_rejection},
    stored,
    walk::PARTIES_MAX,
};
use crate::{
    domain::{
        Customer,
        customer::{CustomerCommand, CustomerRejection},
        relation::{Ascent, Period, Relation, RelationId},
    },
    wire,
};

impl Api {
    pub(super) async fn relate(
        &self,
        caller: &Caller,
        request: &pb::AddRelationRequest,
    ) -> Result<pb::AddRelationResponse, Status> {
        let mut violations = Violations::new();
        let from = parse::customer_id(&mut violations, &request.customer_id);
        let type_ = wire::parse_relation_type(request.r#type);
        violations.check(type_.is_some(), "type", "must be given");
        let path = "related_customer_id";
        let to = parse::party_id(&mut violations, path, &request.related_customer_id);
        let start = request.start_time.as_ref();
        let start = parse::happened(&mut violations, "start_time", start, caller.now);
        let given = from.zip(to).zip(type_).zip(start);
        let (((from, to), type_), start) = parse::complete(violations, given)?;
        let relation = Relation {
            id: RelationId(caller.derive_id(&request.request_id, "relation")),
            type_,
            from,
            to,
            period: Period::from(start),
        };
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let committed = self
            .log
            .transact(&recognised, || self.decide_relation(&recognised, &relation))
            .await
            .map_err(|error| refusal::status(error, from))?;
        Ok(pb::AddRelationResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    /// Decides on the first of the two, and lets the second take it over. In a hierarchy everybody above takes note, too: two relations that would
    /// close a circle together both append to the stream of whoever stands where they meet, so that one of them is decided again. Each appends at the
    /// version at which it looked: what somebody above was told meanwhile is a conflict.
    async fn decide_relation(
        &self,
        request: &Request,
        relation: &Relation,
    ) -> Result<Decision, CommandError<Refusal>> {
        let mut first = self.registered(request, relation.from).await?;
        let mut second = self.registered(request, relation.to).await?;
        let relation = &Relation {
            from: id_of(&first),
            to: id_of(&second),
            ..*relation
        };
        if relation.to == relation.from {
            return Err(CommandError::Rejected(Refusal::Customer(
                CustomerRejection::RelationCycle,
            )));
        }
        if second.state.erasure().is_some() {
            let party = relation.to;
            return Err(CommandError::Rejected(Refusal::PartyErased { party }));
        }
        let (above, others) = self.above(request, relation, &second).await?;
        let related_kind = second.state.registration().map(|other| other.kind);
        let related_kind = related_kind.expect("somebody registered");
        let decide = |loaded: &mut Loaded<Customer>, command: CustomerCommand| {
            loaded
                .decide(&command, request)
                .map_err(|error| from_rejection(error, Refusal::Customer))
        };
        let command = CustomerCommand::AddRelation {
            relation: *relation,
            related_kind,
            above,
        };
        // The first comes first: its partition is the one that the consistency token stands for.
        let mut appends = vec![decide(&mut first, command)?];
        appends.push(decide(
            &mut second,
            CustomerCommand::TakeRelation(*relation),
        )?);
        for mut one in others {
            appends.push(decide(
                &mut one,
                CustomerCommand::NoteDescendant(*relation),
            )?);
        }
        let response = pb::AddRelationResponse {
            relation_id: relation.id.0.to_string(),
            etag: message::etag(first.version),
            consistency_token: String::new(),
        };
        Ok(Decision::new(appends, &response))
    }

    /// Who goes on for somebody who is registered.
    pub(super) async fn registered(
        &self,
        request: &Request,
        party: CustomerId,
    ) -> Result<Loaded<Customer>, CommandError<Refusal>> {
        let loaded = self.surviving(&request.tenant, party).await?;
        match loaded.state.registration() {
            Some(_) => Ok(loaded),
            None => Err(CommandError::Rejected(Refusal::NoSuchParty { party })),
        }
    }

    /// Everybody above the second of the two while the relation lasts, itself among them, and all but itself as each was looked at; nobody where it
    /// makes no hierarchy. Who goes on for somebody stands where that one stood.
    pub(super) async fn above(
        &self,
        request: &Request,
        relation: &Relation,
        second: &Loaded<Customer>,
    ) -> Result<(BTreeSet<CustomerId>, Vec<Loaded<Customer>>), CommandError<Refusal>> {
        if !relation.type_.is_hierarchy() {
            return Ok((BTreeSet::new(), Vec::new()));
        }
        let beginning = id_of(second);
        let mut looked_at: BTreeMap<CustomerId, Loaded<Customer>> = BTreeMap::new();
        let mut ascent = Ascent::from(relation.type_, beginning, relation.period);
        while let Some((party, period)) = ascent.next() {
            if party == beginning {
                ascent.told(party, period, second.state.relations());
                continue;
            }
            // One who is met again, for another time, is looked at once.
            if let Some(known) = looked_at.get(&party) {
                ascent.told(party, period, known.state.relations());
                continue;
            }
            let one = self.registered(request, party).await?;
            if id_of(&one) == party {
                ascent.told(party, period, one.state.relations());
                looked_at.insert(party, one);
            } else {
                ascent.meet(id_of(&one), period);
            }
            if looked_at.len() >= PARTIES_MAX {
                return Err(CommandError::Rejected(Refusal::HierarchyTooLarge));
            }
        }
        Ok((ascent.found(), looked_at.into_values().collect()))
    }

    /// Who has a relation: who goes on for a party, or the party itself, where the relation did not come with it because another said the same.
    async fn with_relation(
        &self,
        request: &Request,
        party: CustomerId,
        relation: RelationId,
    ) -> Result<Loaded<Customer>, CommandError<Refusal>> {
        let has = |loaded: &Loaded<Customer>| {
            let mut relations = loaded.state.relations().iter();
            relations.any(|known| known.id == relation)
        };
        let survivor = self.registered(request, party).await?;
        if has(&survivor) || id_of(&survivor) == party {
            return Ok(survivor);
        }
        let merged = self.as_it_is(request, party).await?;
        Ok(if has(&merged) { merged } else { survivor })
    }

    pub(super) async fn part(
        &self,
        caller: &Caller,
        request: &pb::EndRelationRequest,
    ) -> Result<pb::EndRelationResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let relation = violations.parsed("relation_id", request.relation_id.parse());
        let end = request.end_time.as_ref();
        let at = parse::happened(&mut violations, "end_time", end, caller.now);
        let given = customer.zip(relation).zip(at);
        let ((customer, relation), at) = parse::complete(violations, given)?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let committed = self
            .log
            .transact(&recognised, || {
                self.decide_parting(&recognised, customer, RelationId(relation), at)
            })
            .await
            .map_err(|error| refusal::status(error, customer))?;
        Ok(pb::EndRelationResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    async fn decide_parting(
        &self,
        request: &Request,
        customer: CustomerId,
        relation: RelationId,
        at: OffsetDateTime,
    ) -> Result<Decision, CommandError<Refusal>> {
        let mut named = self.with_relation(request, customer, relation).await?;
        let own = id_of(&named);
        let mut relations = named.state.relations().iter();
        let other = relations
            .find(|known| known.id == relation)
            .map(|known| known.other_than(own));
        let command = CustomerCommand::EndRelation { relation, at };
        let append = named
            .decide(&command, request)
            .map_err(|error| from_rejection(error, Refusal::Customer))?;
        let mut appends = vec![append];
        if let Some(other) = other {
            let mut other = self.with_relation(request, other, relation).await?;
            let append = other.decide(&command, request);
            appends.push(append.map_err(|error| from_rejection(error, Refusal::Customer))?);
        }
        let response = pb::EndRelationResponse {
            etag: message::etag(named.version),
            consistency_token: String::new(),
        };
        Ok(Decision::new(appends, &response))
    }
}

/// The id of somebody who is registered.
pub(super) fn id_of(loaded: &Loaded<Customer>) -> CustomerId {
    let registration = loaded.state.registration();
    registration.expect("somebody registered").customer
}
