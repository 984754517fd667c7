//! Mergers of customers: both decide in one step, with the claims on identifiers and everybody in whose hierarchies the survivor comes to stand.

use std::collections::BTreeMap;

use aggregate::{Aggregate as _, CustomerId};
use contracts::customers::v1 as pb;
use event_log::{Append, CommandError, Decision, Loaded, Request};
use service::{Caller, status::Violations};
use time::OffsetDateTime;
use tonic::Status;

use super::{
    Api, message, parse,
    refusal::{self, Refusal, from_rejection},
    relation::id_of,
    stored,
};
use crate::domain::{
    Customer,
    claim::{ClaimCommand, ClaimIdentifier},
    customer::{Absorption, CustomerCommand, CustomerRejection, OwnedIdentifier},
    profile::ProfileFields,
    relation::Relation,
};

/// A merger and its end are shown of two.
const PARTIES: usize = 2;

/// Who is to be merged into whom.
struct Merger {
    survivor: CustomerId,
    duplicate: CustomerId,
    fields: ProfileFields,
    /// Versions that the caller has seen, of both.
    seen: (Option<i64>, Option<i64>),
    at: OffsetDateTime,
}

/// Both as they are looked at, with what a merger takes.
struct Prepared {
    survivor: Loaded<Customer>,
    duplicate: Loaded<Customer>,
    absorption: Absorption,
    /// Who comes to stand above the survivor by relations that come with the duplicate, or has it below, and by which.
    noted: Vec<(Loaded<Customer>, Vec<Relation>)>,
}

fn rejected(rejection: CustomerRejection) -> CommandError<Refusal> {
    CommandError::Rejected(Refusal::Customer(rejection))
}

/// The failure as one that the duplicate is to blame for.
fn of(customer: CustomerId) -> impl Fn(CommandError<Refusal>) -> CommandError<Refusal> {
    move |error| {
        from_rejection(error, |refusal| {
            let refusal = Box::new(refusal);
            Refusal::Of { customer, refusal }
        })
    }
}

