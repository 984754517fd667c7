//! Requests to what the domain takes. Everything that is wrong with a request is told at once.

use aggregate::currency;
use contracts::campaigns::v1 as pb;
use contracts::customers::v1::Purpose as PbPurpose;
use event_log::timestamp;
use prost_types::Timestamp;
use service::status::Violations;
use time::OffsetDateTime;
use tonic::Status;

use crate::{
    domain::{CampaignId, Confidence, Description, HoldoutShare, Name, Offer, Plan, Purpose},
    wire,
};

const MISSING: &str = "must be given";

/// The campaign that a request names.
pub(super) fn campaign_id(text: &str) -> Result<CampaignId, Status> {
    let mut wrong = Violations::new();
    let id = wrong.parsed("campaign_id", text.parse());
    complete(wrong, || id)
}

/// The plan of a campaign that is to be created.
pub(super) fn plan(request: &pb::CreateCampaignRequest) -> Result<Plan, Status> {
    let mut wrong = Violations::new();
    let name = wrong.parsed("name", Name::parse(&request.name));
    let goal = given(&mut wrong, "goal", wire::parse_goal(request.goal));
    let segment = wrong.parsed("segment_id", request.segment_id.parse());
    let offer = offer(&mut wrong, request.offer.as_ref());
    let channel = given(&mut wrong, "channel", wire::parse_channel(request.channel));
    let purpose = if request.purpose == i32::from(PbPurpose::Unspecified) {
        Some(Purpose::Marketing)
    } else {
        let purpose = wire::parse_purpose(request.purpose);
        wrong.check(purpose.is_some(), "purpose", "is not a purpose");
        purpose
    };
    let holdout_share = wrong.parsed("holdout_share", HoldoutShare::parse(request.holdout_share));
    complete(wrong, || {
        Some(Plan {
            name: name?,
            goal: goal?,
            segment: segment?,
            offer: offer?,
            channel: channel?,
            purpose: purpose?,
            holdout_share: holdout_share?,
            seed: request.seed,
        })
    })
}

fn offer(wrong: &mut Violations, offer: Option<&pb::Offer>) -> Option<Offer> {
    let offer = given(wrong, "offer", offer)?;
    let name = wrong.parsed("offer.name", Name::parse(&offer.name));
    let description = wrong.parsed("offer.description", Description::parse(&offer.description));
    wrong.check(
        offer.cost_minor >= 0,
        "offer.cost_minor",
        "must not be negative",
    );
    let free = offer.cost_minor == 0 && offer.currency_code.is_empty();
    if !free {
        wrong.parsed("offer.currency_code", currency::check(&offer.currency_code));
    }
    Some(Offer {
        name: name?,
        description: description?,
        cost_minor: offer.cost_minor,
        currency_code: offer.currency_code.clone(),
    })
}

/// The campaign to start, and the past moment for which it is to decide if it looks back.
pub(super) fn start(
    request: &pb::StartCampaignRequest,
    now: OffsetDateTime,
) -> Result<(CampaignId, Option<OffsetDateTime>), Status> {
    let mut wrong = Violations::new();
    let id = wrong.parsed("campaign_id", request.campaign_id.parse());
    let as_of = moment(
        &mut wrong,
        "retrospective_as_of",
        request.retrospective_as_of.as_ref(),
    );
    if let Some(Some(as_of)) = as_of {
        wrong.check(
            as_of <= now,
            "retrospective_as_of",
            "must not be in the future",
        );
    }
    complete(wrong, || Some((id?, as_of?)))
}

/// What an outcome is asked of: the campaign, the moment up to which purchases count, and the confidence level.
pub(super) fn outcome(
    request: &pb::GetOutcomeRequest,
    now: OffsetDateTime,
) -> Result<(CampaignId, OffsetDateTime, Confidence), Status> {
    let mut wrong = Violations::new();
    let id = wrong.parsed("campaign_id", request.campaign_id.parse());
    let until = moment(&mut wrong, "until_time", request.until_time.as_ref());
    let confidence = if request.confidence_level == 0.0 {
        Some(Confidence::DEFAULT)
    } else {
        let confidence = Confidence::parse(request.confidence_level);
        wrong.check(
            confidence.is_some(),
            "confidence_level",
            "must be more than 0.5 and less than 1",
        );
        confidence
    };
    complete(wrong, || Some((id?, until?.unwrap_or(now), confidence?)))
}

/// The moment, or none when it is absent; nothing when it is no moment.
fn moment(
    wrong: &mut Violations,
    path: &str,
    moment: Option<&Timestamp>,
) -> Option<Option<OffsetDateTime>> {
    wrong.parsed(path, moment.map(timestamp::from_proto).transpose())
}

fn given<T>(wrong: &mut Violations, path: &str, value: Option<T>) -> Option<T> {
    wrong.check(value.is_some(), path, MISSING);
    value
}

/// What was parsed, unless something was wrong with it.
fn complete<T>(wrong: Violations, parsed: impl FnOnce() -> Option<T>) -> Result<T, Status> {
    wrong.into_result()?;
    Ok(parsed().expect("whatever could not be parsed is a violation"))
}
