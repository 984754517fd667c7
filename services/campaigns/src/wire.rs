//! The domain's enums and ids as they stand in protobuf, and back. The numbers are also what the read model stores.

use contracts::{
    campaigns::v1 as pb,
    customers::v1::{Channel as PbChannel, Purpose as PbPurpose},
};
use uuid::Uuid;

use crate::domain::{Channel, Goal, Offer, Purpose, RefusalReason, Verdict};

pub(crate) fn goal(goal: Goal) -> pb::GoalKind {
    match goal {
        Goal::Acquire => pb::GoalKind::Acquire,
        Goal::CrossSell => pb::GoalKind::CrossSell,
        Goal::WinBack => pb::GoalKind::WinBack,
        Goal::Loyalty => pb::GoalKind::Loyalty,
        Goal::Retain => pb::GoalKind::Retain,
    }
}

pub(crate) fn parse_goal(number: i32) -> Option<Goal> {
    match pb::GoalKind::try_from(number).ok()? {
        pb::GoalKind::Unspecified => None,
        pb::GoalKind::Acquire => Some(Goal::Acquire),
        pb::GoalKind::CrossSell => Some(Goal::CrossSell),
        pb::GoalKind::WinBack => Some(Goal::WinBack),
        pb::GoalKind::Loyalty => Some(Goal::Loyalty),
        pb::GoalKind::Retain => Some(Goal::Retain),
    }
}

pub(crate) fn offer(offer: &Offer) -> pb::Offer {
    pb::Offer {
        name: offer.name.as_str().to_owned(),
        description: offer.description.as_str().to_owned(),
        cost_minor: offer.cost_minor,
        currency_code: offer.currency_code.clone(),
    }
}

pub(crate) fn channel(channel: Channel) -> PbChannel {
    match channel {
        Channel::Email => PbChannel::Email,
        Channel::Sms => PbChannel::Sms,
        Channel::Phone => PbChannel::Phone,
        Channel::Post => PbChannel::Post,
    }
}

pub(crate) fn parse_channel(number: i32) -> Option<Channel> {
    match PbChannel::try_from(number).ok()? {
        PbChannel::Unspecified => None,
        PbChannel::Email => Some(Channel::Email),
        PbChannel::Sms => Some(Channel::Sms),
        PbChannel::Phone => Some(Channel::Phone),
        PbChannel::Post => Some(Channel::Post),
    }
}

pub(crate) fn purpose(purpose: Purpose) -> PbPurpose {
    match purpose {
        Purpose::Marketing => PbPurpose::Marketing,
        Purpose::Information => PbPurpose::Information,
        Purpose::Research => PbPurpose::Research,
    }
}

pub(crate) fn parse_purpose(number: i32) -> Option<Purpose> {
    match PbPurpose::try_from(number).ok()? {
        PbPurpose::Unspecified => None,
        PbPurpose::Marketing => Some(Purpose::Marketing),
        PbPurpose::Information => Some(Purpose::Information),
        PbPurpose::Research => Some(Purpose::Research),
    }
}

pub(crate) fn refusal(reason: RefusalReason) -> pb::RefusalReason {
    match reason {
        RefusalReason::NoConsent => pb::RefusalReason::NoConsent,
        RefusalReason::ConsentWithdrawn => pb::RefusalReason::ConsentWithdrawn,
        RefusalReason::AlreadyContacted => pb::RefusalReason::AlreadyContacted,
        RefusalReason::ProcessingRestricted => pb::RefusalReason::ProcessingRestricted,
        RefusalReason::CustomerMerged => pb::RefusalReason::CustomerMerged,
    }
}

pub(crate) fn parse_refusal(number: i32) -> Option<RefusalReason> {
    match pb::RefusalReason::try_from(number).ok()? {
        pb::RefusalReason::Unspecified => None,
        pb::RefusalReason::NoConsent => Some(RefusalReason::NoConsent),
        pb::RefusalReason::ConsentWithdrawn => Some(RefusalReason::ConsentWithdrawn),
        pb::RefusalReason::AlreadyContacted => Some(RefusalReason::AlreadyContacted),
        pb::RefusalReason::ProcessingRestricted => Some(RefusalReason::ProcessingRestricted),
        pb::RefusalReason::CustomerMerged => Some(RefusalReason::CustomerMerged),
    }
}

/// Verdict and reason; the reason is unspecified unless refused.
pub(crate) fn verdict(verdict: Verdict) -> (pb::Verdict, pb::RefusalReason) {
    match verdict {
        Verdict::Contact => (pb::Verdict::Contact, pb::RefusalReason::Unspecified),
        Verdict::HoldOut => (pb::Verdict::Holdout, pb::RefusalReason::Unspecified),
        Verdict::Refused(reason) => (pb::Verdict::Refused, refusal(reason)),
    }
}

pub(crate) fn parse_verdict(verdict: i32, reason: i32) -> Option<Verdict> {
    match pb::Verdict::try_from(verdict).ok()? {
        pb::Verdict::Unspecified => None,
        pb::Verdict::Contact => Some(Verdict::Contact),
        pb::Verdict::Holdout => Some(Verdict::HoldOut),
        pb::Verdict::Refused => parse_refusal(reason).map(Verdict::Refused),
    }
}

/// An enum's number as the read model stores it.
pub(crate) fn number(value: impl Into<i32>) -> i16 {
    i16::try_from(value.into()).expect("the enums of the protos have few values")
}

/// An id, empty when there is none.
pub(crate) fn optional_id(id: Option<Uuid>) -> String {
    id.map_or_else(String::new, |id| id.to_string())
}