impl Api {
    pub(super) async fn merge(
        &self,
        caller: &Caller,
        request: &pb::MergeCustomersRequest,
    ) -> Result<pb::MergeCustomersResponse, Status> {
        let mut violations = Violations::new();
        let survivor = parse::customer_id(&mut violations, &request.customer_id);
        let path = "duplicate_customer_id";
        let duplicate = parse::party_id(&mut violations, path, &request.duplicate_customer_id);
        let mask = request.duplicate_fields.as_ref();
        let fields = parse::profile_fields(&mut violations, "duplicate_fields", mask);
        let seen = parse::etag(&mut violations, &request.etag);
        let path = "duplicate_etag";
        let duplicate_seen = parse::etag_at(&mut violations, path, &request.duplicate_etag);
        let (survivor, duplicate) = parse::complete(violations, survivor.zip(duplicate))?;
        let merger = Merger {
            survivor,
            duplicate,
            fields,
            seen: (seen, duplicate_seen),
            at: caller.now,
        };
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let committed = self
            .log
            .transact(&recognised, || self.decide_merger(&recognised, &merger))
            .await
            .map_err(|error| refusal::status(error, survivor))?;
        Ok(pb::MergeCustomersResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    /// Looks at both, and at everybody above them.
    async fn prepare(
        &self,
        request: &Request,
        merger: &Merger,
    ) -> Result<Prepared, CommandError<Refusal>> {
        let (seen, duplicate_seen) = merger.seen;
        let survivor = self.at_version(request, merger.survivor, seen).await?;
        let duplicate = self
            .at_version(request, merger.duplicate, duplicate_seen)
            .await
            .map_err(of(merger.duplicate))?;
        let brought = survivor.state.brought(&duplicate.state).map_err(rejected)?;
        let mut above = BTreeMap::new();
        let mut noted: BTreeMap<CustomerId, (Loaded<Customer>, Vec<Relation>)> = BTreeMap::new();
        for relation in brought {
            if !relation.type_.is_hierarchy() {
                continue;
            }
            let is_first = relation.from == id_of(&survivor);
            // Who goes on for the first of the two is who would be met above.
            let first = if is_first {
                relation.from
            } else {
                id_of(&self.registered(request, relation.from).await?)
            };
            let (mut found, mut others) = if is_first {
                let second = self.registered(request, relation.to).await?;
                let (found, mut others) = self.above(request, &relation, &second).await?;
                others.push(second);
                (found, others)
            } else {
                self.above(request, &relation, &survivor).await?
            };
            if found.contains(&first) {
                found.insert(relation.from);
            }
            above.insert(relation.id, found);
            // The two append anyway.
            others.retain(|one| id_of(one) != id_of(&survivor) && id_of(one) != id_of(&duplicate));
            for one in others {
                let entry = noted.entry(id_of(&one)).or_insert((one, Vec::new()));
                entry.1.push(relation);
            }
        }
        let absorption = Absorption {
            duplicate: duplicate.state.clone(),
            fields: merger.fields,
            above,
            at: merger.at,
        };
        Ok(Prepared {
            survivor,
            duplicate,
            absorption,
            noted: noted.into_values().collect(),
        })
    }

    async fn decide_merger(
        &self,
        request: &Request,
        merger: &Merger,
    ) -> Result<Decision, CommandError<Refusal>> {
        let Prepared {
            mut survivor,
            mut duplicate,
            absorption,
            noted,
        } = self.prepare(request, merger).await?;
        let (own, theirs) = (id_of(&survivor), id_of(&duplicate));
        let identifiers = duplicate.state.identifiers().to_vec();
        let merge = CustomerCommand::Merge {
            survivor: own,
            at: merger.at,
        };
        let merged = decided(&mut duplicate, &merge, request).map_err(of(merger.duplicate))?;
        let absorb = CustomerCommand::Absorb(Box::new(absorption));
        let absorbed = decided(&mut survivor, &absorb, request)?;
        // The two come first: their partitions are those that the consistency token stands for.
        let mut appends = vec![absorbed, merged];
        let transfers = self.transfers(request, identifiers.iter(), theirs, own);
        appends.extend(transfers.await?);
        for (mut one, relations) in noted {
            for relation in relations {
                let note = CustomerCommand::NoteDescendant(relation);
                appends.push(decided(&mut one, &note, request)?);
            }
        }
        let response = pb::MergeCustomersResponse {
            etag: message::etag(survivor.version),
            consistency_token: String::new(),
        };
        Ok(Decision::new(appends, &response).covering(PARTIES))
    }

    /// Gives the claims on identifiers from one customer to another.
    async fn transfers<'a>(
        &self,
        request: &Request,
        identifiers: impl Iterator<Item = &'a OwnedIdentifier>,
        from: CustomerId,
        to: CustomerId,
    ) -> Result<Vec<Append>, CommandError<Refusal>> {
        let mut appends = Vec::new();
        for identifier in identifiers {
            let of = ClaimIdentifier {
                claim: identifier.claim,
                customer: from,
                type_: identifier.type_,
            };
            let transfer = ClaimCommand::Transfer { of, to };
            appends.push(self.on_claim(request, identifier.claim, &transfer).await?);
        }
        Ok(appends)
    }

    pub(super) async fn preview(
        &self,
        caller: &Caller,
        request: &pb::PreviewMergeRequest,
    ) -> Result<pb::PreviewMergeResponse, Status> {
        let mut violations = Violations::new();
        let survivor = parse::customer_id(&mut violations, &request.customer_id);
        let path = "duplicate_customer_id";
        let duplicate = parse::party_id(&mut violations, path, &request.duplicate_customer_id);
        let mask = request.duplicate_fields.as_ref();
        let fields = parse::profile_fields(&mut violations, "duplicate_fields", mask);
        let (survivor, duplicate) = parse::complete(violations, survivor.zip(duplicate))?;
        let merger = Merger {
            survivor,
            duplicate,
            fields,
            seen: (None, None),
            at: caller.now,
        };
        let asked = caller
            .command(&self.log, self.retention, "", request)
            .await?
            .validating(true);
        self.previewed(&asked, &merger)
            .await
            .map_err(|error| refusal::status(error, survivor))
    }

    async fn previewed(
        &self,
        request: &Request,
        merger: &Merger,
    ) -> Result<pb::PreviewMergeResponse, CommandError<Refusal>> {
        let Prepared {
            survivor,
            duplicate,
            absorption,
            ..
        } = self.prepare(request, merger).await?;
        let merge = CustomerCommand::Merge {
            survivor: id_of(&survivor),
            at: merger.at,
        };
        let refused = duplicate.state.decide(&merge).map(drop).map_err(rejected);
        refused.map_err(of(merger.duplicate))?;
        let absorb = CustomerCommand::Absorb(Box::new(absorption));
        let mut state = survivor.state;
        for event in state.decide(&absorb).map_err(rejected)? {
            state.evolve(&event);
        }
        Ok(pb::PreviewMergeResponse {
            customer: message::customer(&state, message::etag(survivor.version), merger.at),
            duplicate_etag: message::etag(duplicate.version),
        })
    }

    pub(super) async fn unmerge(
        &self,
        caller: &Caller,
        request: &pb::UnmergeCustomerRequest,
    ) -> Result<pb::UnmergeCustomerResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let customer = parse::complete(violations, customer)?;
        let recognised = caller
            .command(&self.log, self.retention, &request.request_id, request)
            .await?
            .validating(request.validate_only);
        let committed = self
            .log
            .transact(&recognised, || self.decide_unmerging(&recognised, customer))
            .await
            .map_err(|error| refusal::status(error, customer))?;
        Ok(pb::UnmergeCustomerResponse {
            consistency_token: committed.token.to_string(),
            ..stored(&committed)?
        })
    }

