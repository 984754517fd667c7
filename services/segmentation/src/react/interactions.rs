//! From the log of interactions: purchases, returns and contacts.

use std::collections::BTreeSet;

use aggregate::CustomerId;
use contracts::interactions::v1::{
    Direction, PurchaseLine, PurchaseRecorded, ReturnRecorded, TouchpointChannel,
    TouchpointRecorded,
};
use event_log::{DecodeError, Projection, ProjectionError, StoredEvent, Table};
use sqlx::PgConnection;

use super::{Touch, evaluate_late, evaluate_touched, given, moment, uuid};
use crate::{
    domain::rule::Dependencies,
    evaluate::Which,
    progress,
    read_model::facts::{self, Key, PurchaseFact, TouchpointFact},
};

const PURCHASE_RECORDED: &str = "vefa.interactions.v1.PurchaseRecorded";
const RETURN_RECORDED: &str = "vefa.interactions.v1.ReturnRecorded";
const TOUCHPOINT_RECORDED: &str = "vefa.interactions.v1.TouchpointRecorded";

/// Keeps the rows of `purchase_fact` and `touchpoint_fact`, and evaluates whoever they are about.
#[derive(Clone, Debug)]
pub(crate) struct InteractionFacts;

#[derive(Default)]
struct Batch<'a> {
    purchases: Vec<(Key, PurchaseFact)>,
    touchpoints: Vec<(Key, TouchpointFact)>,
    touches: Vec<Touch<'a>>,
}

impl<'a> Batch<'a> {
    fn of(events: &'a [StoredEvent]) -> Result<Self, DecodeError> {
        let mut batch = Self::default();
        for event in events {
            match (event.type_.as_str(), event.schema_version) {
                (PURCHASE_RECORDED, 1) => batch.purchase(event)?,
                (RETURN_RECORDED, 1) => batch.give_back(event)?,
                (TOUCHPOINT_RECORDED, 1) => batch.touchpoint(event)?,
                _ => return Err(DecodeError::unknown(event)),
            }
        }
        Ok(batch)
    }

    fn purchase(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: PurchaseRecorded = event.message()?;
        let fact = PurchaseFact {
            purchase: uuid(event, "purchase_id", &message.purchase_id)?,
            is_return: false,
            occurred_at: moment(event, "occurred_time", message.occurred_time)?,
            amount_minor: message.total_minor,
            margin_minor: message.margin_minor,
            currency: message.currency_code,
            channel: given(message.channel),
            categories: categories(message.lines),
        };
        let changes = Dependencies {
            purchases: true,
            ..Dependencies::default()
        };
        let customer = CustomerId(uuid(event, "customer_id", &message.customer_id)?);
        let key = self.touch(event, customer, message.backfill, changes);
        self.purchases.push((key, fact));
        Ok(())
    }

    fn give_back(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: ReturnRecorded = event.message()?;
        let fact = PurchaseFact {
            purchase: uuid(event, "purchase_id", &message.purchase_id)?,
            is_return: true,
            occurred_at: moment(event, "occurred_time", message.occurred_time)?,
            amount_minor: message.total_minor,
            margin_minor: message.margin_minor,
            currency: message.currency_code,
            channel: given(message.channel),
            categories: categories(message.lines),
        };
        let changes = Dependencies {
            returns: true,
            ..Dependencies::default()
        };
        let customer = CustomerId(uuid(event, "customer_id", &message.customer_id)?);
        let key = self.touch(event, customer, message.backfill, changes);
        self.purchases.push((key, fact));
        Ok(())
    }

    fn touchpoint(&mut self, event: &'a StoredEvent) -> Result<(), DecodeError> {
        let message: TouchpointRecorded = event.message()?;
        let fact = TouchpointFact {
            touchpoint: uuid(event, "touchpoint_id", &message.touchpoint_id)?,
            channel: name(
                TouchpointChannel::try_from(message.channel),
                "TOUCHPOINT_CHANNEL_",
                |channel| channel.as_str_name(),
            )
            .ok_or_else(|| DecodeError::invalid(event, "channel"))?,
            direction: name(
                Direction::try_from(message.direction),
                "DIRECTION_",
                |direction| direction.as_str_name(),
            )
            .ok_or_else(|| DecodeError::invalid(event, "direction"))?,
            occurred_at: moment(event, "occurred_time", message.occurred_time)?,
        };
        let changes = Dependencies {
            touchpoints: true,
            ..Dependencies::default()
        };
        let customer = CustomerId(uuid(event, "customer_id", &message.customer_id)?);
        let key = self.touch(event, customer, message.backfill, changes);
        self.touchpoints.push((key, fact));
        Ok(())
    }

    fn touch(
        &mut self,
        event: &'a StoredEvent,
        customer: CustomerId,
        backfill: bool,
        changes: Dependencies,
    ) -> Key {
        self.touches.push(Touch {
            event,
            customer,
            backfill,
            gone: false,
            changes: Which::Changed(changes),
        });
        (event.partition, event.tenant.clone(), customer)
    }

    /// Writes the rows; what is left is whom the events touched.
    async fn write(self, connection: &mut PgConnection) -> Result<Vec<Touch<'a>>, ProjectionError> {
        facts::add_purchases(connection, self.purchases).await?;
        facts::add_touchpoints(connection, self.touchpoints).await?;
        Ok(self.touches)
    }
}

/// Each category of the lines once.
fn categories(lines: Vec<PurchaseLine>) -> Vec<String> {
    let categories: BTreeSet<String> = lines
        .into_iter()
        .filter_map(|line| given(line.category))
        .collect();
    categories.into_iter().collect()
}

/// The name that rules use for a value of the contract, `email` for `TOUCHPOINT_CHANNEL_EMAIL`. The outer `None` is for a value that
/// this version does not know, the inner one for a value that was not given.
fn name<T, E>(
    value: Result<T, E>,
    prefix: &str,
    as_str_name: fn(&T) -> &'static str,
) -> Option<Option<String>> {
    let value = value.ok()?;
    let name = as_str_name(&value)
        .strip_prefix(prefix)?
        .to_ascii_lowercase();
    Some((name != "unspecified").then_some(name))
}

impl Projection for InteractionFacts {
    fn name(&self) -> &'static str {
        "segmentation.interaction_facts"
    }

    fn tables(&self) -> &'static [Table] {
        const { &[Table::new("purchase_fact"), Table::new("touchpoint_fact")] }
    }

    async fn apply(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let touches = Batch::of(events)?.write(connection).await?;
        evaluate_touched(connection, progress::INTERACTIONS, events, &touches).await
    }

    async fn derive(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        Batch::of(events)?.write(connection).await.map(drop)
    }

    async fn react(
        &self,
        connection: &mut PgConnection,
        events: &[StoredEvent],
    ) -> Result<(), ProjectionError> {
        let touches = Batch::of(events)?.touches;
        evaluate_late(connection, progress::INTERACTIONS, events, &touches).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_use_the_contract_s_names_in_lower_case() {
        let channel = |n| {
            name(
                TouchpointChannel::try_from(n),
                "TOUCHPOINT_CHANNEL_",
                |channel| channel.as_str_name(),
            )
        };
        assert_eq!(channel(3), Some(Some("email".to_owned())));
        assert_eq!(channel(0), Some(None));
        assert_eq!(channel(99), None);
    }

    #[test]
    fn a_category_counts_once() {
        let line = |category: &str| PurchaseLine {
            category: category.to_owned(),
            ..PurchaseLine::default()
        };
        assert_eq!(
            categories(vec![line("b"), line(""), line("a"), line("b")]),
            ["a", "b"]
        );
    }
}
