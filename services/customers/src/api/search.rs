//! Customers by name or by identifier.

use contracts::customers::v1::{self as pb, search_customers_request::Query as By};
use service::{
    Caller, command,
    page::{self, Query},
    status::Violations,
};
use tonic::Status;
use uuid::Uuid;

use super::{Api, message, parse};
use crate::{
    domain::{identifier::Identifier, matching::NameWords},
    read_model::{self, Condition, Found, Rank},
};

/// Most words of a name that are looked for.
const WORDS_MAX: usize = 8;
/// No name is longer, nor what is looked for in it.
const NAME_BYTES_MAX: usize = 1024;

/// What to look for.
enum Wanted {
    Prefix(NameWords),
    Fuzzy(NameWords),
    Identifier(Identifier),
}

impl Api {
    pub(super) async fn search(
        &self,
        caller: &Caller,
        request: &pb::SearchCustomersRequest,
    ) -> Result<pb::SearchCustomersResponse, Status> {
        let mut violations = Violations::new();
        let filter = parse::filter(&mut violations, &request.filter);
        let wanted = wanted(&mut violations, request);
        let wanted = parse::complete(violations, wanted)?;
        let size = page::size(request.page_size, &self.limits)?;
        let query = self.search_query(caller, request, &wanted).await?;
        let after: Option<(usize, String, Uuid)> = query.cursor(&request.page_token)?;
        let after = after.map(|(typos, rotation, customer)| Rank {
            typos,
            rotation,
            customer,
        });
        caller
            .wait(
                &self.log,
                &self.list,
                self.log.name(),
                &request.consistency_token,
            )
            .await?;
        // One more than asked for tells whether there is a next page.
        let mut found = self
            .find(caller, &wanted, filter.as_ref(), after.as_ref(), size + 1)
            .await?;
        let has_more = found.len() > size as usize;
        found.truncate(size as usize);
        let next_page_token = match found.last() {
            Some(Found { rank, .. }) if has_more => {
                query.token(&(rank.typos, &rank.rotation, rank.customer))
            }
            Some(_) | None => String::new(),
        };
        let results = found.iter().map(|found| pb::FoundCustomer {
            customer: Some(message::listed(&found.customer)),
            typos: i32::try_from(found.rank.typos).unwrap_or(i32::MAX),
        });
        Ok(pb::SearchCustomersResponse {
            results: results.collect(),
            next_page_token,
        })
    }

    /// All that shapes the answer. An identifier goes into it as its claim, which tells nothing of it. The place in a token is another matter: it is
    /// that of the last customer found, with the name by which it stands there, as the page itself has it.
    async fn search_query(
        &self,
        caller: &Caller,
        request: &pb::SearchCustomersRequest,
        wanted: &Wanted,
    ) -> Result<Query, Status> {
        let query = Query::new("SearchCustomers")
            .with(caller.tenant.as_str())
            .with(&request.filter);
        Ok(match wanted {
            Wanted::Prefix(words) => query.with("prefix").with(words.joined()),
            Wanted::Fuzzy(words) => query.with("fuzzy").with(words.joined()),
            Wanted::Identifier(identifier) => {
                let claim = self.claim_id(&caller.tenant, identifier).await;
                let claim = claim.map_err(command::failed)?;
                query.with("identifier").with(claim.0.as_bytes())
            }
        })
    }

    async fn find(
        &self,
        caller: &Caller,
        wanted: &Wanted,
        filter: Option<&Condition>,
        after: Option<&Rank>,
        count: u32,
    ) -> Result<Vec<Found>, Status> {
        let (pool, tenant) = (self.log.pool(), &caller.tenant);
        let found = match wanted {
            Wanted::Prefix(words) => {
                read_model::by_prefix(pool, tenant, words, filter, after, count).await
            }
            Wanted::Fuzzy(words) => {
                read_model::by_typos(pool, tenant, words, filter, after, count).await
            }
            Wanted::Identifier(identifier) => {
                match self.owner_of(tenant, identifier, None).await? {
                    Some(owner) if after.is_none() => {
                        read_model::by_id(pool, tenant, owner, filter).await
                    }
                    Some(_) | None => Ok(Vec::new()),
                }
            }
        };
        found.map_err(command::database)
    }
}

fn wanted(violations: &mut Violations, request: &pb::SearchCustomersRequest) -> Option<Wanted> {
    let name_match = pb::NameMatch::try_from(request.name_match);
    if name_match.is_err() {
        violations.add("name_match", "must be prefix or fuzzy");
    }
    match &request.query {
        None => {
            violations.add("query", "must be given: a name or an identifier");
            None
        }
        Some(By::Name(text)) => {
            let words = words(violations, text)?;
            match name_match.ok()? {
                pb::NameMatch::Unspecified | pb::NameMatch::Prefix => Some(Wanted::Prefix(words)),
                pb::NameMatch::Fuzzy => Some(Wanted::Fuzzy(words)),
            }
        }
        Some(By::Identifier(identifier)) => {
            let no_match = request.name_match == i32::from(pb::NameMatch::Unspecified);
            violations.check(
                no_match,
                "name_match",
                "must not be given with an identifier",
            );
            let given = parse::identifier(violations, "identifier", Some(identifier))?;
            let identifier = violations.parsed("identifier.value", given.in_country(None))?;
            Some(Wanted::Identifier(identifier))
        }
    }
}

fn words(violations: &mut Violations, text: &str) -> Option<NameWords> {
    if text.len() > NAME_BYTES_MAX {
        violations.add("name", format!("must have at most {NAME_BYTES_MAX} bytes"));
        return None;
    }
    let words = NameWords::all_of(text);
    let count = words.as_slice().len();
    violations.check(count > 0, "name", "must have a letter or a digit");
    violations.check(count <= WORDS_MAX, "name", "must have at most 8 words");
    (1..=WORDS_MAX).contains(&count).then_some(words)
}
