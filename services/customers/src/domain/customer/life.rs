//! The customer's stage of life, and who looks after it.

use aggregate::CustomerId;
use time::OffsetDateTime;

use super::{Customer, CustomerEvent, CustomerRejection};
use crate::domain::{
    Label,
    lifecycle::{Lifecycle, Purchases, SilencePolicy, Stage},
    office::Owner,
};

impl Customer {
    pub(super) fn change_stage(
        &self,
        stage: Stage,
        reason: Option<&Label>,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let customer = self.registered()?.customer;
        let present = self
            .lifecycle
            .as_ref()
            .ok_or(CustomerRejection::NotRegistered)?;
        if present.stage == stage && (reason.is_none() || present.reason.as_ref() == reason) {
            return Ok(Vec::new());
        }
        if !present.stage.leads_to(stage) {
            return Err(CustomerRejection::StageNotReachable {
                from: present.stage,
                to: stage,
            });
        }
        if stage == Stage::Lost && reason.is_none() {
            return Err(CustomerRejection::ReasonRequired);
        }
        in_order(at, [present.since])?;
        Ok(vec![CustomerEvent::LifecycleStageChanged {
            customer,
            previous: present.stage,
            lifecycle: Lifecycle {
                stage,
                reason: reason.cloned(),
                since: at,
            },
        }])
    }

    /// Of somebody who was erased nothing is told any more, and of somebody who was merged it is told of who goes on.
    pub(super) fn review_stage(
        &self,
        purchases: Option<Purchases>,
        policy: &SilencePolicy,
        now: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let customer = match self.registered() {
            Ok(registration) => registration.customer,
            Err(CustomerRejection::Erased | CustomerRejection::Merged { .. }) => {
                return Ok(Vec::new());
            }
            Err(rejection) => return Err(rejection),
        };
        let present = self
            .lifecycle
            .as_ref()
            .ok_or(CustomerRejection::NotRegistered)?;
        let mut previous = present.stage;
        Ok(present
            .following(purchases, policy, now)
            .map(|lifecycle| CustomerEvent::LifecycleStageChanged {
                customer,
                previous: std::mem::replace(&mut previous, lifecycle.stage),
                lifecycle,
            })
            .collect())
    }

    pub(super) fn assign_owner(
        &self,
        owner: &Owner,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let registration = self.registered()?;
        if owner.employee == registration.customer {
            return Err(CustomerRejection::OwnsItself);
        }
        if self.office.owner.as_ref() == Some(owner) {
            return Ok(Vec::new());
        }
        in_order(
            at,
            self.office
                .owner_since
                .into_iter()
                .chain([registration.registered_at]),
        )?;
        Ok(vec![CustomerEvent::OwnerAssigned {
            customer: registration.customer,
            owner: owner.clone(),
            assigned_at: at,
        }])
    }

    pub(super) fn release_owner(
        &self,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let customer: CustomerId = self.registered()?.customer;
        if self.office.owner.is_none() {
            return Ok(Vec::new());
        }
        in_order(at, self.office.owner_since)?;
        Ok(vec![CustomerEvent::OwnerReleased {
            customer,
            released_at: at,
        }])
    }

    pub(super) fn assign_team(
        &self,
        team: Option<&Label>,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let registration = self.registered()?;
        if self.office.team.as_ref() == team {
            return Ok(Vec::new());
        }
        in_order(
            at,
            self.office
                .team_since
                .into_iter()
                .chain([registration.registered_at]),
        )?;
        Ok(vec![CustomerEvent::TeamAssigned {
            customer: registration.customer,
            team: team.cloned(),
            assigned_at: at,
        }])
    }
}

/// What is told comes after what was told before it, so that the order in the stream is that in which it happened.
pub(super) fn in_order(
    at: OffsetDateTime,
    earlier: impl IntoIterator<Item = OffsetDateTime>,
) -> Result<(), CustomerRejection> {
    match earlier.into_iter().max().filter(|last| at < *last) {
        Some(last) => Err(CustomerRejection::OutOfOrder { last }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
