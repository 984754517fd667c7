//! Segments and their rules.

use aggregate::Aggregate;

use super::{ids::SegmentId, name::SegmentName, rule::Rule};

/// A segment as it stands; the default one is not defined yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    /// Its name; empty when it is not defined.
    pub name: String,
    /// Its present rule.
    pub rule: String,
    /// Version of the rule; 0 when it is not defined.
    pub rule_version: u32,
    id: Option<SegmentId>,
}

/// What may be asked of a segment. Rules have been checked.
#[derive(Clone, Debug)]
pub enum SegmentCommand {
    /// Define it.
    Define {
        /// Its id.
        segment: SegmentId,
        /// Its name; the claim on it is another stream's matter.
        name: SegmentName,
        /// Its rule.
        rule: Rule,
    },
    /// Give it another rule.
    ChangeRule {
        /// The rule.
        rule: Rule,
    },
}

/// What can have happened to a segment.
#[derive(Clone, Debug, PartialEq)]
pub enum SegmentEvent {
    /// It was defined, at rule version 1.
    Defined {
        /// Segment.
        segment: SegmentId,
        /// Name.
        name: String,
        /// Rule.
        rule: String,
    },
    /// It got another rule.
    RuleChanged {
        /// Segment.
        segment: SegmentId,
        /// Rule.
        rule: String,
        /// Version of the rule.
        rule_version: u32,
    },
}

/// Why a segment says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentRejection {
    /// There is a segment with this id.
    #[error("the segment is defined already")]
    AlreadyDefined,
    /// There is no such segment.
    #[error("there is no such segment")]
    NotDefined,
}

impl Aggregate for Segment {
    const TYPE: &'static str = "segment";
    type Command = SegmentCommand;
    type Event = SegmentEvent;
    type Rejection = SegmentRejection;

    fn decide(&self, command: &SegmentCommand) -> Result<Vec<SegmentEvent>, SegmentRejection> {
        match (command, self.id) {
            (SegmentCommand::Define { .. }, Some(_)) => Err(SegmentRejection::AlreadyDefined),
            (
                SegmentCommand::Define {
                    segment,
                    name,
                    rule,
                },
                None,
            ) => Ok(vec![SegmentEvent::Defined {
                segment: *segment,
                name: name.as_str().to_owned(),
                rule: rule.source().to_owned(),
            }]),
            (SegmentCommand::ChangeRule { .. }, None) => Err(SegmentRejection::NotDefined),
            (SegmentCommand::ChangeRule { rule }, Some(_)) if rule.source() == self.rule => {
                Ok(vec![])
            }
            (SegmentCommand::ChangeRule { rule }, Some(segment)) => {
                Ok(vec![SegmentEvent::RuleChanged {
                    segment,
                    rule: rule.source().to_owned(),
                    rule_version: self.rule_version + 1,
                }])
            }
        }
    }

    fn evolve(&mut self, event: &SegmentEvent) {
        match event {
            SegmentEvent::Defined {
                segment,
                name,
                rule,
            } => {
                *self = Self {
                    name: name.clone(),
                    rule: rule.clone(),
                    rule_version: 1,
                    id: Some(*segment),
                }
            }
            SegmentEvent::RuleChanged {
                rule, rule_version, ..
            } => {
                self.rule.clone_from(rule);
                self.rule_version = *rule_version;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aggregate::scenario::given;
    use uuid::Uuid;

    use super::*;

    fn segment(n: u128) -> SegmentId {
        SegmentId(Uuid::from_u128(n))
    }

    fn rule(text: &str) -> Rule {
        Rule::parse(text).unwrap()
    }

    fn define(text: &str) -> SegmentCommand {
        SegmentCommand::Define {
            segment: segment(1),
            name: "loyal".parse().unwrap(),
            rule: rule(text),
        }
    }

    fn defined() -> SegmentEvent {
        SegmentEvent::Defined {
            segment: segment(1),
            name: "loyal".to_owned(),
            rule: "measures.purchases > 1".to_owned(),
        }
    }

    fn changed(text: &str, rule_version: u32) -> SegmentEvent {
        SegmentEvent::RuleChanged {
            segment: segment(1),
            rule: text.to_owned(),
            rule_version,
        }
    }

    #[test]
    fn a_segment_begins_with_rule_version_1() {
        let state = given::<Segment>([])
            .when(define("measures.purchases > 1"))
            .then([defined()]);
        assert_eq!(state.rule_version, 1);
    }

    #[test]
    fn a_segment_is_defined_once() {
        given::<Segment>([defined()])
            .when(define("true"))
            .then_rejected(SegmentRejection::AlreadyDefined);
    }

    #[test]
    fn every_new_rule_is_the_next_version() {
        let change = |text| SegmentCommand::ChangeRule { rule: rule(text) };
        given::<Segment>([defined(), changed("true", 2)])
            .when(change("false"))
            .then([changed("false", 3)]);
    }

    #[test]
    fn the_same_rule_changes_nothing() {
        given::<Segment>([defined(), changed("true", 2)])
            .when(SegmentCommand::ChangeRule { rule: rule("true") })
            .then_nothing();
    }

    #[test]
    fn a_segment_that_is_not_defined_gets_no_rule() {
        given::<Segment>([])
            .when(SegmentCommand::ChangeRule { rule: rule("true") })
            .then_rejected(SegmentRejection::NotDefined);
    }
}
