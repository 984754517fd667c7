//! Requests to commands. Everything that is wrong with a request is told at once.

use aggregate::{CustomerId, currency};
use contracts::interactions::v1 as pb;
use event_log::timestamp;
use prost_types::Timestamp;
use service::status::{self, Violations};
use time::OffsetDateTime;
use tonic::Status;

use crate::{
    codec::parts,
    domain::{
        lines::{InvalidLines, Lines},
        moment,
        purchase::{PurchaseFacts, PurchaseId, RecordPurchase},
        source_key::SourceKey,
        text::{self, Summary},
        touchpoint::{RecordTouchpoint, SpokenBy, TouchpointFacts, TouchpointId},
    },
};

/// Violations of lines that are told one by one: what is told goes into headers, of which clients take 16 KiB.
const LINE_VIOLATIONS_MAX: usize = 32;

const MISSING: &str = "must be given";

/// A purchase or return that was received at `now`; its id follows from its key.
pub(super) fn purchase(
    message: Option<pb::Purchase>,
    now: OffsetDateTime,
    id_of: impl FnOnce(&SourceKey) -> PurchaseId,
) -> Result<RecordPurchase, Status> {
    let message = message.ok_or_else(|| status::invalid_field("purchase", MISSING))?;
    let mut wrong = Violations::new();
    let key = source_key(
        &mut wrong,
        ["purchase.source", "purchase.source_id"],
        message.source,
        message.source_id,
    );
    let customer = customer(&mut wrong, "purchase.customer_id", &message.customer_id);
    let kind = given(
        &mut wrong,
        "purchase.kind",
        parts::purchase_kind(message.kind),
    );
    let occurred_at = occurred(
        &mut wrong,
        "purchase.occurred_time",
        message.occurred_time.as_ref(),
        now,
    );
    let code = message.currency_code;
    let checked = currency::check(&code).map(|()| code);
    let currency_code = wrong.parsed("purchase.currency_code", checked);
    let lines = lines(&mut wrong, message.lines);
    let channel = wrong.parsed("purchase.channel", text::label(message.channel));
    complete(wrong, || {
        let key = key?;
        let facts = PurchaseFacts {
            id: id_of(&key),
            customer: customer?,
            key,
            occurred_at: occurred_at?,
            received_at: now,
            currency_code: currency_code?,
            lines: lines?,
            channel: channel?,
            backfill: message.backfill,
        };
        Some(RecordPurchase { kind: kind?, facts })
    })
}

/// A contact that was received at `now`; its id follows from its key.
pub(super) fn touchpoint(
    message: Option<pb::Touchpoint>,
    now: OffsetDateTime,
    id_of: impl FnOnce(&SourceKey) -> TouchpointId,
) -> Result<RecordTouchpoint, Status> {
    let message = message.ok_or_else(|| status::invalid_field("touchpoint", MISSING))?;
    let mut wrong = Violations::new();
    let key = source_key(
        &mut wrong,
        ["touchpoint.source", "touchpoint.source_id"],
        message.source,
        message.source_id,
    );
    let customer = customer(&mut wrong, "touchpoint.customer_id", &message.customer_id);
    let channel = given(
        &mut wrong,
        "touchpoint.channel",
        parts::channel(message.channel),
    );
    let direction = given(
        &mut wrong,
        "touchpoint.direction",
        parts::direction(message.direction),
    );
    let role = wrong.parsed("touchpoint.role", text::label(message.role));
    let spoken_by = role.and_then(|role| {
        wrong.parsed(
            "touchpoint.role",
            SpokenBy::try_new(message.automated, role),
        )
    });
    let summary = wrong.parsed("touchpoint.summary", Summary::parse(message.summary));
    let occurred_at = occurred(
        &mut wrong,
        "touchpoint.occurred_time",
        message.occurred_time.as_ref(),
        now,
    );
    complete(wrong, || {
        let key = key?;
        let facts = TouchpointFacts {
            id: id_of(&key),
            customer: customer?,
            key,
            channel: channel?,
            direction: direction?,
            public: message.public,
            spoken_by: spoken_by?,
            summary: Some(summary?),
            occurred_at: occurred_at?,
            received_at: now,
            backfill: message.backfill,
        };
        Some(RecordTouchpoint { facts })
    })
}

/// The id of a customer.
pub(super) fn customer(wrong: &mut Violations, path: &str, id: &str) -> Option<CustomerId> {
    wrong.parsed(path, id.parse())
}

/// What `parsed` makes of the parts, once none of them is wrong.
pub(super) fn complete<T>(
    wrong: Violations,
    parsed: impl FnOnce() -> Option<T>,
) -> Result<T, Status> {
    wrong.into_result()?;
    Ok(parsed().expect("a part that could not be parsed is noted as wrong"))
}

fn source_key(
    wrong: &mut Violations,
    paths: [&str; 2],
    source: String,
    source_id: String,
) -> Option<SourceKey> {
    let source = wrong.parsed(paths[0], text::source(source));
    let source_id = wrong.parsed(paths[1], text::source_id(source_id));
    Some(SourceKey {
        source: source?,
        source_id: source_id?,
    })
}

fn given<T>(wrong: &mut Violations, path: &str, value: Option<T>) -> Option<T> {
    wrong.check(value.is_some(), path, MISSING);
    value
}

fn occurred(
    wrong: &mut Violations,
    path: &str,
    moment: Option<&Timestamp>,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    let moment = given(wrong, path, moment)?;
    let moment = wrong.parsed(path, timestamp::from_proto(moment))?;
    wrong.parsed(path, moment::occurred(moment, now))
}

fn lines(wrong: &mut Violations, lines: Vec<pb::PurchaseLine>) -> Option<Lines> {
    let invalid = match Lines::try_new(lines.into_iter().map(parts::line).collect()) {
        Ok(lines) => return Some(lines),
        Err(invalid) => invalid,
    };
    for reason in invalid.iter().take(LINE_VIOLATIONS_MAX) {
        wrong.add(path(reason), reason.to_string());
    }
    if let Some(more @ 1..) = invalid.len().checked_sub(LINE_VIOLATIONS_MAX) {
        wrong.add("purchase.lines", format!("{more} more mistakes"));
    }
    None
}

fn path(invalid: &InvalidLines) -> String {
    match invalid {
        InvalidLines::Count | InvalidLines::Total | InvalidLines::Margin => {
            "purchase.lines".to_owned()
        }
        InvalidLines::Text { line, field, .. } => format!("purchase.lines[{line}].{field}"),
        InvalidLines::Quantity { line } => format!("purchase.lines[{line}].quantity"),
        InvalidLines::Amount { line } => format!("purchase.lines[{line}].amount_minor"),
    }
}
