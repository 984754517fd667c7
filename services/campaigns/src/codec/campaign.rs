//! The events of a campaign's stream.

use contracts::campaigns::v1 as pb;
use event_log::{
    DecodeError, Encoded, Seal, SealError, Stored, StoredEvent, SubjectCipher, timestamp,
};

use super::{moment, parse};
use crate::{
    domain::{Campaign, CampaignEvent, Description, HoldoutShare, Name, Offer, Plan},
    wire,
};

const CREATED: &str = "vefa.campaigns.v1.CampaignCreated";
const STARTED: &str = "vefa.campaigns.v1.CampaignStarted";
const AUDIENCE_DECIDED: &str = "vefa.campaigns.v1.AudienceDecided";

/// All types that stand in a campaign's stream.
pub(super) const TYPES: [&str; 3] = [CREATED, STARTED, AUDIENCE_DECIDED];

impl Stored for Campaign {
    fn encode(event: &CampaignEvent, _seal: &Seal<'_>) -> Result<Encoded, SealError> {
        Ok(match event {
            CampaignEvent::Created { id, plan } => Encoded::v1(
                CREATED,
                &pb::CampaignCreated {
                    campaign_id: id.to_string(),
                    name: plan.name.as_str().to_owned(),
                    goal: wire::goal(plan.goal).into(),
                    segment_id: plan.segment.to_string(),
                    offer: Some(wire::offer(&plan.offer)),
                    channel: wire::channel(plan.channel).into(),
                    purpose: wire::purpose(plan.purpose).into(),
                    holdout_share: plan.holdout_share.value(),
                    seed: plan.seed,
                },
            ),
            CampaignEvent::Started {
                id,
                effective_at,
                retrospective,
            } => Encoded::v1(
                STARTED,
                &pb::CampaignStarted {
                    campaign_id: id.to_string(),
                    effective_time: Some(timestamp::to_proto(*effective_at)),
                    retrospective: *retrospective,
                },
            ),
            CampaignEvent::AudienceDecided {
                id,
                audience,
                segment_rule_version,
            } => Encoded::v1(
                AUDIENCE_DECIDED,
                &pb::AudienceDecided {
                    campaign_id: id.to_string(),
                    audience: *audience,
                    segment_rule_version: *segment_rule_version,
                },
            ),
        })
    }

    fn decode(event: &StoredEvent, _cipher: &SubjectCipher) -> Result<CampaignEvent, DecodeError> {
        match (event.type_.as_str(), event.schema_version) {
            (CREATED, 1) => created(event, event.message()?),
            (STARTED, 1) => {
                let message: pb::CampaignStarted = event.message()?;
                Ok(CampaignEvent::Started {
                    id: parse(event, "campaign_id", &message.campaign_id)?,
                    effective_at: moment(event, "effective_time", message.effective_time)?,
                    retrospective: message.retrospective,
                })
            }
            (AUDIENCE_DECIDED, 1) => {
                let message: pb::AudienceDecided = event.message()?;
                Ok(CampaignEvent::AudienceDecided {
                    id: parse(event, "campaign_id", &message.campaign_id)?,
                    audience: message.audience,
                    segment_rule_version: message.segment_rule_version,
                })
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }
}

fn created(
    event: &StoredEvent,
    message: pb::CampaignCreated,
) -> Result<CampaignEvent, DecodeError> {
    let invalid = |field| DecodeError::invalid(event, field);
    let offer = message.offer.ok_or_else(|| invalid("offer"))?;
    Ok(CampaignEvent::Created {
        id: parse(event, "campaign_id", &message.campaign_id)?,
        plan: Plan {
            name: Name::parse(&message.name).map_err(|_| invalid("name"))?,
            goal: wire::parse_goal(message.goal).ok_or_else(|| invalid("goal"))?,
            segment: parse(event, "segment_id", &message.segment_id)?,
            offer: Offer {
                name: Name::parse(&offer.name).map_err(|_| invalid("offer.name"))?,
                description: Description::parse(&offer.description)
                    .map_err(|_| invalid("offer.description"))?,
                cost_minor: offer.cost_minor,
                currency_code: offer.currency_code,
            },
            channel: wire::parse_channel(message.channel).ok_or_else(|| invalid("channel"))?,
            purpose: wire::parse_purpose(message.purpose).ok_or_else(|| invalid("purpose"))?,
            holdout_share: HoldoutShare::parse(message.holdout_share)
                .map_err(|_| invalid("holdout_share"))?,
            seed: message.seed,
        },
    })
}
