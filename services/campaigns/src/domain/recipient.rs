//! A customer as someone whom campaigns want to contact. All decisions about a customer stand in one stream, so that the contact
//! pause and "already decided" hold without locks across customers.

use std::{collections::BTreeMap, convert::Infallible};

use aggregate::{Aggregate, CustomerId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    gate::{Arm, Consent, GATE, Obstacles, RefusalReason, draw},
    plan::{CampaignId, Channel, HoldoutShare, Name, SegmentId},
};

/// What campaigns have decided about a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    verdicts: BTreeMap<CampaignId, Verdict>,
    last_contact_at: Option<OffsetDateTime>,
}

/// What was decided for a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Contact.
    Contact,
    /// Held out, to compare with.
    HoldOut,
    /// Refused.
    Refused(RefusalReason),
}

/// Asks whether a campaign may contact a customer.
#[derive(Clone, Debug, PartialEq)]
pub struct DecideContact {
    /// Customer.
    pub customer: CustomerId,
    /// Campaign.
    pub campaign: CampaignId,
    /// Channel.
    pub channel: Channel,
    /// Name of the offer.
    pub offer: Name,
    /// Consent for the campaign's channel and purpose; none when it was never given.
    pub consent: Option<Consent>,
    /// What stands in the way of any contact.
    pub obstacles: Obstacles,
    /// Segment.
    pub segment: SegmentId,
    /// Version of the segment's rule by which the customer is a member.
    pub segment_rule_version: u32,
    /// Seed of the holdout.
    pub seed: u64,
    /// Share that is held out.
    pub holdout_share: HoldoutShare,
    /// The moment for which the campaign decides.
    pub effective_at: OffsetDateTime,
    /// The moment of the decision, and of the contact that follows from it.
    pub decided_at: OffsetDateTime,
    /// Nobody is contacted: real contacts are not looked at, and none is made.
    pub retrospective: bool,
}

/// What the gate saw when it decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The consent event; none when there was none.
    pub consent_event: Option<Uuid>,
    /// Segment.
    pub segment: SegmentId,
    /// Version of the segment's rule.
    pub segment_rule_version: u32,
    /// Seed of the holdout.
    pub seed: u64,
    /// Share that is held out.
    pub holdout_share: HoldoutShare,
    /// The number drawn for this customer.
    pub draw: f64,
    /// When the customer was last contacted before; none when never, or when the campaign does not look at contacts.
    pub last_contact_at: Option<OffsetDateTime>,
    /// The moment for which it was decided.
    pub effective_at: OffsetDateTime,
    /// Version of the gate's policy.
    pub policy_version: u32,
}

/// What all decisions have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct ContactDecision {
    /// Customer.
    pub customer: CustomerId,
    /// Campaign.
    pub campaign: CampaignId,
    /// What the gate saw.
    pub evidence: Evidence,
    /// Nobody must act on it.
    pub retrospective: bool,
    /// When it was made.
    pub decided_at: OffsetDateTime,
}

/// What can have been decided about a customer.
#[derive(Clone, Debug, PartialEq)]
pub enum RecipientEvent {
    /// The gate said yes.
    ContactRequested {
        /// The decision.
        decision: ContactDecision,
        /// Channel.
        channel: Channel,
        /// Name of the offer.
        offer: Name,
    },
    /// The customer is held out.
    ContactHeldOut {
        /// The decision.
        decision: ContactDecision,
    },
    /// The gate said no.
    ContactRefused {
        /// The decision.
        decision: ContactDecision,
        /// Why.
        reason: RefusalReason,
    },
}

impl RecipientEvent {
    /// The decision that it tells.
    #[must_use]
    pub fn decision(&self) -> &ContactDecision {
        match self {
            Self::ContactRequested { decision, .. }
            | Self::ContactHeldOut { decision }
            | Self::ContactRefused { decision, .. } => decision,
        }
    }

    /// What was decided.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::ContactRequested { .. } => Verdict::Contact,
            Self::ContactHeldOut { .. } => Verdict::HoldOut,
            Self::ContactRefused { reason, .. } => Verdict::Refused(*reason),
        }
    }
}

impl Recipient {
    /// The recipient that these verdicts make: what folding the stream would give.
    pub fn of(
        verdicts: impl IntoIterator<Item = (CampaignId, Verdict)>,
        last_contact_at: Option<OffsetDateTime>,
    ) -> Self {
        Self {
            verdicts: verdicts.into_iter().collect(),
            last_contact_at,
        }
    }

    /// What was decided by each campaign, in the order of their ids.
    pub fn verdicts(&self) -> impl Iterator<Item = (CampaignId, Verdict)> {
        self.verdicts.iter().map(|(id, verdict)| (*id, *verdict))
    }

    /// When the customer was last contacted.
    #[must_use]
    pub fn last_contact_at(&self) -> Option<OffsetDateTime> {
        self.last_contact_at
    }
}

impl Aggregate for Recipient {
    const TYPE: &'static str = "recipient";
    type Command = DecideContact;
    type Event = RecipientEvent;
    /// A no of the gate is an event, not a rejection.
    type Rejection = Infallible;

    fn decide(&self, command: &DecideContact) -> Result<Vec<RecipientEvent>, Infallible> {
        if self.verdicts.contains_key(&command.campaign) {
            return Ok(Vec::new());
        }
        // A campaign that looks back contacts nobody, so that real contacts do not stand in its way.
        let last_contact_at = self.last_contact_at.filter(|_| !command.retrospective);
        let draw = draw(command.seed, command.campaign, command.customer);
        let decision = ContactDecision {
            customer: command.customer,
            campaign: command.campaign,
            evidence: Evidence {
                consent_event: command.consent.map(|consent| consent.event_id),
                segment: command.segment,
                segment_rule_version: command.segment_rule_version,
                seed: command.seed,
                holdout_share: command.holdout_share,
                draw,
                last_contact_at,
                effective_at: command.effective_at,
                policy_version: GATE.version,
            },
            retrospective: command.retrospective,
            decided_at: command.decided_at,
        };
        let admitted = GATE.admit(
            command.obstacles,
            command.consent,
            last_contact_at,
            command.decided_at,
            draw,
            command.holdout_share,
        );
        Ok(vec![match admitted {
            Ok(Arm::Contacted) => RecipientEvent::ContactRequested {
                decision,
                channel: command.channel,
                offer: command.offer.clone(),
            },
            Ok(Arm::HeldOut) => RecipientEvent::ContactHeldOut { decision },
            Err(reason) => RecipientEvent::ContactRefused { decision, reason },
        }])
    }

    fn evolve(&mut self, event: &RecipientEvent) {
        let decision = event.decision();
        self.verdicts.insert(decision.campaign, event.verdict());
        if event.verdict() == Verdict::Contact && !decision.retrospective {
            self.last_contact_at = self.last_contact_at.max(Some(decision.decided_at));
        }
    }
}

#[cfg(test)]
mod tests;