    async fn decide_unmerging(
        &self,
        request: &Request,
        customer: CustomerId,
    ) -> Result<Decision, CommandError<Refusal>> {
        let mut merged = self.as_it_is(request, customer).await?;
        if merged.state.registration().is_none() {
            return Err(rejected(CustomerRejection::NotRegistered));
        }
        let survivor = merged.state.mergers().survivor;
        let survivor = survivor.ok_or_else(|| rejected(CustomerRejection::NotMerged))?;
        let mut other = self.as_it_is(request, survivor).await?;
        let of_survivor = of(survivor);
        let told = other.state.told_of(customer).map_err(rejected);
        let told = Box::new(told.map_err(&of_survivor)?);
        let gone = other.state.absorbed(customer).map_err(rejected)?;
        let identifiers: Vec<OwnedIdentifier> = other
            .state
            .identifiers_of(gone)
            .map(|(_, identifier)| identifier.clone())
            .collect();
        let at = request.now;
        let unmerge = CustomerCommand::Unmerge { told, at };
        let mut appends = vec![decided(&mut merged, &unmerge, request)?];
        let separate = CustomerCommand::Separate {
            separated: customer,
            at,
        };
        appends.push(decided(&mut other, &separate, request).map_err(&of_survivor)?);
        let transfers = self.transfers(request, identifiers.iter(), survivor, customer);
        appends.extend(transfers.await?);
        let response = pb::UnmergeCustomerResponse {
            surviving_customer_id: survivor.to_string(),
            etag: message::etag(merged.version),
            consistency_token: String::new(),
        };
        Ok(Decision::new(appends, &response).covering(PARTIES))
    }
}

fn decided(
    loaded: &mut Loaded<Customer>,
    command: &CustomerCommand,
    request: &Request,
) -> Result<Append, CommandError<Refusal>> {
    loaded
        .decide(command, request)
        .map_err(|error| from_rejection(error, Refusal::Customer))
}
