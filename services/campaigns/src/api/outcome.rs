//! What the contacted and the held out did afterwards.

use contracts::campaigns::v1 as pb;
use service::{Caller, ServiceName, command, status};
use tonic::Status;

use super::{Api, message, parse};
use crate::{
    domain::{CampaignId, CampaignState, EmptyArm, Rate, Uplift},
    react::{ConsentsProjection, PurchasesProjection},
    read_model::{ArmTotals, CampaignsProjection, OutcomeError, outcome},
};

impl Api {
    /// The outcome of a campaign that has decided for its whole audience.
    pub(super) async fn outcome(
        &self,
        caller: &Caller,
        request: &pb::GetOutcomeRequest,
    ) -> Result<pb::GetOutcomeResponse, Status> {
        let (id, until, confidence) = parse::outcome(request, caller.now)?;
        let tokens = &request.consistency_token;
        let interactions = ServiceName::Interactions.as_str();
        caller
            .wait(&self.log, &PurchasesProjection, interactions, tokens)
            .await?;
        // Whose purchases count with whose is told by customers.
        let customers = ServiceName::Customers.as_str();
        caller
            .wait(&self.log, &ConsentsProjection, customers, tokens)
            .await?;
        caller
            .wait(&self.log, &CampaignsProjection, self.log.name(), tokens)
            .await?;
        let (_, state) = self.campaign(&caller.tenant, id).await?;
        let forbidden = |reason, description| {
            Err(status::failed_precondition(
                reason,
                &format!("campaign/{id}"),
                description,
            ))
        };
        let (effective_at, retrospective) = match state {
            CampaignState::Draft => {
                return forbidden("NOT_STARTED", "the campaign has not been started");
            }
            CampaignState::Deciding { .. } => {
                return forbidden(
                    "AUDIENCE_NOT_DECIDED",
                    "the campaign has not decided for everyone yet",
                );
            }
            CampaignState::Running {
                effective_at,
                retrospective,
                ..
            } => (effective_at, retrospective),
        };
        if until <= effective_at {
            return Err(status::invalid_field(
                "until_time",
                "must be after the campaign's effective time",
            ));
        }
        let did = outcome(self.log.pool(), &caller.tenant, id, effective_at, until)
            .await
            .map_err(|error| no_outcome(id, error))?;
        let contacted = rate(id, "contacted", did.contacted)?;
        let held_out = rate(id, "held out", did.held_out)?;
        let uplift = Uplift::between(contacted, held_out, confidence);
        Ok(pb::GetOutcomeResponse {
            contacted: Some(message::arm(did.contacted, contacted)),
            held_out: Some(message::arm(did.held_out, held_out)),
            uplift: uplift.estimate,
            uplift_lower: uplift.interval.lower,
            uplift_upper: uplift.interval.upper,
            confidence_level: confidence.value(),
            retrospective,
            currency_code: did.currency_code,
        })
    }
}

fn rate(id: CampaignId, arm: &str, totals: ArmTotals) -> Result<Rate, Status> {
    Rate::parse(totals.buyers, totals.customers).map_err(|EmptyArm| {
        let description = format!("nobody was {arm}, so that there is nothing to compare");
        status::failed_precondition("EMPTY_ARM", &format!("campaign/{id}"), &description)
    })
}

fn no_outcome(id: CampaignId, error: OutcomeError) -> Status {
    match error {
        OutcomeError::MixedCurrencies(_) => status::failed_precondition(
            "MIXED_CURRENCIES",
            &format!("campaign/{id}"),
            &error.to_string(),
        ),
        OutcomeError::Database(error) => command::database(error),
    }
}
