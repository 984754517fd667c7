//! A campaign: a plan that is started once and then decides for its whole audience.

use aggregate::Aggregate;
use time::OffsetDateTime;

use super::plan::{CampaignId, Plan};

/// A campaign as its events make it. The default state is a campaign that does not exist.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Campaign {
    /// There is no such campaign.
    #[default]
    Unknown,
    /// It was created.
    Created {
        /// Plan.
        plan: Box<Plan>,
        /// Where it stands.
        state: CampaignState,
    },
}

/// Where a campaign stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignState {
    /// Created, not started.
    Draft,
    /// Started; decisions are being made.
    Deciding {
        /// The moment for which it decides.
        effective_at: OffsetDateTime,
        /// It looks back and contacts nobody.
        retrospective: bool,
    },
    /// Decided for everyone in the audience.
    Running {
        /// The moment for which it decided.
        effective_at: OffsetDateTime,
        /// It looks back and contacts nobody.
        retrospective: bool,
        /// Version of the segment's rule that selected the audience.
        segment_rule_version: u32,
    },
}

/// What may be asked of a campaign.
#[derive(Clone, Debug, PartialEq)]
pub enum CampaignCommand {
    /// Create it as a draft.
    Create {
        /// Its id.
        id: CampaignId,
        /// Its plan.
        plan: Plan,
    },
    /// Begin to decide.
    Start {
        /// Its id.
        id: CampaignId,
        /// The moment for which it decides.
        effective_at: OffsetDateTime,
        /// Look back and contact nobody.
        retrospective: bool,
    },
    /// Everyone has been decided on.
    CloseAudience {
        /// Its id.
        id: CampaignId,
        /// Customers decided on.
        audience: u32,
        /// Version of the segment's rule that selected them.
        segment_rule_version: u32,
    },
}

/// What can have happened to a campaign.
#[derive(Clone, Debug, PartialEq)]
pub enum CampaignEvent {
    /// It was created.
    Created {
        /// Its id.
        id: CampaignId,
        /// Its plan.
        plan: Plan,
    },
    /// It was started.
    Started {
        /// Its id.
        id: CampaignId,
        /// The moment for which it decides.
        effective_at: OffsetDateTime,
        /// It looks back and contacts nobody.
        retrospective: bool,
    },
    /// It has decided for its whole audience.
    AudienceDecided {
        /// Its id.
        id: CampaignId,
        /// Customers decided on.
        audience: u32,
        /// Version of the segment's rule that selected them.
        segment_rule_version: u32,
    },
}

/// Why a campaign says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CampaignRejection {
    /// The id is taken.
    #[error("the campaign exists already")]
    AlreadyCreated,
    /// There is no such campaign.
    #[error("there is no such campaign")]
    Unknown,
    /// It was started before.
    #[error("the campaign has been started already")]
    AlreadyStarted,
    /// It is not deciding, or no longer.
    #[error("the campaign is not deciding")]
    NotDeciding,
}

impl Campaign {
    /// Plan and state; none when there is no such campaign.
    #[must_use]
    pub fn created(&self) -> Option<(&Plan, CampaignState)> {
        match self {
            Self::Unknown => None,
            Self::Created { plan, state } => Some((plan, *state)),
        }
    }
}

impl Aggregate for Campaign {
    const TYPE: &'static str = "campaign";
    type Command = CampaignCommand;
    type Event = CampaignEvent;
    type Rejection = CampaignRejection;

    fn decide(&self, command: &CampaignCommand) -> Result<Vec<CampaignEvent>, CampaignRejection> {
        let event = match (command, self.created()) {
            (CampaignCommand::Create { id, plan }, None) => CampaignEvent::Created {
                id: *id,
                plan: plan.clone(),
            },
            (CampaignCommand::Create { .. }, Some(_)) => {
                return Err(CampaignRejection::AlreadyCreated);
            }
            (_, None) => return Err(CampaignRejection::Unknown),
            (
                &CampaignCommand::Start {
                    id,
                    effective_at,
                    retrospective,
                },
                Some((_, state)),
            ) => match state {
                CampaignState::Draft => CampaignEvent::Started {
                    id,
                    effective_at,
                    retrospective,
                },
                CampaignState::Deciding { .. } | CampaignState::Running { .. } => {
                    return Err(CampaignRejection::AlreadyStarted);
                }
            },
            (
                &CampaignCommand::CloseAudience {
                    id,
                    audience,
                    segment_rule_version,
                },
                Some((_, state)),
            ) => match state {
                CampaignState::Deciding { .. } => CampaignEvent::AudienceDecided {
                    id,
                    audience,
                    segment_rule_version,
                },
                CampaignState::Draft | CampaignState::Running { .. } => {
                    return Err(CampaignRejection::NotDeciding);
                }
            },
        };
        Ok(vec![event])
    }

