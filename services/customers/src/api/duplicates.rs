//! Customers who may be the same as another.

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use service::{
    Caller, command,
    page::{self, Query},
    status::{self, Violations},
};
use tonic::Status;
use uuid::Uuid;

use super::{Api, message, parse};
use crate::{
    domain::matching::duplicate::{Agreement, Compared, Likeness, Party, Reason},
    read_model::{self, ListedCustomer},
};

/// A candidate that is less likely is none.
const SCORE_MIN: f64 = 0.05;
/// Scores are told apart by this much in page tokens.
const SCORE_STEPS: f64 = 1e12;

struct Candidate {
    customer: ListedCustomer,
    likeness: Likeness,
}

impl Candidate {
    /// Likeliest first, and in order of ids among those who are as likely.
    fn rank(&self) -> (u64, Uuid) {
        let unlikely = (1.0 - self.likeness.score) * SCORE_STEPS;
        (unlikely as u64, self.customer.customer.0)
    }
}

impl Api {
    pub(super) async fn duplicates(
        &self,
        caller: &Caller,
        request: &pb::ListDuplicateCandidatesRequest,
    ) -> Result<pb::ListDuplicateCandidatesResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let customer = parse::complete(violations, customer)?;
        let size = page::size(request.page_size, &self.limits)? as usize;
        let id = customer.to_string();
        let query = Query::new("ListDuplicateCandidates")
            .with(caller.tenant.as_str())
            .with(&id);
        let after: Option<(u64, Uuid)> = query.cursor(&request.page_token)?;
        caller
            .wait(
                &self.log,
                &self.list,
                self.log.name(),
                &request.consistency_token,
            )
            .await?;
        let mut candidates = self.candidates(caller, customer).await?;
        candidates.sort_by_key(Candidate::rank);
        candidates.retain(|candidate| after.is_none_or(|after| candidate.rank() > after));
        let has_more = candidates.len() > size;
        candidates.truncate(size);
        let next_page_token = match candidates.last() {
            Some(last) if has_more => query.token(&last.rank()),
            Some(_) | None => String::new(),
        };
        Ok(pb::ListDuplicateCandidatesResponse {
            candidates: candidates.iter().map(shown).collect(),
            next_page_token,
        })
    }

    async fn candidates(&self, caller: &Caller, id: CustomerId) -> Result<Vec<Candidate>, Status> {
        let loaded = self.surviving(&caller.tenant, id).await;
        let state = loaded.map_err(command::failed)?.state;
        let registration = state
            .registration()
            .ok_or_else(|| status::not_found("customer", &id.to_string()))?;
        let this = Party::new(registration.kind, state.profile());
        let id = registration.customer;
        let shared = read_model::candidates(&self.log, &caller.tenant, id, &state)
            .await
            .map_err(command::failed)?;
        let ids: Vec<CustomerId> = shared.keys().copied().collect();
        let rows = read_model::some(self.log.pool(), &caller.tenant, &ids)
            .await
            .map_err(command::database)?;
        let others: Vec<(Party, ListedCustomer)> = rows
            .into_iter()
            .filter(|row| row.survivor.is_none())
            .map(|row| (Party::new(row.kind, &row.profile), row))
            .collect();
        let namesakes = others
            .iter()
            .filter(|(other, _)| this.same_names(other))
            .count();
        let candidates = others.into_iter().filter_map(|(other, customer)| {
            let shares = shared.get(&customer.customer).copied().unwrap_or(false);
            let likeness = this.likeness(&other, shares, namesakes)?;
            (likeness.score >= SCORE_MIN).then_some(Candidate { customer, likeness })
        });
        Ok(candidates.collect())
    }
}

fn shown(candidate: &Candidate) -> pb::DuplicateCandidate {
    pb::DuplicateCandidate {
        customer: Some(message::listed(&candidate.customer)),
        score: candidate.likeness.score,
        reasons: candidate.likeness.reasons.iter().map(reason).collect(),
    }
}

fn reason(reason: &Reason) -> pb::DuplicateReason {
    let field = match reason.compared {
        Compared::GivenName => "profile.given_name",
        Compared::FamilyName => "profile.family_name",
        Compared::LegalName => "profile.legal_name",
        Compared::Country => "profile.country_code",
        Compared::BirthDate => "profile.birth_date",
        Compared::Addresses => "profile.addresses",
        Compared::Identifiers => "identifiers",
    };
    let agreement = match reason.agreement {
        Agreement::Same => pb::Agreement::Same,
        Agreement::Similar => pb::Agreement::Similar,
        Agreement::SoundsAlike => pb::Agreement::SoundsAlike,
        Agreement::Different => pb::Agreement::Different,
    };
    pb::DuplicateReason {
        field: field.to_owned(),
        agreement: agreement.into(),
        similarity: reason.similarity,
        weight_bits: reason.weight_bits,
    }
}
