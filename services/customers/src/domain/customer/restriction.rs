//! Restriction of processing.

use time::OffsetDateTime;

use super::{Customer, CustomerEvent, CustomerRejection, life::in_order};
use crate::domain::restriction::{Restriction, RestrictionReason};

impl Customer {
    /// Whether processing is restricted.
    #[must_use]
    pub(crate) fn restriction(&self) -> &Restriction {
        &self.restriction
    }

    pub(super) fn restrict(
        &self,
        reason: RestrictionReason,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let registration = self.registered()?;
        if self.restriction.reason == Some(reason) {
            return Ok(Vec::new());
        }
        in_order(
            at,
            self.restriction
                .since
                .into_iter()
                .chain([registration.registered_at]),
        )?;
        Ok(vec![CustomerEvent::ProcessingRestricted {
            customer: registration.customer,
            reason,
            restricted_at: at,
        }])
    }

    pub(super) fn lift_restriction(
        &self,
        at: OffsetDateTime,
    ) -> Result<Vec<CustomerEvent>, CustomerRejection> {
        let customer = self.registered()?.customer;
        if self.restriction.reason.is_none() {
            return Ok(Vec::new());
        }
        in_order(at, self.restriction.since)?;
        Ok(vec![CustomerEvent::RestrictionLifted {
            customer,
            lifted_at: at,
        }])
    }
}

#[cfg(test)]
mod tests;
