//! The claim on an identifier: its stream is what lets one customer at a time own it within a tenant.

use aggregate::{Aggregate, CustomerId};

use super::identifier::{ClaimId, IdentifierType};

/// The claim on one identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdentifierClaim {
    owner: Option<CustomerId>,
}

impl IdentifierClaim {
    /// Who owns the identifier.
    #[must_use]
    pub(crate) fn owner(&self) -> Option<CustomerId> {
        self.owner
    }
}

/// What may be asked of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimCommand {
    /// Claims the identifier.
    Claim(ClaimIdentifier),
    /// Gives it up, if it is this customer's.
    Release(ClaimIdentifier),
    /// Gives it to another, if it is this customer's.
    Transfer {
        /// The identifier and whose it is.
        of: ClaimIdentifier,
        /// Whose it is to be.
        to: CustomerId,
    },
}

/// The identifier and the customer that a claim is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimIdentifier {
    /// The claim.
    pub(crate) claim: ClaimId,
    /// Who wants it, or gives it up.
    pub(crate) customer: CustomerId,
    /// What it is.
    pub(crate) type_: IdentifierType,
}

/// What can have happened to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimEvent {
    /// The identifier has an owner now.
    IdentifierClaimed {
        /// The claim.
        claim: ClaimId,
        /// Owner.
        customer: CustomerId,
        /// What it is.
        type_: IdentifierType,
    },
    /// The identifier has no owner any more.
    IdentifierReleased {
        /// The claim.
        claim: ClaimId,
        /// Who owned it.
        customer: CustomerId,
        /// What it is.
        type_: IdentifierType,
    },
}

/// Another customer owns the identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("another customer owns the identifier")]
pub(crate) struct IdentifierTaken;

impl Aggregate for IdentifierClaim {
    const TYPE: &'static str = "identifier_claim";
    type Command = ClaimCommand;
    type Event = ClaimEvent;
    type Rejection = IdentifierTaken;

    fn decide(&self, command: &ClaimCommand) -> Result<Vec<ClaimEvent>, IdentifierTaken> {
        match command {
            ClaimCommand::Claim(of) => match self.owner {
                Some(owner) if owner == of.customer => Ok(Vec::new()),
                Some(_) => Err(IdentifierTaken),
                None => Ok(vec![ClaimEvent::IdentifierClaimed {
                    claim: of.claim,
                    customer: of.customer,
                    type_: of.type_,
                }]),
            },
            ClaimCommand::Release(of) if self.owner == Some(of.customer) => {
                Ok(vec![ClaimEvent::IdentifierReleased {
                    claim: of.claim,
                    customer: of.customer,
                    type_: of.type_,
                }])
            }
            ClaimCommand::Release(_) => Ok(Vec::new()),
            ClaimCommand::Transfer { of, to } if self.owner == Some(of.customer) => Ok(vec![
                ClaimEvent::IdentifierReleased {
                    claim: of.claim,
                    customer: of.customer,
                    type_: of.type_,
                },
                ClaimEvent::IdentifierClaimed {
                    claim: of.claim,
                    customer: *to,
                    type_: of.type_,
                },
            ]),
            ClaimCommand::Transfer { .. } => Err(IdentifierTaken),
        }
    }

    fn evolve(&mut self, event: &ClaimEvent) {
        match event {
            ClaimEvent::IdentifierClaimed { customer, .. } => self.owner = Some(*customer),
            ClaimEvent::IdentifierReleased { .. } => self.owner = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use aggregate::scenario::given;
    use uuid::Uuid;

    use super::*;

    fn of(customer: u128) -> ClaimIdentifier {
        ClaimIdentifier {
            claim: ClaimId(Uuid::from_u128(9)),
            customer: CustomerId(Uuid::from_u128(customer)),
            type_: IdentifierType::Email,
        }
    }

    fn claim_for(customer: u128) -> ClaimCommand {
        ClaimCommand::Claim(of(customer))
    }

    fn release_by(customer: u128) -> ClaimCommand {
        ClaimCommand::Release(of(customer))
    }

    fn claimed_by(customer: u128) -> ClaimEvent {
        let ClaimIdentifier {
            claim,
            customer,
            type_,
        } = of(customer);
        ClaimEvent::IdentifierClaimed {
            claim,
            customer,
            type_,
        }
    }

    fn released_by(customer: u128) -> ClaimEvent {
        let ClaimIdentifier {
            claim,
            customer,
            type_,
        } = of(customer);
        ClaimEvent::IdentifierReleased {
            claim,
            customer,
            type_,
        }
    }

    #[test]
    fn the_first_to_claim_an_identifier_owns_it() {
        let claim = given::<IdentifierClaim>([])
            .when(claim_for(1))
            .then([claimed_by(1)]);
        assert_eq!(claim.owner(), Some(CustomerId(Uuid::from_u128(1))));
    }

    #[test]
    fn the_owner_may_claim_it_again() {
        given::<IdentifierClaim>([claimed_by(1)])
            .when(claim_for(1))
            .then_nothing();
    }

    #[test]
    fn nobody_else_may() {
        given::<IdentifierClaim>([claimed_by(1)])
            .when(claim_for(2))
            .then_rejected(IdentifierTaken);
    }

    #[test]
    fn what_its_owner_gave_up_anybody_may_claim() {
        given::<IdentifierClaim>([claimed_by(1)])
            .when(release_by(1))
            .then([released_by(1)]);
        given::<IdentifierClaim>([claimed_by(1), released_by(1)])
            .when(claim_for(2))
            .then([claimed_by(2)]);
    }

    #[test]
    fn its_owner_may_give_it_to_another_and_nobody_else_may() {
        let to = CustomerId(Uuid::from_u128(2));
        let transfer = |from| ClaimCommand::Transfer { of: of(from), to };
        given::<IdentifierClaim>([claimed_by(1)])
            .when(transfer(1))
            .then([released_by(1), claimed_by(2)]);
        for owner in [
            vec![],
            vec![claimed_by(3)],
            vec![claimed_by(1), released_by(1)],
        ] {
            given::<IdentifierClaim>(owner)
                .when(transfer(1))
                .then_rejected(IdentifierTaken);
        }
    }

    #[test]
    fn nobody_gives_up_what_another_owns() {
        for owner in [
            vec![],
            vec![claimed_by(2)],
            vec![claimed_by(1), released_by(1)],
        ] {
            given::<IdentifierClaim>(owner)
                .when(release_by(1))
                .then_nothing();
        }
    }
}
