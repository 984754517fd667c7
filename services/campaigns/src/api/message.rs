//! State to answers.

use contracts::campaigns::v1 as pb;
use event_log::timestamp;

use crate::{
    domain::{CampaignId, CampaignState, Plan, Rate},
    read_model::{ArmTotals, Counts, DecisionRow},
    wire,
};

pub(super) fn campaign(
    id: CampaignId,
    plan: &Plan,
    state: CampaignState,
    counts: Option<&Counts>,
) -> pb::Campaign {
    let (pb_state, started, segment_rule_version) = match state {
        CampaignState::Draft => (pb::CampaignState::Draft, None, 0),
        CampaignState::Deciding {
            effective_at,
            retrospective,
        } => (
            pb::CampaignState::Deciding,
            Some((effective_at, retrospective)),
            0,
        ),
        CampaignState::Running {
            effective_at,
            retrospective,
            segment_rule_version,
        } => (
            pb::CampaignState::Running,
            Some((effective_at, retrospective)),
            segment_rule_version,
        ),
    };
    let counts = counts.cloned().unwrap_or_default();
    pb::Campaign {
        campaign_id: id.to_string(),
        name: plan.name.as_str().to_owned(),
        goal: wire::goal(plan.goal).into(),
        segment_id: plan.segment.to_string(),
        offer: Some(wire::offer(&plan.offer)),
        channel: wire::channel(plan.channel).into(),
        purpose: wire::purpose(plan.purpose).into(),
        holdout_share: plan.holdout_share.value(),
        seed: plan.seed,
        state: pb_state.into(),
        effective_time: started.map(|(effective_at, _)| timestamp::to_proto(effective_at)),
        retrospective: started.is_some_and(|(_, retrospective)| retrospective),
        segment_rule_version,
        decided: counts.decided(),
        contacted: counts.contacted,
        held_out: counts.held_out,
        refused: counts
            .refused
            .into_iter()
            .map(|(reason, customers)| pb::RefusalCount {
                reason: wire::refusal(reason).into(),
                customers,
            })
            .collect(),
    }
}

pub(super) fn decision(row: &DecisionRow) -> pb::Decision {
    let (verdict, reason) = wire::verdict(row.verdict);
    pb::Decision {
        customer_id: row.customer.to_string(),
        verdict: verdict.into(),
        refusal_reason: reason.into(),
        consent_event_id: wire::optional_id(row.consent_event),
        event_id: row.event_id.to_string(),
        decided_time: Some(timestamp::to_proto(row.decided_at)),
    }
}

pub(super) fn arm(totals: ArmTotals, rate: Rate) -> pb::ArmOutcome {
    pb::ArmOutcome {
        customers: totals.customers,
        buyers: totals.buyers,
        purchases: totals.purchases,
        revenue_minor: totals.revenue_minor,
        rate: rate.value(),
    }
}
