//! The events of a customer's stream in this log: what campaigns decided.

mod snapshot;

use contracts::campaigns::v1 as pb;
use event_log::{
    DecodeError, Encoded, Seal, SealError, Snapshot, Stored, StoredEvent, SubjectCipher, timestamp,
};
use time::OffsetDateTime;

use super::{moment, parse};
use crate::{
    domain::{ContactDecision, Evidence, HoldoutShare, Name, Recipient, RecipientEvent},
    wire,
};

const REQUESTED: &str = "vefa.campaigns.v1.ContactRequested";
const HELD_OUT: &str = "vefa.campaigns.v1.ContactHeldOut";
const REFUSED: &str = "vefa.campaigns.v1.ContactRefused";

impl Stored for Recipient {
    const SNAPSHOT: Option<Snapshot<Self>> = Some(snapshot::FORMAT);

    fn encode(event: &RecipientEvent, _seal: &Seal<'_>) -> Result<Encoded, SealError> {
        let decision = event.decision();
        let customer_id = decision.customer.to_string();
        let campaign_id = decision.campaign.to_string();
        let evidence = Some(evidence(&decision.evidence));
        let retrospective = decision.retrospective;
        Ok(match event {
            RecipientEvent::ContactRequested { channel, offer, .. } => Encoded::v1(
                REQUESTED,
                &pb::ContactRequested {
                    customer_id,
                    campaign_id,
                    channel: wire::channel(*channel).into(),
                    offer_name: offer.as_str().to_owned(),
                    evidence,
                    retrospective,
                },
            ),
            RecipientEvent::ContactHeldOut { .. } => Encoded::v1(
                HELD_OUT,
                &pb::ContactHeldOut {
                    customer_id,
                    campaign_id,
                    evidence,
                    retrospective,
                },
            ),
            RecipientEvent::ContactRefused { reason, .. } => Encoded::v1(
                REFUSED,
                &pb::ContactRefused {
                    customer_id,
                    campaign_id,
                    reason: wire::refusal(*reason).into(),
                    evidence,
                    retrospective,
                },
            ),
        })
    }

    fn decode(event: &StoredEvent, _cipher: &SubjectCipher) -> Result<RecipientEvent, DecodeError> {
        let invalid = |field| DecodeError::invalid(event, field);
        match (event.type_.as_str(), event.schema_version) {
            (REQUESTED, 1) => {
                let message: pb::ContactRequested = event.message()?;
                Ok(RecipientEvent::ContactRequested {
                    channel: wire::parse_channel(message.channel)
                        .ok_or_else(|| invalid("channel"))?,
                    offer: Name::parse(&message.offer_name).map_err(|_| invalid("offer_name"))?,
                    decision: decision(
                        event,
                        &message.customer_id,
                        &message.campaign_id,
                        message.evidence,
                        message.retrospective,
                    )?,
                })
            }
            (HELD_OUT, 1) => {
                let message: pb::ContactHeldOut = event.message()?;
                Ok(RecipientEvent::ContactHeldOut {
                    decision: decision(
                        event,
                        &message.customer_id,
                        &message.campaign_id,
                        message.evidence,
                        message.retrospective,
                    )?,
                })
            }
            (REFUSED, 1) => {
                let message: pb::ContactRefused = event.message()?;
                Ok(RecipientEvent::ContactRefused {
                    reason: wire::parse_refusal(message.reason).ok_or_else(|| invalid("reason"))?,
                    decision: decision(
                        event,
                        &message.customer_id,
                        &message.campaign_id,
                        message.evidence,
                        message.retrospective,
                    )?,
                })
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }

    /// The moment of the decision is the event's own time and stands nowhere else.
    fn occurred_at(event: &RecipientEvent) -> Option<OffsetDateTime> {
        Some(event.decision().decided_at)
    }
}

fn evidence(evidence: &Evidence) -> pb::GateEvidence {
    pb::GateEvidence {
        consent_event_id: wire::optional_id(evidence.consent_event),
        segment_id: evidence.segment.to_string(),
        segment_rule_version: evidence.segment_rule_version,
        seed: evidence.seed,
        holdout_share: evidence.holdout_share.value(),
        draw: evidence.draw,
        last_contact_time: evidence.last_contact_at.map(timestamp::to_proto),
        effective_time: Some(timestamp::to_proto(evidence.effective_at)),
        policy_version: evidence.policy_version,
    }
}

fn decision(
    event: &StoredEvent,
    customer_id: &str,
    campaign_id: &str,
    evidence: Option<pb::GateEvidence>,
    retrospective: bool,
) -> Result<ContactDecision, DecodeError> {
    let invalid = |field| DecodeError::invalid(event, field);
    let evidence = evidence.ok_or_else(|| invalid("evidence"))?;
    let consent_event = match evidence.consent_event_id.as_str() {
        "" => None,
        text => Some(parse(event, "evidence.consent_event_id", text)?),
    };
    let last_contact_at = match evidence.last_contact_time {
        None => None,
        present => Some(moment(event, "evidence.last_contact_time", present)?),
    };
    Ok(ContactDecision {
        customer: parse(event, "customer_id", customer_id)?,
        campaign: parse(event, "campaign_id", campaign_id)?,
        evidence: Evidence {
            consent_event,
            segment: parse(event, "evidence.segment_id", &evidence.segment_id)?,
            segment_rule_version: evidence.segment_rule_version,
            seed: evidence.seed,
            holdout_share: HoldoutShare::parse(evidence.holdout_share)
                .map_err(|_| invalid("evidence.holdout_share"))?,
            draw: evidence.draw,
            last_contact_at,
            effective_at: moment(event, "evidence.effective_time", evidence.effective_time)?,
            policy_version: evidence.policy_version,
        },
        retrospective,
        decided_at: event.occurred_at,
    })
}