    fn evolve(&mut self, event: &CampaignEvent) {
        match (event, &mut *self) {
            (CampaignEvent::Created { plan, .. }, _) => {
                *self = Self::Created {
                    plan: Box::new(plan.clone()),
                    state: CampaignState::Draft,
                };
            }
            (
                &CampaignEvent::Started {
                    effective_at,
                    retrospective,
                    ..
                },
                Self::Created { state, .. },
            ) => {
                *state = CampaignState::Deciding {
                    effective_at,
                    retrospective,
                };
            }
            (
                &CampaignEvent::AudienceDecided {
                    segment_rule_version,
                    ..
                },
                Self::Created { state, .. },
            ) => {
                if let CampaignState::Deciding {
                    effective_at,
                    retrospective,
                } = *state
                {
                    *state = CampaignState::Running {
                        effective_at,
                        retrospective,
                        segment_rule_version,
                    };
                }
            }
            // A stream begins with its creation, and starts before it closes; `decide` allows nothing else.
            (
                CampaignEvent::Started { .. } | CampaignEvent::AudienceDecided { .. },
                Self::Unknown,
            ) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use aggregate::scenario::given;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        Channel, Description, Goal, HoldoutShare, Name, Offer, Purpose, SegmentId,
    };

    const ID: CampaignId = CampaignId(Uuid::from_u128(1));
    const AT: OffsetDateTime = datetime!(1997-09-30 00:00 UTC);

    fn plan() -> Plan {
        Plan {
            name: Name::parse("Come back").unwrap(),
            goal: Goal::WinBack,
            segment: SegmentId(Uuid::from_u128(2)),
            offer: Offer {
                name: Name::parse("Ten per cent").unwrap(),
                description: Description::default(),
                cost_minor: 0,
                currency_code: String::new(),
            },
            channel: Channel::Email,
            purpose: Purpose::Marketing,
            holdout_share: HoldoutShare::parse(0.5).unwrap(),
            seed: 42,
        }
    }

    fn create() -> CampaignCommand {
        CampaignCommand::Create {
            id: ID,
            plan: plan(),
        }
    }

    fn start() -> CampaignCommand {
        CampaignCommand::Start {
            id: ID,
            effective_at: AT,
            retrospective: true,
        }
    }

    fn close() -> CampaignCommand {
        CampaignCommand::CloseAudience {
            id: ID,
            audience: 7,
            segment_rule_version: 3,
        }
    }

    fn created() -> CampaignEvent {
        CampaignEvent::Created {
            id: ID,
            plan: plan(),
        }
    }

    fn started() -> CampaignEvent {
        CampaignEvent::Started {
            id: ID,
            effective_at: AT,
            retrospective: true,
        }
    }

    fn decided() -> CampaignEvent {
        CampaignEvent::AudienceDecided {
            id: ID,
            audience: 7,
            segment_rule_version: 3,
        }
    }

    #[test]
    fn is_created_as_a_draft() {
        let campaign = given::<Campaign>([]).when(create()).then([created()]);
        assert_eq!(campaign.created(), Some((&plan(), CampaignState::Draft)));
    }

    #[test]
    fn is_created_once() {
        given::<Campaign>([created()])
            .when(create())
            .then_rejected(CampaignRejection::AlreadyCreated);
    }

    #[test]
    fn a_draft_is_started_and_decides_for_its_moment() {
        let campaign = given::<Campaign>([created()])
            .when(start())
            .then([started()]);
        let deciding = CampaignState::Deciding {
            effective_at: AT,
            retrospective: true,
        };
        assert_eq!(campaign.created(), Some((&plan(), deciding)));
    }

    #[test]
    fn is_started_once() {
        given::<Campaign>([created(), started()])
            .when(start())
            .then_rejected(CampaignRejection::AlreadyStarted);
        given::<Campaign>([created(), started(), decided()])
            .when(start())
            .then_rejected(CampaignRejection::AlreadyStarted);
    }

    #[test]
    fn runs_once_its_audience_is_decided() {
        let campaign = given::<Campaign>([created(), started()])
            .when(close())
            .then([decided()]);
        let running = CampaignState::Running {
            effective_at: AT,
            retrospective: true,
            segment_rule_version: 3,
        };
        assert_eq!(campaign.created(), Some((&plan(), running)));
    }

    #[test]
    fn closes_its_audience_only_while_it_decides() {
        given::<Campaign>([created()])
            .when(close())
            .then_rejected(CampaignRejection::NotDeciding);
        given::<Campaign>([created(), started(), decided()])
            .when(close())
            .then_rejected(CampaignRejection::NotDeciding);
    }

    #[test]
    fn nothing_but_creation_happens_to_a_campaign_that_does_not_exist() {
        for command in [start(), close()] {
            given::<Campaign>([])
                .when(command)
                .then_rejected(CampaignRejection::Unknown);
        }
    }
}
