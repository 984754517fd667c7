//! `CustomerScored`, `SegmentEntered` and `SegmentLeft`.

use contracts::segmentation::v1 as pb;
use event_log::{
    DecodeError, Encoded, Seal, SealError, Stored, StoredEvent, SubjectCipher, timestamp,
};

use super::{id, moment};
use crate::domain::{Cause, Change, Rfm, Score, Standing, StandingEvent, Tier};

/// Type of the event of a scored customer.
pub(crate) const CUSTOMER_SCORED: &str = "vefa.segmentation.v1.CustomerScored";
/// Type of the event of a new member.
pub(crate) const SEGMENT_ENTERED: &str = "vefa.segmentation.v1.SegmentEntered";
/// Type of the event of somebody who is no longer a member.
pub(crate) const SEGMENT_LEFT: &str = "vefa.segmentation.v1.SegmentLeft";

impl Stored for Standing {
    fn encode(event: &StandingEvent, _: &Seal<'_>) -> Result<Encoded, SealError> {
        Ok(match event {
            StandingEvent::Scored(score) => Encoded::v1(CUSTOMER_SCORED, &score_message(score)),
            StandingEvent::Entered(change) => {
                let (cause, cause_event_id) = cause_message(change.cause);
                Encoded::v1(
                    SEGMENT_ENTERED,
                    &pb::SegmentEntered {
                        customer_id: change.customer.to_string(),
                        segment_id: change.segment.to_string(),
                        rule_version: change.rule_version,
                        cause: cause.into(),
                        cause_event_id,
                    },
                )
            }
            StandingEvent::Left(change) => {
                let (cause, cause_event_id) = cause_message(change.cause);
                Encoded::v1(
                    SEGMENT_LEFT,
                    &pb::SegmentLeft {
                        customer_id: change.customer.to_string(),
                        segment_id: change.segment.to_string(),
                        rule_version: change.rule_version,
                        cause: cause.into(),
                        cause_event_id,
                    },
                )
            }
        })
    }

    fn decode(event: &StoredEvent, _: &SubjectCipher) -> Result<StandingEvent, DecodeError> {
        match (event.type_.as_str(), event.schema_version) {
            (CUSTOMER_SCORED, 1) => Ok(StandingEvent::Scored(score(event, &event.message()?)?)),
            (SEGMENT_ENTERED, 1) => Ok(StandingEvent::Entered(change(event, event.message()?)?)),
            (SEGMENT_LEFT, 1) => {
                let left: pb::SegmentLeft = event.message()?;
                let same = pb::SegmentEntered {
                    customer_id: left.customer_id,
                    segment_id: left.segment_id,
                    rule_version: left.rule_version,
                    cause: left.cause,
                    cause_event_id: left.cause_event_id,
                };
                Ok(StandingEvent::Left(change(event, same)?))
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }
}

fn change(event: &StoredEvent, message: pb::SegmentEntered) -> Result<Change, DecodeError> {
    let cause_event = || id(event, "cause_event_id", &message.cause_event_id);
    let cause = match pb::MembershipCause::try_from(message.cause) {
        Ok(pb::MembershipCause::Event) => Cause::Event(cause_event()?),
        Ok(pb::MembershipCause::Backfill) => Cause::Backfill(cause_event()?),
        Ok(pb::MembershipCause::Rule) => Cause::Rule,
        Ok(pb::MembershipCause::Time) => Cause::Time,
        Ok(pb::MembershipCause::Fit) => Cause::Fit,
        Ok(pb::MembershipCause::Unspecified) | Err(_) => {
            return Err(DecodeError::invalid(event, "cause"));
        }
    };
    Ok(Change {
        customer: id(event, "customer_id", &message.customer_id)?,
        segment: id(event, "segment_id", &message.segment_id)?,
        rule_version: message.rule_version,
        cause,
    })
}

fn cause_message(cause: Cause) -> (pb::MembershipCause, String) {
    match cause {
        Cause::Event(event) => (pb::MembershipCause::Event, event.to_string()),
        Cause::Backfill(event) => (pb::MembershipCause::Backfill, event.to_string()),
        Cause::Rule => (pb::MembershipCause::Rule, String::new()),
        Cause::Time => (pb::MembershipCause::Time, String::new()),
        Cause::Fit => (pb::MembershipCause::Fit, String::new()),
    }
}

fn score_message(score: &Score) -> pb::CustomerScored {
    pb::CustomerScored {
        customer_id: score.customer.to_string(),
        fit_id: score.fit.to_string(),
        calibration_end_time: Some(timestamp::to_proto(score.calibration_end)),
        p_alive: score.p_alive,
        expected_purchases: score.expected_purchases,
        expected_value_minor: score.expected_value_minor,
        recency_score: score.rfm.recency.into(),
        frequency_score: score.rfm.frequency.into(),
        monetary_score: score.rfm.monetary.into(),
        tier: tier_message(score.tier).into(),
        tier_policy_version: score.tier_policy_version,
        monetary_minor: score.monetary_minor,
    }
}

fn score(event: &StoredEvent, message: &pb::CustomerScored) -> Result<Score, DecodeError> {
    let of_five = |field, score: u32| {
        u8::try_from(score)
            .ok()
            .filter(|score| (1..=5).contains(score))
            .ok_or_else(|| DecodeError::invalid(event, field))
    };
    Ok(Score {
        customer: id(event, "customer_id", &message.customer_id)?,
        fit: id(event, "fit_id", &message.fit_id)?,
        calibration_end: moment(event, "calibration_end_time", message.calibration_end_time)?,
        p_alive: message.p_alive,
        expected_purchases: message.expected_purchases,
        expected_value_minor: message.expected_value_minor,
        monetary_minor: message.monetary_minor,
        rfm: Rfm {
            recency: of_five("recency_score", message.recency_score)?,
            frequency: of_five("frequency_score", message.frequency_score)?,
            monetary: of_five("monetary_score", message.monetary_score)?,
        },
        tier: tier(message.tier).ok_or_else(|| DecodeError::invalid(event, "tier"))?,
        tier_policy_version: message.tier_policy_version,
    })
}

pub(crate) fn tier_message(tier: Tier) -> pb::Tier {
    match tier {
        Tier::MostValuable => pb::Tier::MostValuable,
        Tier::MostGrowable => pb::Tier::MostGrowable,
        Tier::Standard => pb::Tier::Standard,
        Tier::BelowZero => pb::Tier::BelowZero,
    }
}

fn tier(tier: i32) -> Option<Tier> {
    Tier::ALL
        .into_iter()
        .find(|known| tier_message(*known) as i32 == tier)
}
