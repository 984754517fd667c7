//! What is exported, put together.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::CustomerId;
use anyhow::{Context as _, Result};
use contracts::common::v1::{EventMetadata, ExportSubjectResponse, LoggedEvent};
use event_bus::event_type_token;
use event_json::EventTypes;
use event_log::timestamp;

use prost_reflect::{DynamicMessage, prost::Message};
use serde::Serialize;
use serde_json::Value;
use service::ServiceName;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::ask::Services;
use crate::events::meaning;

/// What the names of sealed fields end in, in protobuf's JSON form.
const SEALED: &str = "Sealed";
/// The one sealed field that is a message, and which one.
const ADDRESSES: (&str, &str) = ("addresses", "vefa.customers.v1.PostalAddresses");

/// All that is known of a customer.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    pub(super) tenant: String,
    pub(super) customer_id: String,
    /// Ids that lead to the customer as well.
    pub(super) other_ids: Vec<String>,
    pub(super) exported_time: String,
    /// As the customers service has it now.
    pub(super) customer: Value,
    /// What segmentation computed last; null where it computed nothing.
    pub(super) value: Value,
    /// What was recorded, oldest first.
    pub(super) events: Vec<Entry>,
}

/// Something that was recorded.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) service: &'static str,
    #[serde(rename = "type")]
    pub(super) type_: String,
    /// What such an event means, in the words of the contract.
    pub(super) meaning: String,
    pub(super) occurred_time: String,
    pub(super) recorded_time: String,
    /// Who told it, and for whom.
    pub(super) actor: String,
    pub(super) on_behalf_of: String,
    pub(super) event_id: String,
    /// What it says. What was sealed is in clear, or null where its key is destroyed.
    pub(super) data: Value,
}

impl Document {
    /// Asks for everything.
    ///
    /// # Errors
    /// When a service does not answer, or there is no such customer.
    pub(super) async fn of(
        services: &Services,
        asked: CustomerId,
        now: OffsetDateTime,
    ) -> Result<Self> {
        let types = EventTypes::published()?;
        let customer = services.customer(asked).await?;
        let id: CustomerId = customer.customer_id.parse().context("the customer's id")?;
        let mut ids = vec![id];
        for absorbed in &customer.absorbed_customer_ids {
            ids.push(absorbed.parse().context("an absorbed customer's id")?);
        }
        let mut found = Vec::new();
        // An event can name two of the ids.
        let mut seen = BTreeSet::new();
        for name in ServiceName::ALL {
            for id in &ids {
                for answer in services.events(name, *id).await? {
                    let event_id = answer.event.as_ref().map(|event| event.event_id.clone());
                    if seen.insert(event_id) {
                        found.extend(Entry::of(name, answer, &types)?);
                    }
                }
            }
        }
        found.sort_by_key(|(occurred_at, recorded_at, _)| (*occurred_at, *recorded_at));
        let value = match services.value(id).await? {
            None => Value::Null,
            Some(value) => json(
                &types,
                "vefa.segmentation.v1.GetCustomerValueResponse",
                &value,
            )?,
        };
        Ok(Self {
            tenant: services.tenant().to_string(),
            customer_id: id.to_string(),
            other_ids: ids[1..].iter().map(ToString::to_string).collect(),
            exported_time: moment(Some(now)),
            customer: json(&types, "vefa.customers.v1.Customer", &customer)?,
            value,
            events: found.into_iter().map(|(_, _, entry)| entry).collect(),
        })
    }

    /// How many services have recorded something.
    pub(super) fn services(&self) -> usize {
        let services: BTreeSet<_> = self.events.iter().map(|entry| entry.service).collect();
        services.len()
    }
}

/// When it happened and when it was recorded, for their order, and what it was.
type Dated = (Option<OffsetDateTime>, Option<OffsetDateTime>, Entry);

