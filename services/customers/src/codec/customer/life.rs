//! Events of a customer's stage of life, and of who looks after it.

use aggregate::CustomerId;
use contracts::customers::v1 as pb;
use event_log::{DecodeError, StoredEvent};

use crate::{
    codec::fields,
    domain::{Label, customer::CustomerEvent, lifecycle::Lifecycle, office::Owner},
    wire,
};

pub(super) fn owner_assigned(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::OwnerAssigned = event.message()?;
    let employee = fields::uuid(event, "employee_id", &message.employee_id)?;
    Ok(CustomerEvent::OwnerAssigned {
        customer: fields::customer(event, &message.customer_id)?,
        owner: Owner {
            employee: CustomerId(employee),
            role: Label::from_stored(message.role),
        },
        assigned_at: fields::moment(event, "assigned_time", message.assigned_time.as_ref())?,
    })
}

pub(super) fn owner_released(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::OwnerReleased = event.message()?;
    Ok(CustomerEvent::OwnerReleased {
        customer: fields::customer(event, &message.customer_id)?,
        released_at: fields::moment(event, "released_time", message.released_time.as_ref())?,
    })
}

pub(super) fn team_assigned(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::TeamAssigned = event.message()?;
    Ok(CustomerEvent::TeamAssigned {
        customer: fields::customer(event, &message.customer_id)?,
        team: fields::optional(message.team, Label::from_stored),
        assigned_at: fields::moment(event, "assigned_time", message.assigned_time.as_ref())?,
    })
}

pub(super) fn lifecycle_stage_changed(event: &StoredEvent) -> Result<CustomerEvent, DecodeError> {
    let message: pb::LifecycleStageChanged = event.message()?;
    let stage = |field, number| fields::known(event, field, wire::parse_stage(number));
    Ok(CustomerEvent::LifecycleStageChanged {
        customer: fields::customer(event, &message.customer_id)?,
        previous: stage("previous_stage", message.previous_stage)?,
        lifecycle: Lifecycle {
            stage: stage("stage", message.stage)?,
            reason: fields::optional(message.reason, Label::from_stored),
            since: fields::moment(event, "effective_time", message.effective_time.as_ref())?,
        },
    })
}
