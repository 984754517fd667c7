//! The history of one customer: each event with who told it, and what of the customer it changed.

use std::collections::BTreeMap;

use aggregate::{Aggregate as _, CustomerId};
use contracts::customers::v1 as pb;
use event_log::{EventLog, LogError, Stored as _, StoredEvent, Stream, SubjectCipher, timestamp};
use prost_types::Timestamp;
use service::{
    Caller, command,
    page::{self, Query},
    status::{self, Violations},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tonic::Status;

use super::{Api, message, parse};
use crate::domain::Customer;

/// What a customer shows, by path.
type Fields = BTreeMap<String, String>;

impl Api {
    pub(super) async fn changes(
        &self,
        caller: &Caller,
        request: &pb::ListChangesRequest,
    ) -> Result<pb::ListChangesResponse, Status> {
        let mut violations = Violations::new();
        let customer = parse::customer_id(&mut violations, &request.customer_id);
        let customer = parse::complete(violations, customer)?;
        let size = page::size(request.page_size, &self.limits)? as usize;
        let id = customer.to_string();
        let query = Query::new("ListChanges")
            .with(caller.tenant.as_str())
            .with(&id);
        let after: i64 = query.cursor(&request.page_token)?.unwrap_or(0);
        let stream = Stream::of_customer(&caller.tenant, customer);
        let mut changes = read(&self.log, &stream, customer, after, size + 1)
            .await
            .map_err(command::failed)?
            .ok_or_else(|| status::not_found("customer", &id))?;
        // One more than asked for tells whether there is a next page.
        let has_more = changes.len() > size;
        changes.truncate(size);
        let next_page_token = match changes.last() {
            Some(last) if has_more => query.token(&last.version),
            Some(_) | None => String::new(),
        };
        Ok(pb::ListChangesResponse {
            changes,
            next_page_token,
        })
    }
}

/// The next `count` changes after a version; none of somebody who is no customer.
async fn read(
    log: &EventLog,
    stream: &Stream,
    customer: CustomerId,
    after: i64,
    count: usize,
) -> Result<Option<Vec<pb::Change>>, LogError> {
    let events = log.read_stream(stream).await?;
    if events.is_empty() {
        return Ok(None);
    }
    let cipher = log.keys().cipher(&stream.tenant, customer).await?;
    let cipher = cipher.unwrap_or_else(|| SubjectCipher::none(&stream.tenant));
    let mut state = Customer::default();
    let mut changes = Vec::new();
    for event in &events {
        let told = Customer::decode(event, &cipher)?;
        if event.version <= after {
            state.evolve(&told);
        } else if changes.len() < count {
            // Both at one moment: that something expires is no change.
            let before = fields(&state, event.recorded_at);
            state.evolve(&told);
            changes.push(change(event, &before, &fields(&state, event.recorded_at)));
        } else {
            break;
        }
    }
    Ok(Some(changes))
}

fn change(event: &StoredEvent, before: &Fields, after: &Fields) -> pb::Change {
    // Metadata that cannot be read is none: the change itself is told all the same.
    let metadata = event.metadata().unwrap_or_default();
    pb::Change {
        version: event.version,
        event_id: event.event_id.to_string(),
        event_type: event.type_.clone(),
        occurred_time: Some(timestamp::to_proto(event.occurred_at)),
        recorded_time: Some(timestamp::to_proto(event.recorded_at)),
        actor: metadata.actor,
        on_behalf_of: metadata.on_behalf_of,
        correlation_id: metadata.correlation_id,
        causation_id: metadata.causation_id,
        fields: difference(before, after),
    }
}

fn difference(before: &Fields, after: &Fields) -> Vec<pb::FieldChange> {
    let text = |fields: &Fields, path: &str| fields.get(path).cloned().unwrap_or_default();
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| pb::FieldChange {
            path: path.clone(),
            before: text(before, path),
            after: text(after, path),
        })
        .collect()
}

