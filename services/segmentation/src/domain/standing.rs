//! Where a customer stands: the segments they are in, and which fits have scored them.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use aggregate::{Aggregate, CustomerId};
use uuid::Uuid;

use super::{
    ids::{FitId, SegmentId},
    scoring::Score,
};

/// A customer's memberships, each with the rule version by which they entered, and the fits that scored them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    members: BTreeMap<SegmentId, u32>,
    scored_by: BTreeSet<FitId>,
}

/// What may be asked.
#[derive(Clone, Debug)]
pub enum StandingCommand {
    /// Take over what the rules say now. Segments without a verdict stay as they are.
    Place {
        /// Customer.
        customer: CustomerId,
        /// One for each segment that was evaluated.
        verdicts: Vec<Verdict>,
        /// Why they were evaluated.
        cause: Cause,
    },
    /// Take over the scores of a fit.
    Score(Score),
}

/// What a rule says of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Segment.
    pub segment: SegmentId,
    /// Version of its rule.
    pub rule_version: u32,
    /// Whether the rule selects the customer.
    pub member: bool,
}

/// Why memberships changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// This event of another service.
    Event(Uuid),
    /// History was loaded, with this event the last of it: nobody must be contacted because of it.
    Backfill(Uuid),
    /// The rule was defined or changed.
    Rule,
    /// Time passed.
    Time,
    /// A fit gave new scores.
    Fit,
}

/// A membership that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Customer.
    pub customer: CustomerId,
    /// Segment.
    pub segment: SegmentId,
    /// Version of the rule that says so.
    pub rule_version: u32,
    /// Why.
    pub cause: Cause,
}

/// What can have happened.
#[derive(Clone, Debug, PartialEq)]
pub enum StandingEvent {
    /// A fit gave scores.
    Scored(Score),
    /// The customer became a member.
    Entered(Change),
    /// The customer is no longer a member.
    Left(Change),
}

impl Standing {
    /// The standing that these memberships and scores make: what folding the stream would give.
    pub fn of(
        members: impl IntoIterator<Item = (SegmentId, u32)>,
        scored_by: impl IntoIterator<Item = FitId>,
    ) -> Self {
        Self {
            members: members.into_iter().collect(),
            scored_by: scored_by.into_iter().collect(),
        }
    }
}

impl Aggregate for Standing {
    const TYPE: &'static str = "customer";
    type Command = StandingCommand;
    type Event = StandingEvent;
    type Rejection = Infallible;

    fn decide(&self, command: &StandingCommand) -> Result<Vec<StandingEvent>, Infallible> {
        Ok(match command {
            StandingCommand::Place {
                customer,
                verdicts,
                cause,
            } => verdicts
                .iter()
                .filter_map(|verdict| {
                    let change = Change {
                        customer: *customer,
                        segment: verdict.segment,
                        rule_version: verdict.rule_version,
                        cause: *cause,
                    };
                    match (self.members.contains_key(&verdict.segment), verdict.member) {
                        (false, true) => Some(StandingEvent::Entered(change)),
                        (true, false) => Some(StandingEvent::Left(change)),
                        (true, true) | (false, false) => None,
                    }
                })
                .collect(),
            // A scoring that was interrupted begins again: whom it has reached gets nothing twice.
            StandingCommand::Score(score) if self.scored_by.contains(&score.fit) => vec![],
            StandingCommand::Score(score) => vec![StandingEvent::Scored(score.clone())],
        })
    }

    fn evolve(&mut self, event: &StandingEvent) {
        match event {
            StandingEvent::Scored(score) => {
                self.scored_by.insert(score.fit);
            }
            StandingEvent::Entered(change) => {
                self.members.insert(change.segment, change.rule_version);
            }
            StandingEvent::Left(change) => {
                self.members.remove(&change.segment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aggregate::scenario::given;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::scoring::tests::score_of;

    const CAUSE: Cause = Cause::Event(Uuid::from_u128(9));

    fn customer() -> CustomerId {
        CustomerId(Uuid::from_u128(7))
    }

    fn verdict(segment: u128, rule_version: u32, member: bool) -> Verdict {
        Verdict {
            segment: SegmentId(Uuid::from_u128(segment)),
            rule_version,
            member,
        }
    }

    fn place(verdicts: &[Verdict]) -> StandingCommand {
        StandingCommand::Place {
            customer: customer(),
            verdicts: verdicts.to_vec(),
            cause: CAUSE,
        }
    }

    fn change(segment: u128, rule_version: u32) -> Change {
        Change {
            customer: customer(),
            segment: SegmentId(Uuid::from_u128(segment)),
            rule_version,
            cause: CAUSE,
        }
    }

    #[test]
    fn enters_and_leaves_with_the_version_that_says_so() {
        given::<Standing>([StandingEvent::Entered(change(1, 1))])
            .when(place(&[
                verdict(1, 2, false),
                verdict(2, 5, true),
                verdict(3, 1, false),
            ]))
            .then([
                StandingEvent::Left(change(1, 2)),
                StandingEvent::Entered(change(2, 5)),
            ]);
    }

    #[test]
    fn a_member_by_a_new_rule_has_not_moved() {
        given::<Standing>([StandingEvent::Entered(change(1, 1))])
            .when(place(&[verdict(1, 2, true)]))
            .then_nothing();
    }

    #[test]
    fn a_segment_without_a_verdict_stays() {
        let state = given::<Standing>([StandingEvent::Entered(change(1, 1))])
            .when(place(&[verdict(2, 1, true)]))
            .then([StandingEvent::Entered(change(2, 1))]);
        assert_eq!(
            state,
            Standing::of([1, 2].map(|n| (SegmentId(Uuid::from_u128(n)), 1)), [])
        );
    }

    #[test]
    fn a_fit_scores_a_customer_once() {
        let score = score_of(1);
        let again = given::<Standing>([])
            .when(StandingCommand::Score(score.clone()))
            .then([StandingEvent::Scored(score.clone())]);
        assert_eq!(
            again.decide(&StandingCommand::Score(score.clone())),
            Ok(vec![])
        );
        let other = score_of(2);
        given::<Standing>([StandingEvent::Scored(score)])
            .when(StandingCommand::Score(other.clone()))
            .then([StandingEvent::Scored(other)]);
    }

    proptest! {
        /// Whatever was before, after a placement the members are those whom the rules select, and to be placed again
        /// changes nothing.
        #[test]
        fn a_placement_is_reached_in_one_step(
            before in prop::collection::btree_set(0..12_u128, 0..8), now in prop::collection::btree_map(0..12_u128, any::<bool>(), 0..12),
        ) {
            let mut standing = Standing::of(before.iter().map(|n| (SegmentId(Uuid::from_u128(*n)), 1)), []);
            let verdicts: Vec<_> = now.iter().map(|(n, member)| verdict(*n, 2, *member)).collect();
            let events = standing.decide(&place(&verdicts)).unwrap();
            for event in &events {
                standing.evolve(event);
            }
            prop_assert_eq!(standing.decide(&place(&verdicts)), Ok(vec![]));
            let expected: BTreeSet<u128> = (0..12)
                .filter(|n| now.get(n).copied().unwrap_or(before.contains(n)))
                .collect();
            let members: BTreeSet<u128> = standing.members.keys().map(|id| id.0.as_u128()).collect();
            prop_assert_eq!(members, expected);
        }
    }
}