impl Entry {
    fn of(
        service: ServiceName,
        answer: ExportSubjectResponse,
        types: &EventTypes,
    ) -> Result<Option<Dated>> {
        let Some(event) = answer.event else {
            return Ok(None);
        };
        let opened: BTreeMap<&str, &[u8]> = answer
            .opened
            .iter()
            .map(|field| (field.path.as_str(), &*field.value))
            .collect();
        let at = |moment: &Option<_>| {
            moment
                .as_ref()
                .and_then(|at| timestamp::from_proto(at).ok())
        };
        let (occurred_at, recorded_at) = (at(&event.occurred_time), at(&event.recorded_time));
        let metadata: EventMetadata = event.metadata.clone().unwrap_or_default();
        let entry = Self {
            service: service.as_str(),
            type_: event_type_token(&event.r#type).to_owned(),
            meaning: meaning(types, &event.r#type),
            occurred_time: moment(occurred_at),
            recorded_time: moment(recorded_at),
            actor: metadata.actor,
            on_behalf_of: metadata.on_behalf_of,
            event_id: event.event_id.clone(),
            data: data(&event, &opened, types)?,
        };
        Ok(Some((occurred_at, recorded_at, entry)))
    }
}

/// What an event says, with what is sealed in clear. Of a type that is newer than this program, null.
fn data(event: &LoggedEvent, opened: &BTreeMap<&str, &[u8]>, types: &EventTypes) -> Result<Value> {
    let Some(message) = types.decode(event) else {
        return Ok(Value::Null);
    };
    let mut data = serde_json::to_value(message)?;
    unseal(&mut data, "", opened, types)?;
    Ok(data)
}

fn unseal(
    value: &mut Value,
    path: &str,
    opened: &BTreeMap<&str, &[u8]>,
    types: &EventTypes,
) -> Result<()> {
    let Value::Object(fields) = value else {
        return Ok(());
    };
    for (name, mut field) in std::mem::take(fields) {
        let Some(clear) = name.strip_suffix(SEALED) else {
            unseal(
                &mut field,
                &format!("{path}{}.", snake_case(&name)),
                opened,
                types,
            )?;
            fields.insert(name, field);
            continue;
        };
        let found = opened.get(format!("{path}{}", snake_case(clear)).as_str());
        let field = match found {
            None => Value::Null,
            Some(bytes) if clear == ADDRESSES.0 => {
                let mut whole = decoded(types, ADDRESSES.1, bytes)?;
                whole.get_mut(ADDRESSES.0).map_or(Value::Null, Value::take)
            }
            Some(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
        };
        fields.insert(clear.to_owned(), field);
    }
    Ok(())
}

/// The name of a field in the contract, from that in protobuf's JSON form.
fn snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn json<M: Message>(types: &EventTypes, full_name: &str, message: &M) -> Result<Value> {
    decoded(types, full_name, &message.encode_to_vec())
}

fn decoded(types: &EventTypes, full_name: &str, bytes: &[u8]) -> Result<Value> {
    let descriptor = types
        .find(full_name)
        .with_context(|| format!("{full_name} is no message"))?;
    let message = DynamicMessage::decode(descriptor, bytes)
        .with_context(|| format!("what came is no {full_name}"))?;
    Ok(serde_json::to_value(message)?)
}

fn moment(moment: Option<OffsetDateTime>) -> String {
    moment
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_back_to_those_of_the_contract() {
        for (camel, snake) in [
            ("value", "value"),
            ("givenName", "given_name"),
            ("originalCustomerId", "original_customer_id"),
        ] {
            assert_eq!(snake_case(camel), snake);
        }
    }

    #[test]
    fn what_was_opened_takes_the_place_of_what_was_sealed_and_the_rest_is_null() {
        let types = EventTypes::published().unwrap();
        let mut data = serde_json::json!({
            "customerId": "c",
            "givenNameSealed": "AQ==",
            "familyNameSealed": "AQ==",
            "details": {"gender": "GENDER_FEMALE", "birthDateSealed": "AQ=="},
        });
        let opened = BTreeMap::from([
            ("given_name", "Ayşe".as_bytes()),
            ("details.birth_date", b"1990-05-17".as_slice()),
        ]);
        unseal(&mut data, "", &opened, &types).unwrap();
        let expected = serde_json::json!({
            "customerId": "c",
            "givenName": "Ayşe",
            "familyName": null,
            "details": {"gender": "GENDER_FEMALE", "birthDate": "1990-05-17"},
        });
        assert_eq!(data, expected);
    }
}
