//! What a campaign is, whom its gate lets through, and how its effect is measured. Pure: no I/O, no clock, no randomness, no async.

mod campaign;
mod gate;
mod plan;
mod recipient;
mod uplift;

pub use campaign::{Campaign, CampaignCommand, CampaignEvent, CampaignRejection, CampaignState};
pub use gate::{Arm, Consent, GATE, GatePolicy, Obstacles, RefusalReason, draw};
pub use plan::{
    CampaignId, Channel, Description, Goal, HoldoutShare, InvalidText, Name, Offer, Plan, Purpose,
    SegmentId,
};
pub use recipient::{ContactDecision, DecideContact, Evidence, Recipient, RecipientEvent, Verdict};
pub use uplift::{Confidence, EmptyArm, Interval, Rate, Uplift};
