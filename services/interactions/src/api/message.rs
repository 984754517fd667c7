//! What was recorded, as the API shows it. The same messages are what a repeat is compared by, so that they must not depend on
//! how a client wrote the same thing (capitals in a UUID, nanoseconds).

use contracts::{common::v1::Money, interactions::v1 as pb};
use event_log::timestamp;

use crate::{
    codec::parts,
    domain::{
        purchase::RecordPurchase,
        text::Summary,
        touchpoint::{SpokenBy, TouchpointFacts},
    },
};

pub(super) fn purchase(recorded: &RecordPurchase) -> pb::Purchase {
    let facts = &recorded.facts;
    pb::Purchase {
        source: facts.key.source.clone(),
        source_id: facts.key.source_id.clone(),
        customer_id: facts.customer.to_string(),
        kind: parts::purchase_kind_message(recorded.kind).into(),
        occurred_time: Some(timestamp::to_proto(facts.occurred_at)),
        currency_code: facts.currency_code.clone(),
        lines: facts
            .lines
            .lines()
            .iter()
            .map(parts::line_message)
            .collect(),
        channel: facts.channel.clone(),
        backfill: facts.backfill,
    }
}

/// The sum of the lines: negative for a return.
pub(super) fn total(recorded: &RecordPurchase) -> Money {
    Money {
        currency_code: recorded.facts.currency_code.clone(),
        amount_minor: recorded.revenue_minor(),
    }
}

/// The summary of an erased customer is empty.
pub(super) fn touchpoint(facts: &TouchpointFacts) -> pb::Touchpoint {
    let (automated, role) = match &facts.spoken_by {
        SpokenBy::Nobody => (true, ""),
        SpokenBy::Role(role) => (false, role.as_str()),
    };
    pb::Touchpoint {
        source: facts.key.source.clone(),
        source_id: facts.key.source_id.clone(),
        customer_id: facts.customer.to_string(),
        channel: parts::channel_message(facts.channel).into(),
        direction: parts::direction_message(facts.direction).into(),
        public: facts.public,
        automated,
        role: role.to_owned(),
        summary: facts
            .summary
            .as_ref()
            .map_or("", Summary::as_str)
            .to_owned(),
        occurred_time: Some(timestamp::to_proto(facts.occurred_at)),
        backfill: facts.backfill,
    }
}
