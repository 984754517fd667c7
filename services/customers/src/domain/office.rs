//! Who looks after a customer: the front-office owner, and the back-office team.

use aggregate::CustomerId;
use time::OffsetDateTime;

use super::Label;

/// The employee who owns the contact with a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The employee, who is a customer too: an internal one.
    pub(crate) employee: CustomerId,
    /// The customer-facing role.
    pub(crate) role: Label,
}

/// Who looks after a customer, and since when it is so. What was released has a moment too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Office {
    /// Front office.
    pub(crate) owner: Option<Owner>,
    /// When the owner last changed.
    pub(crate) owner_since: Option<OffsetDateTime>,
    /// Back office.
    pub(crate) team: Option<Label>,
    /// When the team last changed.
    pub(crate) team_since: Option<OffsetDateTime>,
}

impl Office {
    /// Gives the contact to somebody, or to nobody.
    pub(crate) fn set_owner(&mut self, owner: Option<Owner>, at: OffsetDateTime) {
        self.owner = owner;
        self.owner_since = Some(at);
    }

    /// Gives the customer a team, or none.
    pub(crate) fn set_team(&mut self, team: Option<Label>, at: OffsetDateTime) {
        self.team = team;
        self.team_since = Some(at);
    }
}