/// Everything that the API shows of a customer and that is not empty.
fn fields(customer: &Customer, at: OffsetDateTime) -> Fields {
    let Some(customer) = message::customer(customer, String::new(), at) else {
        return Fields::new();
    };
    let mut fields = Fields::new();
    let mut add = |path: &str, value: &str| {
        if !value.is_empty() {
            fields.insert(path.to_owned(), value.to_owned());
        }
    };
    add("kind", customer.kind().as_str_name());
    add("affiliation", customer.affiliation().as_str_name());
    add("registered_time", &moment(customer.registered_time));
    add("team", &customer.team);
    if let Some(profile) = &customer.profile {
        add("profile.given_name", &profile.given_name);
        add("profile.family_name", &profile.family_name);
        add("profile.legal_name", &profile.legal_name);
        add("profile.locale", &profile.locale);
        add("profile.time_zone", &profile.time_zone);
        add("profile.country_code", &profile.country_code);
        add("profile.formal_address", &profile.formal_address);
        add("profile.preferred_name", &profile.preferred_name);
        add("profile.birth_date", &profile.birth_date);
        if profile.gender != 0 {
            add("profile.gender", profile.gender().as_str_name());
        }
        add("profile.income_band", &profile.income_band);
        add("profile.occupation", &profile.occupation);
        add("profile.sector", &profile.sector);
        if profile.company_size != 0 {
            add("profile.company_size", profile.company_size().as_str_name());
        }
        if let Some(capacity) = &profile.yearly_capacity {
            let amount = capacity.amount_minor.to_string();
            add("profile.yearly_capacity.amount_minor", &amount);
            let currency = &capacity.currency_code;
            add("profile.yearly_capacity.currency_code", currency);
        }
        add("profile.region_code", &profile.region_code);
        for (number, address) in profile.addresses.iter().enumerate() {
            let path = |field: &str| format!("profile.addresses[{number}].{field}");
            add(&path("type"), address.r#type().as_str_name());
            for (number, line) in address.address_lines.iter().enumerate() {
                add(&path(&format!("address_lines[{number}]")), line);
            }
            add(&path("locality"), &address.locality);
            add(&path("administrative_area"), &address.administrative_area);
            add(&path("postal_code"), &address.postal_code);
            add(&path("country_code"), &address.country_code);
        }
    }
    if let Some(lifecycle) = &customer.lifecycle {
        add("lifecycle.stage", lifecycle.stage().as_str_name());
        add("lifecycle.reason", &lifecycle.reason);
        add("lifecycle.since_time", &moment(lifecycle.since_time));
    }
    if let Some(restriction) = &customer.restriction {
        add("restriction.reason", restriction.reason().as_str_name());
        add("restriction.since_time", &moment(restriction.since_time));
    }
    if let Some(erasure) = &customer.erasure {
        add("erasure.reason", erasure.reason().as_str_name());
        add("erasure.erased_time", &moment(erasure.erased_time));
    }
    if let Some(owner) = &customer.owner {
        add("owner.employee_id", &owner.employee_id);
        add("owner.role", &owner.role);
        add("owner.since_time", &moment(owner.since_time));
    }
    for (number, identifier) in customer.identifiers.iter().enumerate() {
        let path = |field: &str| format!("identifiers[{number}].{field}");
        add(&path("type"), identifier.r#type().as_str_name());
        add(&path("value"), &identifier.value);
        add(&path("system"), &identifier.system);
    }
    for relation in &customer.relations {
        let path = |field: &str| format!("relations[{}].{field}", relation.relation_id);
        add(&path("type"), relation.r#type().as_str_name());
        add(&path("customer_id"), &relation.customer_id);
        add(&path("related_customer_id"), &relation.related_customer_id);
        add(&path("start_time"), &moment(relation.start_time));
    }
    for consent in &customer.consents {
        let scope = scope(consent);
        let path = |field: &str| format!("consents[{scope}].{field}");
        add(&path("granted"), &consent.granted.to_string());
        add(&path("legal_basis"), consent.legal_basis().as_str_name());
        add(&path("wording_version"), &consent.wording_version);
        add(&path("source"), &consent.source);
        add(&path("effective_time"), &moment(consent.effective_time));
        add(&path("expire_time"), &moment(consent.expire_time));
    }
    fields
}

/// For example `EMAIL, MARKETING`.
fn scope(consent: &pb::Consent) -> String {
    let short = |name: &'static str, prefix| name.strip_prefix(prefix).unwrap_or(name);
    let channel = short(consent.channel().as_str_name(), "CHANNEL_");
    let purpose = short(consent.purpose().as_str_name(), "PURPOSE_");
    format!("{channel}, {purpose}")
}

fn moment(moment: Option<Timestamp>) -> String {
    moment
        .and_then(|moment| timestamp::from_proto(&moment).ok())
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}
