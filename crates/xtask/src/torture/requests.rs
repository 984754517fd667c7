//! What clients ask for. `n` makes each request another one.

use contracts::campaigns::v1::{CreateCampaignRequest, GoalKind, Offer, StartCampaignRequest};
use contracts::customers::v1::{
    AddIdentifierRequest, Channel, CustomerKind, Identifier, IdentifierType, LegalBasis, Profile,
    Purpose, RecordConsentRequest, RegisterCustomerRequest, UpdateProfileRequest,
    WithdrawConsentRequest,
};
use contracts::interactions::v1::{
    Direction, Purchase, PurchaseKind, PurchaseLine, RecordPurchaseRequest,
    RecordTouchpointRequest, Touchpoint, TouchpointChannel,
};
use contracts::segmentation::v1::DefineSegmentRequest;
use prost_types::{FieldMask, Timestamp};

use super::command::Command;

/// 2026-01-01.
const EPOCH_S: i64 = 1_767_225_600;
/// What the segments of this play ask.
pub(crate) const RULE: &str = "measures.purchases >= 2";
pub(crate) const SOURCE: &str = "torture";

/// A moment of its own for each `n`, long past.
fn at(n: u64) -> Option<Timestamp> {
    let seconds = EPOCH_S + i64::try_from(n).unwrap_or_default();
    Some(Timestamp { seconds, nanos: 0 })
}

/// Right behind it, before the next.
fn right_after(n: u64) -> Option<Timestamp> {
    at(n).map(|at| Timestamp { nanos: 1000, ..at })
}

fn external(system: &str, value: String) -> Identifier {
    Identifier {
        r#type: IdentifierType::External.into(),
        value,
        system: system.to_owned(),
    }
}

/// The identifier that several want at about the same time, and one gets.
pub(crate) fn contested_email(n: u64) -> Identifier {
    Identifier {
        r#type: IdentifierType::Email.into(),
        value: format!("contested-{}@example.com", n / 150),
        system: String::new(),
    }
}

pub(crate) fn contested_card(n: u64) -> Identifier {
    external("card", format!("card-{}", n / 150))
}

pub(crate) fn register(n: u64, request_id: &str, more: Option<Identifier>) -> Command {
    let mut identifiers = vec![external("shop", format!("shop-{n}"))];
    identifiers.extend(more);
    Command::Register(RegisterCustomerRequest {
        request_id: request_id.to_owned(),
        kind: CustomerKind::Person.into(),
        profile: Some(Profile {
            given_name: format!("Given {n}"),
            ..Profile::default()
        }),
        identifiers,
        registered_time: at(n),
        ..RegisterCustomerRequest::default()
    })
}

pub(crate) fn update(n: u64, request_id: &str, customer_id: String) -> Command {
    Command::UpdateProfile(UpdateProfileRequest {
        request_id: request_id.to_owned(),
        customer_id,
        profile: Some(Profile {
            family_name: format!("Family {n}"),
            ..Profile::default()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["family_name".to_owned()],
        }),
        etag: String::new(),
        validate_only: false,
    })
}

pub(crate) fn add_identifier(
    request_id: &str,
    customer_id: String,
    identifier: Identifier,
) -> Command {
    Command::AddIdentifier(AddIdentifierRequest {
        request_id: request_id.to_owned(),
        customer_id,
        identifier: Some(identifier),
        validate_only: false,
    })
}

pub(crate) fn consent(n: u64, request_id: &str, customer_id: String) -> Command {
    Command::RecordConsent(RecordConsentRequest {
        request_id: request_id.to_owned(),
        customer_id,
        channel: Channel::Email.into(),
        purpose: Purpose::Marketing.into(),
        legal_basis: LegalBasis::Consent.into(),
        wording_version: format!("torture-{n}"),
        source: SOURCE.to_owned(),
        given_time: at(n),
        evidence_reference: String::new(),
        validate_only: false,
        expire_time: None,
    })
}

/// Of the consent that was given with the same `n`.
pub(crate) fn withdraw(n: u64, request_id: &str, customer_id: String) -> Command {
    Command::WithdrawConsent(WithdrawConsentRequest {
        request_id: request_id.to_owned(),
        customer_id,
        channel: Channel::Email.into(),
        purpose: Purpose::Marketing.into(),
        source: SOURCE.to_owned(),
        withdrawn_time: right_after(n),
        validate_only: false,
    })
}

pub(crate) fn purchase(
    n: u64,
    source_id: &str,
    customer_id: String,
    kind: PurchaseKind,
) -> Command {
    Command::RecordPurchase(RecordPurchaseRequest {
        purchase: Some(Purchase {
            source: SOURCE.to_owned(),
            source_id: source_id.to_owned(),
            customer_id,
            kind: kind.into(),
            occurred_time: at(n),
            currency_code: "EUR".to_owned(),
            lines: vec![PurchaseLine {
                sku: "A-1".to_owned(),
                category: "shoes".to_owned(),
                quantity: 1,
                amount_minor: 1 + i64::try_from(n % 10_000).unwrap_or_default(),
                margin_minor: None,
            }],
            channel: "web".to_owned(),
            backfill: false,
        }),
    })
}

pub(crate) fn touchpoint(n: u64, source_id: &str, customer_id: String) -> Command {
    Command::RecordTouchpoint(RecordTouchpointRequest {
        touchpoint: Some(Touchpoint {
            source: SOURCE.to_owned(),
            source_id: source_id.to_owned(),
            customer_id,
            channel: TouchpointChannel::Call.into(),
            direction: Direction::Inbound.into(),
            public: false,
            automated: false,
            role: String::new(),
            summary: format!("Call {n}"),
            occurred_time: at(n),
            backfill: false,
        }),
    })
}

pub(crate) fn segment(request_id: &str) -> Command {
    Command::DefineSegment(DefineSegmentRequest {
        request_id: request_id.to_owned(),
        name: request_id.to_owned(),
        rule: RULE.to_owned(),
    })
}

pub(crate) fn campaign(n: u64, request_id: &str, segment_id: String) -> Command {
    Command::CreateCampaign(CreateCampaignRequest {
        request_id: request_id.to_owned(),
        name: request_id.to_owned(),
        goal: GoalKind::Loyalty.into(),
        segment_id,
        offer: Some(Offer {
            name: "Thanks".to_owned(),
            ..Offer::default()
        }),
        channel: Channel::Email.into(),
        purpose: Purpose::Marketing.into(),
        holdout_share: 0.2,
        seed: n,
    })
}

pub(crate) fn start(request_id: &str, campaign_id: String) -> Command {
    Command::StartCampaign(StartCampaignRequest {
        request_id: request_id.to_owned(),
        campaign_id,
        retrospective_as_of: None,
    })
}
