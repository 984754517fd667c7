//! `SegmentDefined`, `SegmentRuleChanged` and `SegmentNameClaimed`.

use contracts::segmentation::v1 as pb;
use event_log::{DecodeError, Encoded, Seal, SealError, Stored, StoredEvent, SubjectCipher};

use super::id;
use crate::domain::{NameClaim, NameClaimed, Segment, SegmentEvent};

/// Type of the first event of a segment.
pub(crate) const SEGMENT_DEFINED: &str = "vefa.segmentation.v1.SegmentDefined";
/// Type of the event of another rule.
pub(crate) const SEGMENT_RULE_CHANGED: &str = "vefa.segmentation.v1.SegmentRuleChanged";
/// Type of the event of a name.
pub(crate) const SEGMENT_NAME_CLAIMED: &str = "vefa.segmentation.v1.SegmentNameClaimed";

impl Stored for Segment {
    fn encode(event: &SegmentEvent, _: &Seal<'_>) -> Result<Encoded, SealError> {
        Ok(match event {
            SegmentEvent::Defined {
                segment,
                name,
                rule,
            } => Encoded::v1(
                SEGMENT_DEFINED,
                &pb::SegmentDefined {
                    segment_id: segment.to_string(),
                    name: name.clone(),
                    rule: rule.clone(),
                },
            ),
            SegmentEvent::RuleChanged {
                segment,
                rule,
                rule_version,
            } => Encoded::v1(
                SEGMENT_RULE_CHANGED,
                &pb::SegmentRuleChanged {
                    segment_id: segment.to_string(),
                    rule: rule.clone(),
                    rule_version: *rule_version,
                },
            ),
        })
    }

    fn decode(event: &StoredEvent, _: &SubjectCipher) -> Result<SegmentEvent, DecodeError> {
        match (event.type_.as_str(), event.schema_version) {
            (SEGMENT_DEFINED, 1) => {
                let message: pb::SegmentDefined = event.message()?;
                Ok(SegmentEvent::Defined {
                    segment: id(event, "segment_id", &message.segment_id)?,
                    name: message.name,
                    rule: message.rule,
                })
            }
            (SEGMENT_RULE_CHANGED, 1) => {
                let message: pb::SegmentRuleChanged = event.message()?;
                Ok(SegmentEvent::RuleChanged {
                    segment: id(event, "segment_id", &message.segment_id)?,
                    rule: message.rule,
                    rule_version: message.rule_version,
                })
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }
}

impl Stored for NameClaim {
    fn encode(event: &NameClaimed, _: &Seal<'_>) -> Result<Encoded, SealError> {
        Ok(Encoded::v1(
            SEGMENT_NAME_CLAIMED,
            &pb::SegmentNameClaimed {
                name: event.name.clone(),
                segment_id: event.segment.to_string(),
            },
        ))
    }

    fn decode(event: &StoredEvent, _: &SubjectCipher) -> Result<NameClaimed, DecodeError> {
        match (event.type_.as_str(), event.schema_version) {
            (SEGMENT_NAME_CLAIMED, 1) => {
                let message: pb::SegmentNameClaimed = event.message()?;
                Ok(NameClaimed {
                    segment: id(event, "segment_id", &message.segment_id)?,
                    name: message.name,
                })
            }
            _ => Err(DecodeError::unknown(event)),
        }
    }
}
